// Calls every method of the agent's socket as a stranger's program would, and checks every answer and code. Prints a line for each thing that held; stops
// at the first that did not.
// usage: node agent_socket.mjs SOCKET ADMIN-SOCKET PROTOS
import fs from "node:fs";
import { X509Certificate, createPrivateKey } from "node:crypto";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [socket, adminSocket, protos] = process.argv.slice(2);
const contract = grpc.loadPackageDefinition(loader.loadSync(
  ["spiffe/workload.proto", "envoy/service/secret/v3/sds.proto", "spire/api/agent/delegatedidentity/v1/delegatedidentity.proto", "envoy/extensions/transport_sockets/tls/v3/secret.proto"],
  { keepCase: true, defaults: true, includeDirs: [protos], longs: Number }));
const me = "spiffe://example.org/foreign";
const type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

const held = (name, condition, seen) => {
  if (!condition) {
    console.error(`did not hold: ${name}:`, JSON.stringify(seen));
    process.exit(1);
  }
  console.log(name);
};
const same = (a, b) => JSON.stringify([...a].sort()) === JSON.stringify([...b].sort());
const header = (value) => {
  const metadata = new grpc.Metadata();
  if (value) {
    metadata.set("workload.spiffe.io", value);
  }
  return metadata;
};
const options = () => ({ deadline: Date.now() + 30_000 });
const unary = (client, method, request, metadata = new grpc.Metadata()) => new Promise((resolve) =>
  client[method](request, metadata, options(), (error, reply) => resolve({ code: error ? grpc.status[error.code] : "OK", reply })));
const first = (client, method, request, metadata = new grpc.Metadata()) => new Promise((resolve) => {
  const call = client[method](request, metadata, options());
  call.on("data", (reply) => {
    resolve({ code: "OK", reply });
    call.cancel();
  });
  call.on("error", (error) => resolve({ code: grpc.status[error.code] }));
});
const talk = (client, method) => {
  const call = client[method](new grpc.Metadata(), options());
  const waiting = [], heard = [];
  const settle = (answer) => (waiting.length ? waiting.shift()(answer) : heard.push(answer));
  call.on("data", (reply) => settle({ code: "OK", reply }));
  call.on("error", (error) => settle({ code: grpc.status[error.code] }));
  return {
    say: (request) => call.write(request),
    hear: () => new Promise((resolve) => (heard.length ? resolve(heard.shift()) : waiting.push(resolve))),
    end: () => call.cancel(),
  };
};
// What Secret.name is in the packed message: its first field.
const nameOf = (any) => {
  const length = any.value[1] < 128 ? any.value[1] : (any.value[1] & 127) | (any.value[2] << 7);
  const at = any.value[1] < 128 ? 2 : 3;
  return any.value.subarray(at, at + length).toString();
};

// 1. The Workload API.
const workload = new contract.SpiffeWorkloadAPI(`unix:${socket}`, grpc.credentials.createInsecure());
const svids = await first(workload, "FetchX509SVID", {}, header("true"));
held("FetchX509SVID", svids.code === "OK" && same(svids.reply.svids.map((svid) => svid.spiffe_id), [me]), svids);
const leaf = new X509Certificate(svids.reply.svids[0].x509_svid);
held("the SVID names its ID and the key is its own", leaf.subjectAltName.includes(`URI:${me}`) && leaf.checkPrivateKey(createPrivateKey({ key: svids.reply.svids[0].x509_svid_key, format: "der", type: "pkcs8" })));
held("FetchX509Bundles", same(Object.keys((await first(workload, "FetchX509Bundles", {}, header("true"))).reply.bundles), ["spiffe://example.org"]));
const tokens = await unary(workload, "FetchJWTSVID", { audience: ["a"] }, header("true"));
held("FetchJWTSVID", tokens.code === "OK" && tokens.reply.svids[0].spiffe_id === me, tokens);
held("FetchJWTBundles", JSON.parse((await first(workload, "FetchJWTBundles", {}, header("true"))).reply.bundles["spiffe://example.org"]).keys.length > 0);
held("ValidateJWTSVID", (await unary(workload, "ValidateJWTSVID", { audience: "a", svid: tokens.reply.svids[0].svid }, header("true"))).reply.spiffe_id === me);
for (const [method, ask, request] of [["FetchX509SVID", first, {}], ["FetchX509Bundles", first, {}], ["FetchJWTSVID", unary, { audience: ["a"] }], ["FetchJWTBundles", first, {}],
  ["ValidateJWTSVID", unary, { audience: "a", svid: "x" }], ["FetchWITSVID", first, {}], ["FetchWITBundles", first, {}]]) {
  for (const value of [undefined, "TRUE"]) {
    held(`${method} with the header ${value} is refused`, (await ask(workload, method, request, header(value))).code === "INVALID_ARGUMENT");
  }
}
held("FetchWITSVID is unimplemented", (await first(workload, "FetchWITSVID", {}, header("true"))).code === "UNIMPLEMENTED");
held("FetchWITBundles is unimplemented", (await first(workload, "FetchWITBundles", {}, header("true"))).code === "UNIMPLEMENTED");
held("a token without audience is refused", (await unary(workload, "FetchJWTSVID", {}, header("true"))).code === "INVALID_ARGUMENT");
held("a token of another is denied", (await unary(workload, "FetchJWTSVID", { audience: ["a"], spiffe_id: "spiffe://example.org/other" }, header("true"))).code === "PERMISSION_DENIED");
held("a broken token is refused", (await unary(workload, "ValidateJWTSVID", { audience: "a", svid: "a.b.c" }, header("true"))).code === "INVALID_ARGUMENT");

// 2. SDS in its three ways.
const sds = new contract.envoy.service.secret.v3.SecretDiscoveryService(`unix:${socket}`, grpc.credentials.createInsecure());

// The first who asks for a certificate gets it at once, and once more when its staple has come: that is over before the streams begin.
const ocspResponse = Buffer.from("2b0601050507300101", "hex");
let isStapled = false;
for (let i = 0; i < 400 && !isStapled; i++) {
  isStapled = (await unary(sds, "FetchSecrets", { resource_names: ["default"] })).reply.resources[0].value.includes(ocspResponse);
  await new Promise((resolve) => setTimeout(resolve, 50));
}
held("a staple comes with the certificate", isStapled);
const sotw = talk(sds, "StreamSecrets");
sotw.say({ type_url: type, node: { id: "node-sotw" }, resource_names: ["default", "ROOTCA", "spiffe://example.org/other"] });
const told = (await sotw.hear()).reply;
held("StreamSecrets", same(told.resources.map(nameOf), ["default", "ROOTCA"]), told.resources.map(nameOf));
held("StreamSecrets reports the guess for itself", same(told.resource_errors.map((error) => error.resource_name.name), ["spiffe://example.org/other"]), told.resource_errors);
sotw.say({ type_url: type, resource_names: ["default", "ROOTCA", "ALL"], version_info: told.version_info, response_nonce: told.nonce });
held("a further name is answered", (await sotw.hear()).reply.resources.map(nameOf).includes("ALL"));
sotw.say({ type_url: "type.googleapis.com/envoy.config.cluster.v3.Cluster", resource_names: ["x"] });
held("another type ends the stream", (await sotw.hear()).code === "INVALID_ARGUMENT");
const delta = talk(sds, "DeltaSecrets");
delta.say({ type_url: type, resource_names_subscribe: ["default", "spiffe://example.org/other"] });
const changed = (await delta.hear()).reply;
held("DeltaSecrets", same(changed.resources.map((resource) => resource.name), ["default"]) && same(changed.removed_resources, ["spiffe://example.org/other"]), changed);
delta.say({ type_url: type, response_nonce: changed.nonce, error_detail: { code: 13, message: "not this one" } });
delta.say({ type_url: type, resource_names_subscribe: ["ROOTCA"] });
held("a rejected version is not told again", same((await delta.hear()).reply.resources.map((resource) => resource.name), ["ROOTCA"]));
delta.end();
held("FetchSecrets", (await unary(sds, "FetchSecrets", { type_url: type, resource_names: ["default"] })).reply.resources.length === 1);
held("FetchSecrets of another's is not found", (await unary(sds, "FetchSecrets", { resource_names: ["spiffe://example.org/other"] })).code === "NOT_FOUND");
held("FetchSecrets of too many is refused", (await unary(sds, "FetchSecrets", { resource_names: [...Array(257).keys()].map(String) })).code === "INVALID_ARGUMENT");

// 3. The admin socket.
const delegated = new contract.spire.api.agent.delegatedidentity.v1.DelegatedIdentity(`unix:${adminSocket}`, grpc.credentials.createInsecure());
if (process.geteuid() === 0) {
  const other = { selectors: [{ type: "unix", value: "uid:4000000" }] };
  held("SubscribeToX509SVIDs", (await first(delegated, "SubscribeToX509SVIDs", other)).reply.x509_svids[0].x509_svid.id.path === "/other");
  held("SubscribeToX509SVIDs of nobody named is refused", (await first(delegated, "SubscribeToX509SVIDs", {})).code === "INVALID_ARGUMENT");
  held("SubscribeToX509Bundles", same(Object.keys((await first(delegated, "SubscribeToX509Bundles", {})).reply.ca_certificates), ["spiffe://example.org"]));
  held("FetchJWTSVIDs", (await unary(delegated, "FetchJWTSVIDs", { audience: ["a"], ...other })).reply.svids[0].id.path === "/other");
  held("FetchJWTSVIDs without audience is refused", (await unary(delegated, "FetchJWTSVIDs", other)).code === "INVALID_ARGUMENT");
  held("SubscribeToJWTBundles", same(Object.keys((await first(delegated, "SubscribeToJWTBundles", {})).reply.bundles), ["spiffe://example.org"]));
}
held("the socket is there", fs.statSync(socket).isSocket());
console.log("done");
process.exit(0);
