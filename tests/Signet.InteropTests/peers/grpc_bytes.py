"""A gRPC server or client whose messages are plain bytes, so that they need no contract and may be of any size.

usage: grpc_bytes.py serve PORT
       grpc_bytes.py call TARGET MEGABYTES
"""

import hashlib
import sys
import threading
import time
from concurrent import futures

import grpc

SERVICE = "signet.testing.Bytes"
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
PIECE = bytes(range(256)) * 1024


def wait(request, context):
    while context.is_active():
        time.sleep(0.05)
    return b""


def serve(port):
    server = grpc.server(futures.ThreadPoolExecutor(8), options=OPTIONS)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {
        "Echo": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
        "Sum": grpc.stream_unary_rpc_method_handler(lambda requests, context: str(sum(map(len, requests))).encode()),
        "Give": grpc.unary_stream_rpc_method_handler(lambda request, context: (PIECE for _ in range(int(request)))),
        "Chat": grpc.stream_stream_rpc_method_handler(lambda requests, context: requests),
        "Wait": grpc.unary_unary_rpc_method_handler(wait),
        "Forbidden": grpc.unary_unary_rpc_method_handler(lambda request, context: b"it was reached"),
    })])
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


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


def call(target, megabytes):
    channel = grpc.insecure_channel(target, OPTIONS)
    size = megabytes * 1024 * 1024
    pieces = size // len(PIECE)
    unary = channel.unary_unary(f"/{SERVICE}/Echo")
    held("unary", unary(b"hello", timeout=30) == b"hello")
    message = PIECE * pieces
    held(f"one message of {megabytes} MB there and back", hashlib.sha256(unary(message, timeout=120)).digest() == hashlib.sha256(message).digest())
    seen = channel.stream_unary(f"/{SERVICE}/Sum")((PIECE for _ in range(pieces)), timeout=120)
    held(f"{megabytes} MB up in a stream", int(seen) == size, seen)
    seen = sum(len(piece) for piece in channel.unary_stream(f"/{SERVICE}/Give")(str(pieces).encode(), timeout=120))
    held(f"{megabytes} MB down in a stream", seen == size, seen)
    chat = channel.stream_stream(f"/{SERVICE}/Chat")
    seen = sum(piece == PIECE for piece in chat((PIECE for _ in range(pieces)), timeout=120))
    held(f"{megabytes} MB both ways at once", seen == pieces, seen)

    waiting = channel.unary_unary(f"/{SERVICE}/Wait")
    refused("deadline", lambda: waiting(b"", timeout=0.3), grpc.StatusCode.DEADLINE_EXCEEDED)
    future = waiting.future(b"", timeout=30)
    threading.Timer(0.2, future.cancel).start()
    try:
        future.result()
        sys.exit("did not hold: cancellation")
    except grpc.FutureCancelledError:
        held("cancellation", True)

    error = refused("denied", lambda: channel.unary_unary(f"/{SERVICE}/Forbidden")(b"", timeout=30), grpc.StatusCode.PERMISSION_DENIED)
    held("the denial says nothing of policies", "no-forbidden" not in error.details() and "default" not in error.details(), error.details())
    refused("unknown method", lambda: channel.unary_unary(f"/{SERVICE}/Nope")(b"", timeout=30), grpc.StatusCode.UNIMPLEMENTED)
    print("done")


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    call(sys.argv[2], int(sys.argv[3]))
