"""A gRPC server nobody here wrote, for our client. Serves the echo contract on TARGET, prints "ready", stops when its input ends.

usage: grpc_server.py TARGET
"""

import os
import sys
from concurrent import futures

sys.path.insert(0, os.getcwd())

import grpc
import echo_pb2
import echo_pb2_grpc

Behaviour = echo_pb2.EchoRequest.Behaviour


class Echo(echo_pb2_grpc.EchoServicer):
    def behave(self, request, context):
        if request.behaviour == Behaviour.REFUSE:
            context.set_trailing_metadata([("x-why", "policy"), ("detail-bin", b"\x01\x02\xff\x00")])
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "nö 100% way\nat all 🙅")
        if request.behaviour == Behaviour.THROW:
            raise ValueError("broken")
        if request.behaviour == Behaviour.HANG:
            gone = futures.Future()
            context.add_callback(lambda: gone.set_result(None))
            gone.result()

    def Unary(self, request, context):
        if request.behaviour == Behaviour.HEADERS_FIRST:
            context.send_initial_metadata([("x-early", "yes"), ("early-bin", b"\x07\x08")])
        self.behave(request, context)
        context.set_trailing_metadata([("x-trailer", "last")])
        payload = bytes(request.count) if request.behaviour == Behaviour.BIG else request.payload
        headers = {key: value.hex().upper() if isinstance(value, bytes) else value for key, value in context.invocation_metadata()}
        return echo_pb2.EchoReply(text=request.text, payload=payload, headers=headers)

    def Collect(self, requests, context):
        sizes = [len(request.payload) for request in requests]
        return echo_pb2.EchoReply(text=str(sum(sizes)), count=len(sizes))

    def Repeat(self, request, context):
        for i in range(request.count):
            yield echo_pb2.EchoReply(text=request.text, count=i)
        self.behave(request, context)

    def Chat(self, requests, context):
        for i, request in enumerate(requests):
            self.behave(request, context)
            yield echo_pb2.EchoReply(text=request.text, count=i)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=[("grpc.max_send_message_length", -1)])
echo_pb2_grpc.add_EchoServicer_to_server(Echo(), server)
server.add_insecure_port(sys.argv[1])
server.start()
print("ready", flush=True)
sys.stdin.read()
server.stop(None).wait()
