"""Asks the Workload API as a stranger's program would. Prints one JSON line per question.

usage: workload_api.py SOCKET STUBS
"""
import json
import sys

import grpc

socket, stubs = sys.argv[1:3]
sys.path.insert(0, stubs)

from spiffe import workload_pb2, workload_pb2_grpc  # noqa: E402

HEADER = (("workload.spiffe.io", "true"),)


def first(question, stream):
    try:
        message = next(iter(stream))
        print(json.dumps({"question": question, "code": "OK", "ids": [s.spiffe_id for s in getattr(message, "svids", [])],
                          "bundles": sorted(getattr(message, "bundles", {}))}))
    except grpc.RpcError as error:
        print(json.dumps({"question": question, "code": error.code().name, "detail": error.details()}))


def call(question, method, request, show):
    try:
        print(json.dumps({"question": question, "code": "OK", **show(method(request, metadata=HEADER, timeout=20))}))
    except grpc.RpcError as error:
        print(json.dumps({"question": question, "code": error.code().name, "detail": error.details()}))


with grpc.insecure_channel("unix:" + socket) as channel:
    api = workload_pb2_grpc.SpiffeWorkloadAPIStub(channel)
    first("svid", api.FetchX509SVID(workload_pb2.X509SVIDRequest(), metadata=HEADER, timeout=20))
    first("bundles", api.FetchX509Bundles(workload_pb2.X509BundlesRequest(), metadata=HEADER, timeout=20))
    first("no header", api.FetchX509SVID(workload_pb2.X509SVIDRequest(), timeout=20))
    first("wrong header", api.FetchX509SVID(workload_pb2.X509SVIDRequest(), metadata=(("workload.spiffe.io", "TRUE"),), timeout=20))

    svid = ""

    def keep(answer):
        global svid
        svid = answer.svids[0].svid
        return {"ids": [s.spiffe_id for s in answer.svids], "token": svid}

    call("jwt", api.FetchJWTSVID, workload_pb2.JWTSVIDRequest(audience=["billing"]), keep)
    call("jwt without audience", api.FetchJWTSVID, workload_pb2.JWTSVIDRequest(), keep)
    call("jwt of another", api.FetchJWTSVID, workload_pb2.JWTSVIDRequest(audience=["billing"], spiffe_id="spiffe://example.org/other"), keep)
    call("validate", api.ValidateJWTSVID, workload_pb2.ValidateJWTSVIDRequest(audience="billing", svid=svid),
         lambda answer: {"id": answer.spiffe_id, "claims": sorted(answer.claims.keys()), "aud": list(answer.claims["aud"])})
    call("validate for another", api.ValidateJWTSVID, workload_pb2.ValidateJWTSVIDRequest(audience="other", svid=svid), lambda answer: {})
    call("jwt bundles", lambda request, **options: next(iter(api.FetchJWTBundles(request, **options))), workload_pb2.JWTBundlesRequest(),
         lambda answer: {"bundles": {name: json.loads(keys) for name, keys in answer.bundles.items()}})
