"""A gRPC client nobody here wrote, against our server. Prints a line for each thing that held; stops at the first that did not.

usage: grpc_client.py TARGET [FOLDER-WITH-CERTIFICATES]
"""

import os
import sys
import threading

sys.path.insert(0, os.getcwd())

import grpc
import echo_pb2
import echo_pb2_grpc
from health.v1 import health_pb2, health_pb2_grpc
from reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

Code = grpc.StatusCode
Behaviour = echo_pb2.EchoRequest.Behaviour
OPTIONS = [
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]


def connect(target, certificates, with_certificate=True):
    if certificates is None:
        return grpc.insecure_channel(target, OPTIONS)

    def read(name):
        with open(os.path.join(certificates, name), "rb") as file:
            return file.read()

    own = (read("client.key"), read("client.pem")) if with_certificate else (None, None)
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(read("ca.pem"), *own), OPTIONS)


def held(name, condition, seen=None):
    if not condition:
        sys.exit(f"did not hold: {name}: {seen!r}")
    print(name, flush=True)


def refused(name, call, code):
    try:
        seen = call()
    except grpc.RpcError as error:
        held(name, error.code() == code, (error.code(), error.details()))
        return error
    sys.exit(f"did not hold: {name}: answered {seen!r}")


target, certificates = sys.argv[1], (sys.argv[2] if len(sys.argv) > 2 else None)
channel = connect(target, certificates)
echo = echo_pb2_grpc.EchoStub(channel)


def ask(**fields):
    return echo_pb2.EchoRequest(**fields)


reply, call = echo.Unary.with_call(
    ask(text="hello", behaviour=Behaviour.HEADERS_FIRST),
    metadata=[("x-plain", "text"), ("raw-bin", b"\x00\x01\xff")], timeout=30)
held("unary", reply.text == "hello", reply)
held("request metadata", reply.headers["x-plain"] == "text" and reply.headers["raw-bin"] == "0001FF", reply.headers)
early = dict(call.initial_metadata())
held("response headers", early["x-early"] == "yes" and early["early-bin"] == b"\x07\x08", early)
held("trailers", dict(call.trailing_metadata())["x-trailer"] == "last", call.trailing_metadata())

error = refused("refusal", lambda: echo.Unary(ask(behaviour=Behaviour.REFUSE), timeout=30), Code.PERMISSION_DENIED)
held("refusal text", error.details() == "nö 100% way\nat all 🙅", error.details())
held("refusal trailers", dict(error.trailing_metadata())["detail-bin"] == b"\x01\x02\xff\x00", error.trailing_metadata())
error = refused("failure", lambda: echo.Unary(ask(behaviour=Behaviour.THROW), timeout=30), Code.UNKNOWN)
held("failure keeps its secret", "secret" not in error.details(), error.details())
refused("deadline", lambda: echo.Unary(ask(behaviour=Behaviour.HANG), timeout=0.3), Code.DEADLINE_EXCEEDED)

raw = channel.unary_unary("/signet.testing.v1.Echo/Nope")
refused("unknown method", lambda: raw(b"", timeout=30), Code.UNIMPLEMENTED)
raw = channel.unary_unary("/no.Such/Thing")
refused("unknown service", lambda: raw(b"", timeout=30), Code.UNIMPLEMENTED)

counts = [reply.count for reply in echo.Repeat(ask(count=1000), timeout=60)]
held("server stream", counts == list(range(1000)), len(counts))
seen = []
refused("refusal after messages",
        lambda: seen.extend(echo.Repeat(ask(count=3, behaviour=Behaviour.REFUSE), timeout=30)), Code.PERMISSION_DENIED)
held("messages before refusal", len(seen) == 3, seen)

payload = bytes(100_000)
reply = echo.Collect((ask(payload=payload) for _ in range(300)), timeout=60)
held("client stream of 30 MB", reply.count == 300 and reply.text == "30000000", reply)


def lock_step():
    turn = threading.Semaphore(1)

    def requests():
        for i in range(100):
            turn.acquire()
            yield ask(text=str(i))

    for i, reply in enumerate(echo.Chat(requests(), timeout=60)):
        if reply.text != str(i):
            return i
        turn.release()
    return 100


seen = lock_step()
held("both ways in lock step", seen == 100, seen)

reply = echo.Unary(ask(behaviour=Behaviour.BIG, count=4 * 1024 * 1024 - 2000), timeout=60)
held("message of nearly 4 MiB", len(reply.payload) == 4 * 1024 * 1024 - 2000, len(reply.payload))
refused("request too long", lambda: echo.Unary(ask(payload=bytes(5 * 1024 * 1024)), timeout=60), Code.RESOURCE_EXHAUSTED)
refused("response too long", lambda: echo.Unary(ask(behaviour=Behaviour.BIG, count=5 * 1024 * 1024), timeout=60), Code.RESOURCE_EXHAUSTED)
refused("compressed request",
        lambda: echo.Unary(ask(text="z" * 1000), compression=grpc.Compression.Gzip, timeout=30), Code.UNIMPLEMENTED)

stream = echo.Repeat(ask(text="python leaves", count=1, behaviour=Behaviour.HANG), timeout=60)
next(stream)
threading.Event().wait(2.5)  # more than two pings over a silent stream
held("pings are welcome", stream.is_active())
stream.cancel()
refused("cancel", lambda: list(stream), Code.CANCELLED)

health = health_pb2_grpc.HealthStub(channel)
held("health", health.Check(health_pb2.HealthCheckRequest(), timeout=30).status == health_pb2.HealthCheckResponse.SERVING)
refused("health of the unknown", lambda: health.Check(health_pb2.HealthCheckRequest(service="nope"), timeout=30), Code.NOT_FOUND)
reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
answer = next(reflection.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=30))
held("reflection", "signet.testing.v1.Echo" in [service.name for service in answer.list_services_response.service], answer)

if certificates is not None:
    stranger = echo_pb2_grpc.EchoStub(connect(target, certificates, with_certificate=False))
    refused("no certificate", lambda: stranger.Unary(ask(), timeout=30), Code.UNAVAILABLE)

print("done")
