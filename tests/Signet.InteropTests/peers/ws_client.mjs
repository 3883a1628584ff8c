// Node's own WebSocket client, as browsers have it. Prints a line for each thing that held; stops at the first that did not.
// usage: node --experimental-websocket ws_client.mjs HOST:PORT
const target = `ws://${process.argv[2]}`;
const held = (name, condition, seen) => {
  if (!condition) {
    console.error(`did not hold: ${name}:`, seen);
    process.exit(1);
  }
  console.log(name);
};
const open = (path, ...rest) => new Promise((resolve, reject) => {
  const socket = new WebSocket(target + path, ...rest);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => resolve(socket);
  socket.onerror = (event) => reject(event.error ?? new Error("refused"));
});
const next = (socket) => new Promise((resolve) => { socket.onmessage = (event) => resolve(event.data); });
const end = (socket) => new Promise((resolve) => { socket.onclose = resolve; });

const socket = await open("/chat", ["chat"]);
held("subprotocol", socket.protocol === "chat", socket.protocol);
let reply = next(socket);
socket.send("grüß dich 🙂");
held("text", (await reply) === "grüß dich 🙂");
const bytes = Uint8Array.from({ length: 1_000_000 }, (_, i) => i & 255);
reply = next(socket);
socket.send(bytes);
held("binary", Buffer.from(await reply).equals(Buffer.from(bytes)));
let ending = end(socket);
socket.close(3001, "bye");
let seen = await ending;
held("close", seen.code === 3001 && seen.wasClean, seen);
const other = new WebSocket(`${target}/close?code=4002&reason=no`);
seen = await end(other);
held("close of the server", seen.code === 4002 && seen.reason === "no", seen);
held("denied", await open("/forbidden").then(() => false, () => true));
console.log("done");
process.exit(0);
