// Joins and works as SPIRE's agent does, call for call: AttestAgent with a join token, then under its SVID GetBundle, SyncAuthorizedEntries,
// BatchNewX509SVID, NewJWTSVID, PostStatus and RenewAgent. Prints a line for each thing that held; stops at the first that did not.
// usage: node spire_agent.mjs HOST:PORT PROTOS BUNDLE-PEM JOIN-TOKEN ENTRIES
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [target, protos, bundleFile, joinToken, expected] = process.argv.slice(2);
const contract = grpc.loadPackageDefinition(loader.loadSync(
  ["agent", "bundle", "entry", "svid"].map((name) => `spire/api/server/${name}/v1/${name}.proto`),
  { keepCase: true, defaults: true, includeDirs: [protos], longs: Number })).spire.api.server;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "signet-spire-agent-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));

const held = (name, condition, seen) => {
  if (!condition) {
    console.error(`did not hold: ${name}:`, seen);
    process.exit(1);
  }
  console.log(name);
};

const request = (name, uri) => {
  const key = path.join(folder, `${name}.key`);
  const csr = execFileSync("openssl", [
    "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj", "/C=US/O=SPIRE", "-outform", "DER",
    ...(uri ? ["-addext", `subjectAltName=URI:${uri}`] : [])], { stdio: ["ignore", "pipe", "ignore"] });
  return { key: fs.readFileSync(key), csr };
};
const pem = (chain) => Buffer.from(chain.map((der) => new X509Certificate(der).toString()).join(""));

// SPIRE's agents look at the SPIFFE ID of the server, not at its name.
const onlyServer = (_, certificate) =>
  certificate.subjectaltname?.split(", ").includes("URI:spiffe://example.org/spire/server") ? undefined : new Error(`not the server: ${certificate.subjectaltname}`);
const connect = (svid) => {
  const credentials = grpc.credentials.createSsl(fs.readFileSync(bundleFile), svid?.key, svid && pem(svid.chain), { checkServerIdentity: onlyServer });
  const options = { "grpc.ssl_target_name_override": "server", "grpc.use_local_subchannel_pool": 1 };
  const services = Object.fromEntries([["agent", "Agent"], ["bundle", "Bundle"], ["entry", "Entry"], ["svid", "SVID"]].map(
    ([name, service]) => [name, new contract[name].v1[service](target, credentials, options)]));
  return { ...services, close: () => Object.values(services).forEach((service) => service.close()) };
};
const ask = (service, method, message) => new Promise((resolve) => {
  service[method](message, { deadline: Date.now() + 30_000 }, (error, reply) => resolve({ error, reply }));
});
const talk = (call, message) => new Promise((resolve) => {
  const seen = [];
  call.on("data", (reply) => {
    seen.push(reply);
    if (!reply.more) {
      resolve({ replies: seen.splice(0) });
    }
  });
  call.on("error", (error) => resolve({ error, replies: seen }));
  call.write(message);
});

// 1. Attest: no certificate of its own yet.
const stranger = connect();
const first = request("agent");
const attest = (token, csr) => talk(stranger.agent.AttestAgent({ deadline: Date.now() + 30_000 }), {
  params: { data: { type: "join_token", payload: Buffer.from(token) }, params: { csr } } });
const joined = await attest(joinToken, first.csr);
held("attested", joined.replies[0]?.result?.svid.id.path === `/spire/agent/join_token/${joinToken}` && joined.replies[0].result.reattestable === false, joined);
const again = await attest(joinToken, request("thief").csr);
held("the token is used up", again.error?.code === grpc.status.PERMISSION_DENIED, again);
stranger.close();
let own = { key: first.key, chain: joined.replies[0].result.svid.cert_chain };
let server = connect(own);

// 2. Trust.
const bundle = await ask(server.bundle, "GetBundle", {});
held("the bundle", bundle.reply?.trust_domain === "example.org" && bundle.reply.x509_authorities.length > 0, bundle);

// 3. What to serve: all at once, or in pages when it is much.
const sync = server.entry.SyncAuthorizedEntries({ deadline: Date.now() + 60_000 });
const mask = { spiffe_id: true, selectors: true, revision_number: true, created_at: true, hint: true, x509_svid_ttl: true, jwt_svid_ttl: true, federates_with: true, admin: true, downstream: true, dns_names: true, store_svid: true, expires_at: true };
const offered = await talk(sync, { output_mask: mask });
let entries = offered.replies.flatMap((reply) => reply.entries);
const revisions = offered.replies.flatMap((reply) => reply.entry_revisions);
if (revisions.length > 0) {
  held("many entries come as revisions in pages", revisions.length === Number(expected) && entries.length === 0 && offered.replies.every((reply) => reply.entry_revisions.length <= 500), offered.replies.length);
  const pages = await new Promise((resolve) => {
    const seen = [];
    sync.removeAllListeners("data");
    sync.on("data", (reply) => {
      seen.push(reply);
      if (!reply.more) {
        resolve(seen);
      }
    });
    sync.write({ ids: revisions.map((revision) => revision.id) });
  });
  held("and in full when they are asked for", pages.every((page) => page.entries.length <= 500) && pages.length === Math.ceil(revisions.length / 500), pages.length);
  entries = pages.flatMap((page) => page.entries);
}
sync.end();
held("entries", entries.length === Number(expected) && entries.every((entry) => entry.id && entry.spiffe_id && entry.parent_id === null), entries[0]);

// 4. SVIDs for them.
const wanted = entries.slice(0, 2).map((entry, index) => ({ entry, ...request(`workload-${index}`, `spiffe://${entry.spiffe_id.trust_domain}${entry.spiffe_id.path}`) }));
const signed = await ask(server.svid, "BatchNewX509SVID", { params: [...wanted.map(({ entry, csr }) => ({ entry_id: entry.id, csr })), { entry_id: "nothing", csr: wanted[0].csr }, { entry_id: entries[0].id, csr: Buffer.from("no CSR") }] });
held("an outcome for each", `${signed.reply?.results.map((result) => result.status.code)}` === `${[...wanted.map(() => 0), 5, 3]}`, signed.reply ?? signed.error);
for (const [index, { entry }] of wanted.entries()) {
  const leaf = new X509Certificate(signed.reply.results[index].svid.cert_chain[0]);
  held(`an SVID of ${entry.spiffe_id.path}`, leaf.subjectAltName === `URI:spiffe://example.org${entry.spiffe_id.path}`, leaf.subjectAltName);
}
const token = await ask(server.svid, "NewJWTSVID", { entry_id: entries[0].id, audience: ["billing"] });
held("a JWT-SVID", token.reply?.svid.token.split(".").length === 3, token);

// 5. A sign of life, and what an agent may not do.
held("status", !(await ask(server.agent, "PostStatus", { current_bundle_serial: 1 })).error);
held("no operator", (await ask(server.entry, "ListEntries", {})).error?.code === grpc.status.PERMISSION_DENIED);

// 6. Renew: the new SVID counts from its first use on, and the one before is worth nothing then.
const next = request("agent-2");
const renewed = await ask(server.agent, "RenewAgent", { params: { csr: next.csr } });
held("renewed", renewed.reply?.svid.cert_chain.length > 0, renewed);
held("the one before works until the new one was used", !(await ask(server.agent, "PostStatus", {})).error);
const fresh = connect({ key: next.key, chain: renewed.reply.svid.cert_chain });
held("the new one works", !(await ask(fresh.agent, "PostStatus", {})).error);
const old = (await ask(server.agent, "PostStatus", {})).error;
held("the one before does not work any more", old?.code === grpc.status.PERMISSION_DENIED, old);
const details = old.metadata.get("grpc-status-details-bin")[0];
held("and says why in SPIRE's own terms", details?.includes("spire.api.types.PermissionDeniedDetails"), details);
server.close();
fresh.close();
console.log("done");
