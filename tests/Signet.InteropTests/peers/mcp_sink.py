"""An MCP sink nobody here wrote, at the server's socket: collections, differences, refusals, MCP over xDS, and what a hostile sink does.

usage: mcp_sink.py SOCKET STUBS FOLDER
"""

import os
import queue
import sys

sys.path.insert(0, sys.argv[2])

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.rpc import status_pb2
from istio.mcp.v1alpha1 import mcp_pb2, mcp_pb2_grpc
from istio.security.v1beta1 import security_pb2
from k8s import core_pb2

PODS = "k8s/core/v1/pods"
POLICIES = "istio/security/v1beta1/AuthorizationPolicy"
channel = grpc.insecure_channel(f"unix:{sys.argv[1]}")


class Stream:
    """One stream: what is put goes out, what comes in is got with patience."""

    def __init__(self, method):
        self.requests = queue.Queue()
        self.call = method(iter(self.requests.get, None))

    def say(self, message):
        self.requests.put(message)
        return self

    def hear(self):
        return next(self.call)

    def fails(self, code):
        try:
            while True:
                next(self.call)
        except grpc.RpcError as error:
            assert error.code() == code, (error.code(), error.details())
            return error.details()

    def close(self):
        self.requests.put(None)
        self.call.cancel()


def write(name, text):
    path = os.path.join(sys.argv[3], name)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path + ".yaml")


def pod(name, uid):
    return f"{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, uid: {uid}, labels: {{app: web}}}}, status: {{phase: Running, podIP: 10.0.0.1}}}}\n"


def ask(collection, **more):
    return mcp_pb2.RequestResources(sink_node=mcp_pb2.SinkNode(id="python"), collection=collection, **more)


source = mcp_pb2_grpc.ResourceSourceStub(channel)

# 1. Collections come with what their owners publish, each by itself, and differences only.
stream = Stream(source.EstablishResourceStream).say(ask(PODS, incremental=True))
first = stream.hear()
assert (first.collection, first.incremental, sorted(one.metadata.name for one in first.resources)) == (PODS, True, ["shop/web-1", "shop/web-2"])
unpacked = core_pb2.Pod()
assert first.resources[0].body.Unpack(unpacked) and unpacked.metadata.uid == "u1", first
stream.say(ask(PODS, incremental=True, response_nonce=first.nonce))
stream.say(ask(POLICIES))
policies = stream.hear()
policy = security_pb2.AuthorizationPolicy()
assert not policies.incremental and policies.resources[0].body.Unpack(policy)
assert policies.resources[0].metadata.name == "shop/no-web" and policy.action == security_pb2.AuthorizationPolicy.DENY
stream.say(ask(POLICIES, response_nonce=policies.nonce))
write("pods", pod("web-1", "u1") + "---\n" + pod("web-3", "u3"))
second = stream.hear()
assert ([one.metadata.name for one in second.resources], list(second.removed_resources)) == (["shop/web-3"], ["shop/web-2"]), second

# 2. What is refused is not sent again; the next change is, with what was refused in it.
stream.say(ask(PODS, incremental=True, response_nonce=second.nonce, error_detail=status_pb2.Status(code=3, message="no")))
stream.say(ask("istio/networking/v1alpha3/virtualservices"))
unknown = stream.hear()
assert (unknown.collection, len(unknown.resources)) == ("istio/networking/v1alpha3/virtualservices", 0)
write("pods", pod("web-1", "u1") + "---\n" + pod("web-4", "u4"))
third = stream.hear()
assert ([one.metadata.name for one in third.resources], list(third.removed_resources)) == (["shop/web-4"], ["shop/web-2"]), third
stream.close()

# 3. A sink that comes back says what it holds.
held = {one.metadata.name: one.metadata.version for one in first.resources}
stream = Stream(source.EstablishResourceStream).say(ask(PODS, incremental=True, initial_resource_versions=held))
again = stream.hear()
assert ([one.metadata.name for one in again.resources], list(again.removed_resources)) == (["shop/web-4"], ["shop/web-2"]), again
stream.close()

# 4. The same over xDS, both ways.
discovery = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
stream = Stream(discovery.StreamAggregatedResources).say(discovery_pb2.DiscoveryRequest(type_url="security.istio.io/v1beta1/AuthorizationPolicy"))
whole = stream.hear()
resource = mcp_pb2.Resource()
assert whole.resources[0].Unpack(resource) and resource.metadata.name == "shop/no-web", whole
stream.say(discovery_pb2.DiscoveryRequest(type_url=whole.type_url, version_info=whole.version_info, response_nonce=whole.nonce))
stream.say(discovery_pb2.DiscoveryRequest(type_url="networking.istio.io/v1alpha3/VirtualService"))
assert len(stream.hear().resources) == 0
stream.close()
stream = Stream(discovery.DeltaAggregatedResources).say(discovery_pb2.DeltaDiscoveryRequest(type_url=PODS))
delta = stream.hear()
assert sorted(one.name for one in delta.resources) == ["shop/web-1", "shop/web-4"], delta
stream.close()

# 5. Garbage, too much and too many end their own stream and nothing else.
raw = channel.stream_stream("/istio.mcp.v1alpha1.ResourceSource/EstablishResourceStream", request_serializer=lambda value: value)
Stream(raw).say(b"\xff\xff\xff\xff").fails(grpc.StatusCode.INTERNAL)
Stream(source.EstablishResourceStream).say(ask(PODS, incremental=True, initial_resource_versions={f"shop/{i}": "x" * 100 for i in range(60_000)})).fails(grpc.StatusCode.RESOURCE_EXHAUSTED)
Stream(source.EstablishResourceStream).say(ask("")).fails(grpc.StatusCode.INVALID_ARGUMENT)
flood = Stream(source.EstablishResourceStream)
for i in range(80):
    flood.say(ask(f"collection/{i}"))
assert "collections" in flood.fails(grpc.StatusCode.RESOURCE_EXHAUSTED)
stream = Stream(source.EstablishResourceStream).say(ask(PODS))
assert len(stream.hear().resources) == 2
stream.close()
print("done")
