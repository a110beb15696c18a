// What a page of another origin gets through Telamon: by Connect-ES in both its protocols, and by grpc-web in both its forms. Bundled for
// the browser; gives what came of it to the server that it was loaded from.
import { createFileRegistry, fromBinary, toBinary, create } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { GrpcWebClientBase, MethodDescriptor } from "grpc-web";

const baseUrl = new URLSearchParams(location.search).get("telamon");

async function failure(call, Note) {
  try {
    return { answered: await call() };
  } catch (error) {
    const failed = ConnectError.from(error);
    const notes = Note ? failed.findDetails(Note).map((note) => note.text) : [];
    return { code: Code[failed.code], message: failed.rawMessage, notes };
  }
}

async function byConnect(registry, transport) {
  const client = createClient(registry.getService("probe.v1.Probe"), transport);
  const Note = registry.getMessage("probe.v1.Note");
  const got = {};
  const answer = await client.unary(
    { text: "from a page", payload: new Uint8Array([0, 255, 128]) },
    {
      headers: { "x-echo-word": "yes" },
      timeoutMs: 10000,
      onHeader: (headers) => (got.head = headers.get("x-head-word")),
      onTrailer: (trailers) => (got.trailer = trailers.get("x-trailer-word")),
    },
  );
  Object.assign(got, { text: answer.text, payload: [...answer.payload], indices: [] });
  for await (const item of client.expand({ count: 20 })) got.indices.push(item.index);
  got.error = await failure(() => client.unary({ failCode: 5, failMessage: "näh", notes: ["a", "b"] }), Note);
  got.late = await failure(() => client.unary({ delayMs: 20000 }, { timeoutMs: 300 }));
  const before = [];
  got.failing = await failure(async () => {
    for await (const item of client.expand({ count: 3, failCode: 8, failMessage: "enough" })) before.push(item.index);
  });
  return { ...got, before };
}

function byGrpcWeb(registry, format) {
  const [Ask, Answer] = ["probe.v1.Ask", "probe.v1.Answer"].map((name) => registry.getMessage(name));
  const method = (name, type) =>
    new MethodDescriptor(
      `/probe.v1.Probe/${name}`,
      type,
      Object,
      Object,
      (ask) => toBinary(Ask, create(Ask, ask)),
      (bytes) => fromBinary(Answer, bytes),
    );
  const client = new GrpcWebClientBase({ format });
  const unary = (ask, metadata = {}) =>
    new Promise((resolve) => {
      const got = {};
      const call = client.rpcCall(
        `${baseUrl}/probe.v1.Probe/Unary`,
        ask,
        metadata,
        method("Unary", "unary"),
        (error, answer) => {
          if (error) resolve({ code: error.code, message: error.message });
          else Object.assign(got, { text: answer.text, payload: [...answer.payload] });
        },
      );
      call.on("metadata", (head) => (got.head = head["x-head-word"]));
      call.on("status", (status) => (got.trailer = status.metadata?.["x-trailer-word"]));
      call.on("end", () => resolve(got));
    });
  const expand = (ask) =>
    new Promise((resolve) => {
      const got = { indices: [] };
      const call = client.serverStreaming(
        `${baseUrl}/probe.v1.Probe/Expand`,
        ask,
        {},
        method("Expand", "server_streaming"),
      );
      call.on("data", (answer) => got.indices.push(answer.index));
      call.on("error", (error) => resolve({ ...got, code: error.code, message: error.message }));
      call.on("end", () => resolve(got));
    });
  return { unary, expand };
}

async function main() {
  if (location.hash === "#refused") {
    return { refused: await fetch(`${baseUrl}/v1/ask?text=x`).then(String, (error) => error.name) };
  }
  const set = await fetch("/probe.binpb").then((answer) => answer.arrayBuffer());
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, new Uint8Array(set)));
  const result = {
    "connect json": await byConnect(registry, createConnectTransport({ baseUrl })),
    "connect proto": await byConnect(registry, createConnectTransport({ baseUrl, useBinaryFormat: true })),
    "grpc-web": await byConnect(registry, createGrpcWebTransport({ baseUrl })),
  };
  for (const format of ["text", "binary"]) {
    const { unary, expand } = byGrpcWeb(registry, format);
    result[`grpc-web ${format}`] = {
      unary: await unary({ text: "from a page", payload: new Uint8Array([0, 255, 128]) }, { "x-echo-word": "yes" }),
      error: await unary({ failCode: 5, failMessage: "näh" }),
      // The library streams text alone.
      ...(format === "text" && {
        expanded: await expand({ count: 20, size: 1000 }),
        failing: await expand({ count: 3, failCode: 8, failMessage: "enough" }),
      }),
    };
  }
  result.rest = await fetch(`${baseUrl}/v1/ask?text=plain`).then((answer) => answer.json());
  return result;
}

main()
  .catch((error) => ({ broke: String(error.stack ?? error) }))
  .then((result) => fetch("/result", { method: "POST", body: JSON.stringify(result) }));
