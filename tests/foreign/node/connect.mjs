// Calls each kind of method through Telamon by Connect-ES, in one of its protocols, and prints what came of it as JSON.
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";

const [baseUrl, descriptors, protocol, httpVersion, codec, key] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
const Note = registry.getMessage("probe.v1.Note");
const create = protocol === "grpc-web" ? createGrpcWebTransport : createConnectTransport;
const options = { baseUrl, httpVersion, useBinaryFormat: codec === "proto", acceptCompression: [], jsonOptions: { registry } };
const connect = (more) => createClient(registry.getService("probe.v1.Probe"), create({ ...options, ...more }));
const client = connect({});

async function failure(call) {
  try {
    return { answered: await call() };
  } catch (error) {
    const failed = ConnectError.from(error);
    return {
      code: Code[failed.code],
      message: failed.rawMessage,
      notes: failed.findDetails(Note).map((note) => note.text),
      trailer: failed.metadata.get("x-trailer-word"),
    };
  }
}

async function unary() {
  const got = {};
  const answer = await client.unary(
    { text: "from node", big: 9007199254740993n, key },
    {
      headers: { "x-echo-word": "yes", "x-key": key },
      timeoutMs: 10000,
      onHeader: (headers) => (got.head = headers.get("x-head-word")),
      onTrailer: (trailers) => (got.trailer = trailers.get("x-trailer-word")),
    },
  );
  return { ...got, text: answer.text, big: String(answer.big) };
}

async function expand(ask) {
  const got = { indices: [] };
  const onTrailer = (trailers) => (got.trailer = trailers.get("x-trailer-word"));
  for await (const answer of client.expand(ask, { headers: { "x-echo-word": "yes" }, onTrailer })) {
    got.indices.push(answer.index);
  }
  return got;
}

async function failing() {
  const indices = [];
  const failed = await failure(async () => {
    for await (const answer of client.expand({ count: 3, failCode: 8, failMessage: "enough", notes: ["n"] })) {
      indices.push(answer.index);
    }
  });
  return { indices, ...failed };
}

async function* asks(texts) {
  for (const text of texts) yield { text };
}

// The next message goes only when the answer to the one before is there.
async function chat(rounds) {
  const texts = [];
  let answered;
  async function* pings() {
    for (let round = 0; round < rounds; round += 1) {
      const answer = new Promise((resolve) => (answered = resolve));
      yield { text: `ping ${round}` };
      await answer;
    }
  }
  for await (const answer of client.chat(pings())) {
    texts.push(answer.text);
    answered();
  }
  return texts;
}

const result = {
  unary: await unary(),
  expanded: await expand({ count: 20 }),
  error: await failure(() =>
    client.unary({ failCode: 5, failMessage: "näh", notes: ["a", "b"] }, { headers: { "x-echo-word": "yes" } }),
  ),
  failing: await failing(),
  unknown: await failure(() => client.unary({ text: "x".repeat(8 << 20) })),
  // A client that keeps its own clock would not show that the servlet is told of it, and a client's clock can be late.
  late: await failure(() => client.unary({ delayMs: 20000 }, { timeoutMs: 300 })),
};
if (protocol === "connect") {
  const getting = connect({ useHttpGet: true });
  result.look = (await getting.look({ text: "a b&c=d+é", key: `${key}-get` })).text;
  result.collected = (await client.collect(asks(["a", "b", "c"]))).text;
}
if (protocol === "connect" && httpVersion === "2") result.chat = await chat(5);
console.log(JSON.stringify(result));
process.exit(0);
