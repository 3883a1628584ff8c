"""Connects COUNT times to the agent's socket and never reads: some say nothing, some send garbage, some begin HTTP/2 and a call and leave it at that. Prints
"connected", then holds everything until its input ends. No library: bytes.

usage: hostile_clients.py SOCKET COUNT
"""
import os
import resource
import socket
import struct
import sys

path, count = sys.argv[1], int(sys.argv[2])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A header field without indexing (RFC 7541 §6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def call(stream, method):
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", method), (b":authority", b"x"), (b"content-type", b"application/grpc"), (b"te", b"trailers"), (b"workload.spiffe.io", b"true")]
    return frame(1, 4, stream, b"".join(literal(*field) for field in fields)) + frame(0, 1, stream, b"\x00\x00\x00\x00\x00")


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
BEGINNINGS = [
    b"",
    os.urandom(4096),
    PREFACE,
    PREFACE + call(1, b"/SpiffeWorkloadAPI/FetchX509SVID") + call(3, b"/SpiffeWorkloadAPI/FetchJWTBundles"),
    PREFACE + b"".join(call(1 + 2 * i, b"/SpiffeWorkloadAPI/FetchX509SVID") for i in range(5)),
    PREFACE[:20],
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
]

held = []
for i in range(count):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    try:
        connection.connect(path)
        connection.sendall(BEGINNINGS[i % len(BEGINNINGS)])
    except OSError:
        pass
    held.append(connection)
print("connected", flush=True)
sys.stdin.read()
