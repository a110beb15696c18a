// Replicas that answer every unary call after a fixed time of work, by Node's HTTP/2 alone: quick enough that, with 64 calls in
// flight, the shares show the balance and not who of the replicas is short of CPU. A line on standard input asks for the counts.
"use strict";

const http2 = require("node:http2");
const readline = require("node:readline");

const [replicas, milliseconds] = process.argv.slice(2).map(Number);
const served = Array(replicas).fill(0);

// An Answer whose field `replica` is the name, as one gRPC message.
function answer(name) {
  const message = Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name)]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function listen(index) {
  const body = answer(`r${index + 1}`);
  const server = http2.createServer();
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    stream.on("wantTrailers", () => {
      served[index] += 1;
      stream.sendTrailers({ "grpc-status": "0" });
    });
    stream.on("end", () =>
      setTimeout(() => {
        if (stream.destroyed) return;
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
        stream.end(body);
      }, milliseconds),
    );
    stream.resume();
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(`127.0.0.1:${server.address().port}`)));
}

async function main() {
  const addresses = await Promise.all(served.map((_, index) => listen(index)));
  console.log(JSON.stringify(addresses));
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", () => console.log(JSON.stringify(served)));
  lines.on("close", () => process.exit(0));
}

main();
