"""Calls every method of the agent's sockets as a stranger's program would and checks every answer and code. Prints a line for each thing that held;
stops at the first that did not.

usage: agent_socket.py SOCKET ADMIN-SOCKET STUBS FILES
FILES is a folder with cert.pem, key.pem, root.pem (readable) and secret.pem (not readable for this user).
"""
import json
import os
import queue
import sys
import time

import grpc

socket, admin_socket, stubs, files = sys.argv[1:5]
sys.path.insert(0, stubs)

from spiffe import workload_pb2 as w, workload_pb2_grpc  # noqa: E402
from envoy.service.secret.v3 import sds_pb2_grpc  # noqa: E402
from envoy.service.discovery.v3 import discovery_pb2 as d  # noqa: E402
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_spiffe_validator_config_pb2  # noqa: E402
from spire.api.agent.delegatedidentity.v1 import delegatedidentity_pb2 as di, delegatedidentity_pb2_grpc  # noqa: E402
from spire.api.agent.debug.v1 import debug_pb2, debug_pb2_grpc  # noqa: E402
from spire.api.types import selector_pb2  # noqa: E402

HEADER = (("workload.spiffe.io", "true"),)
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
ME = "spiffe://example.org/foreign"


def held(name, condition, seen=None):
    if not condition:
        sys.exit(f"did not hold: {name}: {seen}")
    print(name, flush=True)


def code(call):
    try:
        answer = call()
        if hasattr(answer, "__next__"):
            next(answer)
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


class Stream:
    """A stream of requests that are given one by one."""

    def __init__(self, method):
        self.requests = queue.Queue()
        self.responses = method(iter(self.requests.get, None), timeout=30)

    def say(self, request):
        self.requests.put(request)

    def hear(self):
        return next(self.responses)

    def end(self):
        self.requests.put(None)
        self.responses.cancel()


def secrets(response):
    found = {}
    for packed in response.resources:
        secret = secret_pb2.Secret()
        held_any = packed.resource if hasattr(packed, "resource") else packed
        held_any.Unpack(secret)
        found[secret.name] = secret
    return found


with grpc.insecure_channel("unix:" + socket) as channel:
    api = workload_pb2_grpc.SpiffeWorkloadAPIStub(channel)

    # 1. The Workload API.
    svids = next(api.FetchX509SVID(w.X509SVIDRequest(), metadata=HEADER, timeout=20))
    held("FetchX509SVID", [s.spiffe_id for s in svids.svids] == [ME] and svids.svids[0].x509_svid_key, svids)
    held("FetchX509Bundles", list(next(api.FetchX509Bundles(w.X509BundlesRequest(), metadata=HEADER, timeout=20)).bundles) == ["spiffe://example.org"])
    tokens = api.FetchJWTSVID(w.JWTSVIDRequest(audience=["a", "b"]), metadata=HEADER, timeout=20)
    held("FetchJWTSVID", [s.spiffe_id for s in tokens.svids] == [ME], tokens)
    keys = next(api.FetchJWTBundles(w.JWTBundlesRequest(), metadata=HEADER, timeout=20)).bundles
    held("FetchJWTBundles", {k["use"] for k in json.loads(keys["spiffe://example.org"])["keys"]} == {"jwt-svid"})
    valid = api.ValidateJWTSVID(w.ValidateJWTSVIDRequest(audience="a", svid=tokens.svids[0].svid), metadata=HEADER, timeout=20)
    held("ValidateJWTSVID", valid.spiffe_id == ME and list(valid.claims["aud"]) == ["a", "b"], valid)
    held("FetchWITSVID is unimplemented", code(lambda: api.FetchWITSVID(w.WITSVIDRequest(), metadata=HEADER, timeout=20)) == "UNIMPLEMENTED")
    held("FetchWITBundles is unimplemented", code(lambda: api.FetchWITBundles(w.WITBundlesRequest(), metadata=HEADER, timeout=20)) == "UNIMPLEMENTED")
    for method, request in [(api.FetchX509SVID, w.X509SVIDRequest()), (api.FetchX509Bundles, w.X509BundlesRequest()), (api.FetchJWTSVID, w.JWTSVIDRequest(audience=["a"])),
                            (api.FetchJWTBundles, w.JWTBundlesRequest()), (api.ValidateJWTSVID, w.ValidateJWTSVIDRequest(audience="a", svid="x")),
                            (api.FetchWITSVID, w.WITSVIDRequest()), (api.FetchWITBundles, w.WITBundlesRequest())]:
        for headers in [(), (("workload.spiffe.io", "TRUE"),)]:
            held(f"{type(request).__name__} with header {headers} is refused", code(lambda: method(request, metadata=headers, timeout=20)) == "INVALID_ARGUMENT")
    held("a token without audience is refused", code(lambda: api.FetchJWTSVID(w.JWTSVIDRequest(), metadata=HEADER, timeout=20)) == "INVALID_ARGUMENT")
    held("a token of what is no ID is refused", code(lambda: api.FetchJWTSVID(w.JWTSVIDRequest(audience=["a"], spiffe_id="x"), metadata=HEADER, timeout=20)) == "INVALID_ARGUMENT")
    held("a token of another is denied", code(lambda: api.FetchJWTSVID(w.JWTSVIDRequest(audience=["a"], spiffe_id="spiffe://example.org/other"), metadata=HEADER, timeout=20)) == "PERMISSION_DENIED")
    held("a token for another is refused", code(lambda: api.ValidateJWTSVID(w.ValidateJWTSVIDRequest(audience="c", svid=tokens.svids[0].svid), metadata=HEADER, timeout=20)) == "INVALID_ARGUMENT")

    # 2. SDS, state of the world, as Envoy speaks it.
    sds = sds_pb2_grpc.SecretDiscoveryServiceStub(channel)

    # The first who asks for a certificate gets it at once, and once more when its staple has come: that is over before the streams begin.
    for _ in range(400):
        stapled = secrets(sds.FetchSecrets(d.DiscoveryRequest(resource_names=["default"]), timeout=20))["default"].tls_certificate.HasField("ocsp_staple")
        if stapled:
            break
        time.sleep(0.05)
    held("a staple comes with the certificate", stapled)
    pair, roots, secret = f"file-cert:{files}/cert.pem~{files}/key.pem", f"file-root:{files}/root.pem", f"file-root:{files}/secret.pem"
    names = ["default", "ROOTCA", "ALL", ME, "spiffe://example.org", pair, roots, secret, "spiffe://example.org/other", "nonsense"]
    stream = Stream(sds.StreamSecrets)
    request = d.DiscoveryRequest(type_url=SECRET, resource_names=names)
    request.node.id = "python-sotw"
    request.node.user_agent_name = "envoy"
    request.node.user_agent_build_version.version.major_number = 1
    request.node.user_agent_build_version.version.minor_number = 37
    stream.say(request)
    first = stream.hear()
    found = secrets(first)
    held("StreamSecrets serves what is there", sorted(found) == sorted(names[:7]), sorted(found))
    held("StreamSecrets reports what is not, each for itself", sorted(e.resource_name.name for e in first.resource_errors) == sorted(names[7:]), first.resource_errors)
    held("the key is PKCS#8 in inline bytes", found["default"].tls_certificate.private_key.inline_bytes.startswith(b"-----BEGIN PRIVATE KEY"))
    validator = tls_spiffe_validator_config_pb2.SPIFFECertValidatorConfig()
    found["ROOTCA"].validation_context.custom_validator_config.typed_config.Unpack(validator)
    held("Envoy gets the SPIFFE validator", [t.name for t in validator.trust_domains] == ["example.org"], found["ROOTCA"])
    held("files are what they hold", found[pair].tls_certificate.certificate_chain.inline_bytes == open(f"{files}/cert.pem", "rb").read())
    request = d.DiscoveryRequest(type_url=SECRET, resource_names=names, version_info=first.version_info, response_nonce="stale")
    stream.say(request)
    request = d.DiscoveryRequest(type_url=SECRET, resource_names=names, version_info=first.version_info, response_nonce=first.nonce)
    stream.say(request)
    request = d.DiscoveryRequest(type_url=SECRET, resource_names=["ROOTCA", "default", "spiffe://example.org/x"], version_info=first.version_info, response_nonce=first.nonce)
    stream.say(request)
    second = stream.hear()
    held("a new name is answered, a stale nonce is not", sorted(secrets(second)) == ["ROOTCA", "default"] and second.nonce != first.nonce, second)
    request = d.DiscoveryRequest(type_url=SECRET, resource_names=["ROOTCA", "default", "spiffe://example.org/x"], version_info=first.version_info, response_nonce=second.nonce)
    request.error_detail.code = 13
    request.error_detail.message = "not this one"
    stream.say(request)

    # 3. As MOSN speaks it: names one by one without version or nonce, all of them in the acknowledgement, inline bytes only.
    mosn = Stream(sds.StreamSecrets)
    mosn.say(d.DiscoveryRequest(type_url=SECRET, resource_names=["default"]))
    one = mosn.hear()
    mosn.say(d.DiscoveryRequest(type_url=SECRET, resource_names=["ROOTCA"]))
    two = mosn.hear()
    held("names one by one", list(secrets(one)) == ["default"] and list(secrets(two)) == ["ROOTCA"])
    held("a plain list for who knows no validator", secrets(two)["ROOTCA"].validation_context.trusted_ca.inline_bytes.startswith(b"-----BEGIN CERTIFICATE"))
    mosn.say(d.DiscoveryRequest(type_url=SECRET, resource_names=["default", "ROOTCA"], version_info=two.version_info, response_nonce=two.nonce))
    held("all of them in the acknowledgement", sorted(secrets(mosn.hear())) == ["ROOTCA", "default"])
    mosn.end()

    # 4. Increments.
    delta = Stream(sds.DeltaSecrets)
    delta.say(d.DeltaDiscoveryRequest(type_url=SECRET, resource_names_subscribe=["default", pair, "spiffe://example.org/other"]))
    first = delta.hear()
    held("DeltaSecrets serves what is there", sorted(r.name for r in first.resources) == ["default", pair], first)
    held("DeltaSecrets takes back what is not", list(first.removed_resources) == ["spiffe://example.org/other"], first)
    delta.say(d.DeltaDiscoveryRequest(type_url=SECRET, response_nonce=first.nonce))
    delta.say(d.DeltaDiscoveryRequest(type_url=SECRET, resource_names_subscribe=["ALL"], resource_names_unsubscribe=[pair]))
    held("only what is new is told", [r.name for r in delta.hear().resources] == ["ALL"])
    delta.end()
    again = Stream(sds.DeltaSecrets)
    again.say(d.DeltaDiscoveryRequest(type_url=SECRET, resource_names_subscribe=["default", "ROOTCA"], initial_resource_versions={"default": first.resources[0].version, "ROOTCA": "old"}))
    held("who comes back is told what it has not", [r.name for r in again.hear().resources] == ["ROOTCA"])
    again.end()
    held("FetchSecrets", list(secrets(sds.FetchSecrets(d.DiscoveryRequest(type_url=SECRET, resource_names=["default"]), timeout=20))) == ["default"])
    held("FetchSecrets of another's is not found", code(lambda: sds.FetchSecrets(d.DiscoveryRequest(resource_names=["spiffe://example.org/other"]), timeout=20)) == "NOT_FOUND")
    held("FetchSecrets of a file that may not be read is denied", code(lambda: sds.FetchSecrets(d.DiscoveryRequest(resource_names=[secret]), timeout=20)) == "PERMISSION_DENIED")
    held("another type is refused", code(lambda: sds.FetchSecrets(d.DiscoveryRequest(type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster"), timeout=20)) == "INVALID_ARGUMENT")
    held("too many names are refused", code(lambda: sds.FetchSecrets(d.DiscoveryRequest(resource_names=[str(i) for i in range(257)]), timeout=20)) == "INVALID_ARGUMENT")
    stream.end()

# 5. The admin socket, which belongs to its owner.
with grpc.insecure_channel("unix:" + admin_socket) as channel:
    delegated = delegatedidentity_pb2_grpc.DelegatedIdentityStub(channel)
    if os.geteuid() == 0:
        other = selector_pb2.Selector(type="unix", value="uid:4000000")
        answer = next(delegated.SubscribeToX509SVIDs(di.SubscribeToX509SVIDsRequest(selectors=[other]), timeout=20))
        held("SubscribeToX509SVIDs by selectors", [s.x509_svid.id.path for s in answer.x509_svids] == ["/other"], answer)
        answer = next(delegated.SubscribeToX509SVIDs(di.SubscribeToX509SVIDsRequest(pid=os.getpid()), timeout=20))
        held("SubscribeToX509SVIDs by process", [s.x509_svid.id.path for s in answer.x509_svids] == ["/foreign"], answer)
        held("SubscribeToX509Bundles", list(next(delegated.SubscribeToX509Bundles(di.SubscribeToX509BundlesRequest(), timeout=20)).ca_certificates) == ["spiffe://example.org"])
        answer = delegated.FetchJWTSVIDs(di.FetchJWTSVIDsRequest(audience=["a"], selectors=[other]), timeout=20)
        held("FetchJWTSVIDs", [s.id.path for s in answer.svids] == ["/other"], answer)
        held("SubscribeToJWTBundles", list(next(delegated.SubscribeToJWTBundles(di.SubscribeToJWTBundlesRequest(), timeout=20)).bundles) == ["spiffe://example.org"])
        held("selectors and process together are refused", code(lambda: delegated.FetchJWTSVIDs(di.FetchJWTSVIDsRequest(audience=["a"], selectors=[other], pid=1), timeout=20)) == "INVALID_ARGUMENT")
        held("GetInfo", debug_pb2_grpc.DebugStub(channel).GetInfo(debug_pb2.GetInfoRequest(), timeout=20).cached_x509_svids_count >= 2)
print("done")
