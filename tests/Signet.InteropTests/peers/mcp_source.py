"""An MCP source nobody here wrote, for our agent: tells of pods, some of them broken, and checks each answer.

usage: mcp_source.py STUBS CERTIFICATES
"""

import sys
from concurrent import futures

sys.path.insert(0, sys.argv[1])

import grpc
from istio.mcp.v1alpha1 import mcp_pb2, mcp_pb2_grpc
from k8s import core_pb2

PODS = "k8s/core/v1/pods"


def read(name):
    with open(f"{sys.argv[2]}/{name}.pem", "rb") as file:
        return file.read()


def resource(name, uid, version="1", inside=None):
    wrapped = mcp_pb2.Resource(metadata=mcp_pb2.Metadata(name=f"shop/{name}", version=version))
    wrapped.body.Pack(core_pb2.Pod(metadata=core_pb2.ObjectMeta(name=inside or name, namespace="shop", uid=uid)))
    return wrapped


class Source(mcp_pb2_grpc.ResourceSourceServicer):
    def EstablishResourceStream(self, requests, context):
        first = next(requests)
        assert first.collection == PODS and first.incremental and first.sink_node.id.startswith("spiffe://example.org/spire/agent/"), first
        nonce = 0

        def exchange(resources, removed, incremental, collection=PODS):
            nonlocal nonce
            nonce += 1
            yield mcp_pb2.Resources(collection=collection, resources=resources, removed_resources=removed, incremental=incremental, nonce=str(nonce))
            answer = next(requests)
            assert answer.response_nonce == str(nonce), answer
            print("refused" if answer.HasField("error_detail") else "applied", flush=True)

        yield from exchange([resource("web", "u1"), resource("db", "u2")], [], False)
        yield from exchange([resource("late", "u3"), resource("liar", "u4", inside="other")], [], True)
        broken = resource("broken", "u5")
        broken.body.value = b"\xff\xff"
        yield from exchange([broken], [], True)
        yield from exchange([resource("x", "u6")], [], True, collection="istio/networking/v1alpha3/gateways")
        yield from exchange([resource("web", "u7", version="2")], ["shop/db"], True)
        for _ in requests:
            pass


server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
mcp_pb2_grpc.add_ResourceSourceServicer_to_server(Source(), server)
credentials = grpc.ssl_server_credentials([(read("key"), read("svid"))], root_certificates=read("bundle"), require_client_auth=True)
port = server.add_secure_port("127.0.0.1:0", credentials)
server.start()
print(port, flush=True)
sys.stdin.read()
