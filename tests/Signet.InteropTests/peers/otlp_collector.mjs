// A collector of traces that reads what it gets by OpenTelemetry's own definitions, and prints each request as a line of JSON.
// usage: node otlp_collector.mjs PORT
import http from "node:http";
import { createRequire } from "node:module";

// What OpenTelemetry's protoc made of its contracts: its exporters are built on it, and what they write is read by it in their own tests.
const { opentelemetry } = createRequire(import.meta.url)("@opentelemetry/otlp-transformer/build/src/generated/root.js");
const { ExportTraceServiceRequest, ExportTraceServiceResponse } = opentelemetry.proto.collector.trace.v1;

http.createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray());
  const decoded = ExportTraceServiceRequest.decode(body);

  // What was decoded is all that was sent when it is the same once encoded again: nothing was of an unknown field or another type.
  const isWhole = Buffer.compare(ExportTraceServiceRequest.encode(decoded).finish(), body) === 0;
  const problem = ExportTraceServiceRequest.verify(decoded);
  const { resourceSpans } = ExportTraceServiceRequest.toObject(decoded, { enums: String, longs: String, bytes: String });
  console.log(JSON.stringify({ line: `${request.method} ${request.url} ${request.headers["content-type"]}`, isWhole, problem, resourceSpans }));
  response.writeHead(200, { "content-type": "application/x-protobuf" });
  response.end(ExportTraceServiceResponse.encode({}).finish());
}).listen(Number(process.argv[2]), "127.0.0.1");
