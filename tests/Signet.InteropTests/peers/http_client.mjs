// Node's own clients of HTTP/1.1 and HTTP/2 toward a server like http_server.mjs. Prints a line for each thing that held; stops at the first that did not.
// usage: node http_client.mjs HOST:PORT
import http from "node:http";
import http2 from "node:http2";

const target = process.argv[2];
const [host, port] = target.split(":");
const held = (name, condition, seen) => {
  if (!condition) {
    console.error(`did not hold: ${name}:`, seen);
    process.exit(1);
  }
  console.log(name);
};
const bytes = (length) => Buffer.alloc(length, "0123456789abcdef");

const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
const ask = (method, path, body, headers = {}) => new Promise((resolve, reject) => {
  const hints = [];
  const request = http.request({ agent, host, port, method, path, headers }, (response) => {
    const pieces = [];
    response.on("data", (piece) => pieces.push(piece));
    const { localPort } = response.socket;
    response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, trailers: response.trailers, body: Buffer.concat(pieces), hints, port: localPort }));
    response.on("error", reject);
  });
  request.on("information", (info) => hints.push(info.statusCode));
  request.on("error", reject);
  request.end(body);
});

let seen = await ask("GET", "/file");
held("HTTP/1.1 file", seen.status === 200 && seen.body.length === Number(seen.headers["content-length"]), seen.status);
const tag = seen.headers.etag;
seen = await ask("GET", "/file", undefined, { "if-none-match": tag });
held("HTTP/1.1 not modified", seen.status === 304 && seen.body.length === 0, seen.status);
seen = await ask("GET", "/empty");
held("HTTP/1.1 no content", seen.status === 204 && seen.body.length === 0, seen.status);
seen = await ask("GET", "/early");
held("HTTP/1.1 early hints", seen.hints.includes(103) && seen.body.toString() === "late", seen);
seen = await ask("POST", "/echo", bytes(300_000), { "transfer-encoding": "chunked" });
held("HTTP/1.1 chunks and trailers", seen.body.equals(bytes(300_000)) && seen.trailers["x-sum"] === "300000", seen.trailers);
const many = await Promise.all(Array.from({ length: 100 }, (_, i) => ask("POST", "/echo", bytes(i * 100))));
held("HTTP/1.1 a hundred at once on four connections", many.every((one, i) => one.body.equals(bytes(i * 100))) && new Set(many.map((one) => one.port)).size <= 4, many.map((one) => one.port));
agent.destroy();

const session = http2.connect(`http://${target}`);
const stream = (method, path, body, headers = {}) => new Promise((resolve) => {
  const call = session.request({ ":method": method, ":path": path, ...headers }, { endStream: body === undefined });
  const pieces = [];
  const seen = { hints: [], trailers: {} };
  call.on("headers", (head) => seen.hints.push(head[":status"]));
  call.on("response", (head) => { seen.headers = head; seen.status = head[":status"]; });
  call.on("trailers", (trailers) => { seen.trailers = trailers; });
  call.on("data", (piece) => pieces.push(piece));
  call.on("error", (error) => { seen.error = error; });
  call.on("close", () => resolve({ ...seen, code: call.rstCode, body: Buffer.concat(pieces) }));
  if (body !== undefined) call.end(body);
});

seen = await stream("GET", "/file");
held("HTTP/2 file", seen.status === 200 && seen.body.length === Number(seen.headers["content-length"]), seen.headers);
seen = await stream("HEAD", "/file");
held("HTTP/2 head", seen.status === 200 && seen.body.length === 0 && Number(seen.headers["content-length"]) > 0, seen.headers);
seen = await stream("GET", "/file", undefined, { "if-none-match": tag });
held("HTTP/2 not modified", seen.status === 304, seen.headers);
seen = await stream("GET", "/early");
held("HTTP/2 early hints", seen.hints.includes(103) && seen.body.toString() === "late", seen);
const streams = await Promise.all(Array.from({ length: 200 }, (_, i) => stream("POST", "/echo", bytes(i * 500))));
held("HTTP/2 two hundred streams and their trailers", streams.every((one, i) => one.body.equals(bytes(i * 500)) && one.trailers["x-sum"] === `${i * 500}`), streams.find((one) => one.error));
seen = await stream("POST", "/echo", bytes(5_000_000));
held("HTTP/2 five megabytes both ways", seen.body.equals(bytes(5_000_000)), seen.body.length);

// One stream that its client gives up while it flows; the others do not notice.
const beside = stream("POST", "/echo", bytes(1_000_000));
await new Promise((resolve) => {
  const call = session.request({ ":method": "POST", ":path": "/echo" });
  call.write(bytes(10_000));
  call.once("data", () => call.close(http2.constants.NGHTTP2_CANCEL));
  call.on("close", resolve);
  call.on("error", () => {});
});
held("HTTP/2 one stream cancelled", (await beside).body.length === 1_000_000);
await new Promise((resolve, reject) => session.ping((error) => (error ? reject(error) : resolve())));
held("HTTP/2 ping", !session.destroyed);
await new Promise((resolve) => session.close(resolve));
console.log("done");
