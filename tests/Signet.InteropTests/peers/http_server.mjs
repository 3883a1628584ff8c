// Node's own web servers: HTTP/1.1 at one port and HTTP/2 in plaintext at another. Both do the same.
// usage: node http_server.mjs PORT HTTP2-PORT FILE
import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import http2 from "node:http2";

const [port, secondPort, file] = process.argv.slice(2);
const content = fs.readFileSync(file);
const tag = `"${crypto.createHash("sha256").update(content).digest("hex")}"`;

const serve = (request, response) => {
  const path = request.url.split("?")[0];
  if (path === "/file" && (request.method === "GET" || request.method === "HEAD")) {
    const isKnown = request.headers["if-none-match"] === tag || request.headers["if-modified-since"];
    response.writeHead(isKnown ? 304 : 200, isKnown ? { etag: tag } : { etag: tag, "content-type": "application/octet-stream", "content-length": content.length });
    response.end(isKnown || request.method === "HEAD" ? undefined : content);
  } else if (path === "/echo" && request.method === "POST") {
    response.writeHead(200, { "content-type": "application/octet-stream", trailer: "x-sum" });
    let sum = 0;
    request.on("data", (piece) => {
      sum += piece.length;
      if (!response.write(piece)) {
        request.pause();
        response.once("drain", () => request.resume());
      }
    });
    request.on("end", () => {
      response.addTrailers({ "x-sum": `${sum}` });
      response.end();
    });
  } else if (path === "/early") {
    response.writeEarlyHints({ link: "</style.css>; rel=preload" });
    response.end("late");
  } else {
    response.writeHead(path === "/empty" ? 204 : 404);
    response.end();
  }
};

http.createServer(serve).listen(port, "127.0.0.1");
http2.createServer(serve).listen(secondPort, "127.0.0.1");
