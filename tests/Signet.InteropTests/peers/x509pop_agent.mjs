// Attests by certificate as SPIRE's agent does: shows the chain, signs the server's nonce and one of its own (RSA-PSS with the longest salt, or
// ECDSA with r and s apart), and attests again when it is told to instead of renewing. Prints a line for each thing that held.
// usage: node x509pop_agent.mjs HOST:PORT PROTOS BUNDLE-PEM CERTIFICATE-PEM KEY-PEM CSR-DER CSR-KEY-PEM
import crypto from "node:crypto";
import fs from "node:fs";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [target, protos, bundleFile, certificateFile, keyFile, csrFile, csrKeyFile] = process.argv.slice(2);
const contract = grpc.loadPackageDefinition(loader.loadSync(
  "spire/api/server/agent/v1/agent.proto", { keepCase: true, defaults: true, oneofs: true, includeDirs: [protos], longs: Number })).spire.api.server;
const certificate = new crypto.X509Certificate(fs.readFileSync(certificateFile));
const key = crypto.createPrivateKey(fs.readFileSync(keyFile));
const isRsa = key.asymmetricKeyType === "rsa";

const held = (name, condition, seen) => {
  if (!condition) {
    console.error(`did not hold: ${name}:`, seen);
    process.exit(1);
  }
  console.log(name);
};
const onlyServer = (_, shown) => shown.subjectaltname?.split(", ").includes("URI:spiffe://example.org/spire/server") ? undefined : new Error("not the server");
const connect = (svid) => new contract.agent.v1.Agent(
  target,
  grpc.credentials.createSsl(fs.readFileSync(bundleFile), svid?.key, svid?.chain, { checkServerIdentity: onlyServer }),
  { "grpc.ssl_target_name_override": "server", "grpc.use_local_subchannel_pool": 1 });

const answer = (challenge, signer) => {
  const asked = JSON.parse(challenge);
  const nonce = crypto.randomBytes(32);
  const both = Buffer.concat([Buffer.from((isRsa ? asked.rsa_signature : asked.ecdsa_signature).nonce, "base64"), nonce]);
  if (isRsa) {
    const signature = crypto.sign("sha256", both, { key: signer, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: crypto.constants.RSA_PSS_SALTLEN_MAX_SIGN });
    return { rsa_signature: { nonce: nonce.toString("base64"), signature: signature.toString("base64") }, ecdsa_signature: null };
  }
  const signature = crypto.sign("sha256", both, { key: signer, dsaEncoding: "ieee-p1363" });
  const half = signature.length / 2;
  return { rsa_signature: null, ecdsa_signature: { nonce: nonce.toString("base64"), r: signature.subarray(0, half).toString("base64"), s: signature.subarray(half).toString("base64") } };
};

const attest = (signer) => new Promise((resolve) => {
  const client = connect();
  const call = client.AttestAgent({ deadline: Date.now() + 30_000 });
  const end = (outcome) => {
    client.close();
    resolve(outcome);
  };
  call.on("data", (reply) => {
    if (reply.step === "challenge") {
      call.write({ challenge_response: Buffer.from(JSON.stringify(answer(reply.challenge, signer))) });
    } else {
      end({ result: reply.result });
    }
  });
  call.on("error", (error) => end({ error }));
  call.write({ params: { data: { type: "x509pop", payload: Buffer.from(JSON.stringify({ certificates: [certificate.raw.toString("base64")] })) }, params: { csr: fs.readFileSync(csrFile) } } });
});

const fingerprint = crypto.createHash("sha1").update(certificate.raw).digest("hex");
const joined = await attest(key);
held("attested", joined.result?.svid.id.path === `/spire/agent/x509pop/${fingerprint}`, joined);
held("may attest again", joined.result.reattestable === true, joined.result);

const stolen = await attest(isRsa ? crypto.generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey : crypto.generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);
held("the certificate without its key is nothing", stolen.error?.code === grpc.status.PERMISSION_DENIED, stolen);

const chain = Buffer.from(joined.result.svid.cert_chain.map((der) => new crypto.X509Certificate(der).toString()).join(""));
const own = connect({ key: fs.readFileSync(csrKeyFile), chain });
const renewed = await new Promise((resolve) => own.RenewAgent({ params: { csr: fs.readFileSync(csrFile) } }, { deadline: Date.now() + 30_000 }, (error) => resolve(error)));
// Reason 5 is AGENT_MUST_REATTEST: field 1, a number, in the details.
held("is told to attest again", renewed?.code === grpc.status.PERMISSION_DENIED && renewed.metadata.get("grpc-status-details-bin")[0]?.includes(Buffer.from([8, 5])), renewed);
own.close();

const again = await attest(key);
held("attested again, as the same agent", again.result?.svid.id.path === joined.result.svid.id.path, again);
console.log("done");
