using Google.Protobuf;
using Grpc.Core;
using Signet.Rpc.Wire.Reflection.Alpha;
using V1 = Signet.Rpc.Wire.Reflection;

namespace Signet.Hosting.Grpc.Reflection;

/// <summary>The older version under its own name. On the wire the two are the same, so each message passes over as bytes.</summary>
internal sealed class GrpcReflectionAlphaService(GrpcReflectionService current) : ServerReflection.ServerReflectionBase
{
    public override async Task ServerReflectionInfo(
        IAsyncStreamReader<ServerReflectionRequest> requestStream,
        IServerStreamWriter<ServerReflectionResponse> responseStream,
        ServerCallContext context)
    {
        await foreach (var request in requestStream.ReadAllAsync(context.CancellationToken))
        {
            var response = current.Answer(V1.ServerReflectionRequest.Parser.ParseFrom(request.ToByteString()));
            await responseStream.WriteAsync(ServerReflectionResponse.Parser.ParseFrom(response.ToByteString()));
        }
    }
}
