// A gRPC client nobody here wrote, against our server. Prints a line for each thing that held; stops at the first that did not.
// usage: node grpc_client.mjs TARGET ECHO-PROTO [FOLDER-WITH-CERTIFICATES]
import fs from "node:fs";
import path from "node:path";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [target, proto, certificates] = process.argv.slice(2);
const contract = grpc.loadPackageDefinition(loader.loadSync(proto, { keepCase: true, defaults: true }));
const read = (name) => fs.readFileSync(path.join(certificates, name));
const credentials = certificates
  ? grpc.credentials.createSsl(read("ca.pem"), read("client.key"), read("client.pem"))
  : grpc.credentials.createInsecure();
const echo = new contract.signet.testing.v1.Echo(target, credentials, { "grpc.keepalive_time_ms": 1000 });

const held = (name, condition, seen) => {
  if (!condition) {
    console.error(`did not hold: ${name}:`, seen);
    process.exit(1);
  }
  console.log(name);
};
const seconds = (n) => ({ deadline: Date.now() + n * 1000 });

const unary = (request, metadata = new grpc.Metadata(), options = seconds(30)) => new Promise((resolve) => {
  const seen = {};
  const call = echo.Unary(request, metadata, options, (error, reply) => {
    seen.error = error;
    seen.reply = reply;
  });
  call.on("metadata", (headers) => { seen.headers = headers; });
  call.on("status", (status) => {
    seen.status = status;
    setImmediate(() => resolve(seen));
  });
});
const collected = (call) => new Promise((resolve) => {
  const seen = { messages: [] };
  call.on("data", (message) => seen.messages.push(message));
  call.on("error", () => {});
  call.on("status", (status) => resolve({ ...seen, status }));
});

const metadata = new grpc.Metadata();
metadata.set("x-plain", "text");
metadata.set("raw-bin", Buffer.from([0, 1, 255]));
let seen = await unary({ text: "hello", behaviour: "HEADERS_FIRST" }, metadata);
held("unary", seen.reply?.text === "hello", seen);
held("request metadata", seen.reply.headers["x-plain"] === "text" && seen.reply.headers["raw-bin"] === "0001FF", seen.reply.headers);
held("response headers", seen.headers.get("x-early")[0] === "yes" && seen.headers.get("early-bin")[0].equals(Buffer.from([7, 8])), seen.headers);
held("trailers", seen.status.metadata.get("x-trailer")[0] === "last", seen.status);

seen = await unary({ behaviour: "REFUSE" });
held("refusal", seen.status.code === grpc.status.PERMISSION_DENIED, seen.status);
held("refusal text", seen.status.details === "nö 100% way\nat all 🙅", seen.status.details);
held("refusal trailers", seen.status.metadata.get("detail-bin")[0].equals(Buffer.from([1, 2, 255, 0])), seen.status.metadata);
seen = await unary({ behaviour: "HANG" }, new grpc.Metadata(), seconds(0.3));
held("deadline", seen.status.code === grpc.status.DEADLINE_EXCEEDED, seen.status);

seen = await collected(echo.Repeat({ count: 1000 }, seconds(60)));
held("server stream", seen.status.code === 0 && seen.messages.every((message, i) => message.count === i) && seen.messages.length === 1000, seen.status);
seen = await collected(echo.Repeat({ count: 3, behaviour: "REFUSE" }, seconds(30)));
held("refusal after messages", seen.status.code === grpc.status.PERMISSION_DENIED && seen.messages.length === 3, seen);

seen = await new Promise((resolve) => {
  const call = echo.Collect(seconds(60), (error, reply) => resolve({ error, reply }));
  for (let i = 0; i < 100; i++) call.write({ payload: Buffer.alloc(100_000) });
  call.end();
});
held("client stream of 10 MB", seen.reply?.text === "10000000", seen);

const chat = echo.Chat(seconds(60));
let turns = 0;
chat.write({ text: "0" });
await new Promise((resolve) => {
  chat.on("data", (reply) => {
    held.last = reply.text;
    if (reply.text !== String(turns)) held("both ways in lock step", false, reply);
    turns++;
    if (turns === 100) chat.end();
    else chat.write({ text: String(turns) });
  });
  chat.on("status", resolve);
});
held("both ways in lock step", turns === 100, turns);

seen = await unary({ behaviour: "BIG", count: 5 * 1024 * 1024 });
held("response too long", seen.status.code === grpc.status.RESOURCE_EXHAUSTED, seen.status);

const leaving = echo.Repeat({ text: "node leaves", count: 1, behaviour: "HANG" }, seconds(60));
const end = collected(leaving);
leaving.once("data", () => setTimeout(() => leaving.cancel(), 2500)); // more than two pings over a silent stream
seen = await end;
held("cancel", seen.status.code === grpc.status.CANCELLED, seen.status);

echo.close();
console.log("done");
