using Google.Protobuf.Reflection;
using Grpc.Core;
using Signet.Rpc.Wire.Reflection;

namespace Signet.Hosting.Grpc.Reflection;

/// <summary>Tells tools which services there are and what their messages look like.</summary>
internal sealed class GrpcReflectionService(DescriptorIndex index) : ServerReflection.ServerReflectionBase
{
    public override async Task ServerReflectionInfo(
        IAsyncStreamReader<ServerReflectionRequest> requestStream,
        IServerStreamWriter<ServerReflectionResponse> responseStream,
        ServerCallContext context)
    {
        await foreach (var request in requestStream.ReadAllAsync(context.CancellationToken))
        {
            await responseStream.WriteAsync(Answer(request));
        }
    }

    public ServerReflectionResponse Answer(ServerReflectionRequest request)
    {
        var response = new ServerReflectionResponse { ValidHost = request.Host, OriginalRequest = request };
        switch (request.MessageRequestCase)
        {
            case ServerReflectionRequest.MessageRequestOneofCase.ListServices:
                response.ListServicesResponse = new ListServiceResponse();
                response.ListServicesResponse.Service.AddRange(index.Services.Select(name => new ServiceResponse { Name = name }));
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.FileByFilename:
                AnswerWith(response, index.FileNamed(request.FileByFilename));
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.FileContainingSymbol:
                AnswerWith(response, index.FileDeclaring(request.FileContainingSymbol));
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.AllExtensionNumbersOfType
                when index.FileDeclaring(request.AllExtensionNumbersOfType) is not null:
                response.AllExtensionNumbersResponse = new ExtensionNumberResponse { BaseTypeName = request.AllExtensionNumbersOfType };
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.AllExtensionNumbersOfType:
            case ServerReflectionRequest.MessageRequestOneofCase.FileContainingExtension:
                AnswerWith(response, null);
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.None:
            default:
                response.ErrorResponse = Error(StatusCode.InvalidArgument, "the request asks nothing that this version of reflection knows");
                break;
        }

        return response;
    }

    private static void AnswerWith(ServerReflectionResponse response, FileDescriptor? file)
    {
        if (file is null)
        {
            response.ErrorResponse = Error(StatusCode.NotFound, "this server knows no such file, symbol or extension");
            return;
        }

        response.FileDescriptorResponse = new FileDescriptorResponse();
        response.FileDescriptorResponse.FileDescriptorProto.AddRange(DescriptorIndex.WithImports(file).Select(each => each.SerializedData));
    }

    private static ErrorResponse Error(StatusCode code, string message) => new() { ErrorCode = (int)code, ErrorMessage = message };
}
