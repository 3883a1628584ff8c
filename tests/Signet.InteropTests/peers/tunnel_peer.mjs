// The other end of a tunnel, by Node.js: HTTP/2 with CONNECT streams inside mutual TLS.
//   tunnel_peer.mjs client PORT FOLDER AUTHORITY STREAMS OCTETS   prints a line for each stream: its status and the octets that came back unchanged
//   tunnel_peer.mjs server PORT FOLDER                            echoes what each stream carries, and refuses streams to port 9
import fs from "node:fs";
import http2 from "node:http2";
import tls from "node:tls";

const [role, port, folder, authority, streams, octets] = process.argv.slice(2);
const identity = {
  cert: fs.readFileSync(`${folder}/chain.pem`),
  key: fs.readFileSync(`${folder}/key.pem`),
  ca: fs.readFileSync(`${folder}/bundle.pem`),
  ALPNProtocols: ["signet-tunnel"],
};

function call(session, number) {
  return new Promise((resolve) => {
    const sent = Buffer.alloc(Number(octets) + number, number % 251);
    const received = [];
    let status = 0;
    const stream = session.request({ ":method": "CONNECT", ":authority": authority }, { endStream: false });
    stream.on("response", (head) => {
      status = head[":status"];
      stream.end(status === 200 ? sent : undefined);
    });
    stream.on("data", (piece) => received.push(piece));
    stream.on("error", (problem) => resolve(`${status} ${problem.code}`));
    stream.on("end", () => resolve(`${status} ${Buffer.concat(received).equals(sent) ? "same" : `${Buffer.concat(received).length} octets`}`));
  });
}

if (role === "client") {
  const socket = tls.connect({ host: "127.0.0.1", port: Number(port), checkServerIdentity: () => undefined, ...identity }, async () => {
    const session = http2.connect("https://tunnel.invalid", { createConnection: () => socket });
    session.on("error", (problem) => console.log(`session ${problem.message}`));
    const lines = await Promise.all(Array.from({ length: Number(streams) }, (_, number) => call(session, number)));
    console.log(`alpn ${socket.alpnProtocol}`);
    lines.forEach((line) => console.log(line));
    session.close();
  });
  socket.on("error", (problem) => console.log(`socket ${problem.message}`));
} else {
  const server = tls.createServer({ requestCert: true, rejectUnauthorized: true, ...identity }, (socket) => {
    const session = http2.performServerHandshake(socket);
    session.on("error", () => {});
    session.on("stream", (stream, head) => {
      stream.on("error", () => {});
      if (head[":method"] !== "CONNECT" || head[":authority"].endsWith(":9")) {
        stream.respond({ ":status": 403 }, { endStream: true });
        return;
      }
      stream.respond({ ":status": 200 });
      stream.pipe(stream);
    });
  });
  server.on("tlsClientError", (problem) => console.error(problem.message));
  server.listen(Number(port), "127.0.0.1");
}
