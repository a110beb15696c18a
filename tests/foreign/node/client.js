// Calls each kind of method through Telamon by grpc-js, and prints what came of it as JSON.
"use strict";

const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, protos, common, key] = process.argv.slice(2);
const definition = loader.loadSync("probe/v1/probe.proto", { includeDirs: [protos, common], keepCase: true, longs: String });
const { Probe } = grpc.loadPackageDefinition(definition).probe.v1;
const client = new Probe(address, grpc.credentials.createInsecure());

const soon = (seconds) => ({ deadline: Date.now() + seconds * 1000 });

function unary(ask, metadata = new grpc.Metadata(), options = soon(10)) {
  return new Promise((resolve) => {
    const got = {};
    const call = client.Unary(ask, metadata, options, (error, answer) => {
      Object.assign(got, { error, answer });
    });
    call.on("metadata", (head) => (got.head = head));
    call.on("status", (status) => resolve(Object.assign(got, { status })));
  });
}

function expand(ask) {
  return new Promise((resolve, reject) => {
    const indices = [];
    const call = client.Expand(ask, soon(10));
    call.on("data", (answer) => indices.push(answer.index ?? 0));
    call.on("error", reject);
    call.on("end", () => resolve(indices));
  });
}

function collect(texts) {
  return new Promise((resolve, reject) => {
    const call = client.Collect(soon(10), (error, answer) => (error ? reject(error) : resolve(answer.text)));
    texts.forEach((text) => call.write({ text }));
    call.end();
  });
}

// The next message goes only when the answer to the one before is there.
function chat(rounds) {
  return new Promise((resolve, reject) => {
    const texts = [];
    const call = client.Chat(soon(10));
    call.on("data", (answer) => {
      texts.push(answer.text);
      if (texts.length < rounds) call.write({ text: `ping ${texts.length}` });
      else call.end();
    });
    call.on("error", reject);
    call.on("end", () => resolve(texts));
    call.write({ text: "ping 0" });
  });
}

async function main() {
  const metadata = new grpc.Metadata();
  metadata.set("x-key", key);
  metadata.set("x-echo-word", "yes");
  const first = await unary({ text: "from node", big: "9007199254740993" }, metadata);
  const failed = await unary({ fail_code: 5, fail_message: "näh", notes: ["n"] });
  const late = await unary({ delay_ms: 20000 }, new grpc.Metadata(), soon(0.3));
  const result = {
    unary: { text: first.answer.text, big: first.answer.big },
    head: first.head.get("x-head-word"),
    trailer: first.status.metadata.get("x-trailer-word"),
    expanded: await expand({ count: 20 }),
    collected: await collect(["a", "b", "c"]),
    chat: await chat(5),
    error: {
      code: failed.error.code,
      details: failed.error.details,
      rich: failed.error.metadata.get("grpc-status-details-bin").length === 1,
    },
    deadline: late.error.code,
  };
  client.close();
  console.log(JSON.stringify(result));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
