using Grpc.Core;

namespace Signet.Agent.WorkloadApi;

/// <summary>Every Workload API request must carry <c>workload.spiffe.io: true</c>, which a forged browser or proxy request can't (Workload Endpoint §3).</summary>
internal static class WorkloadHeader
{
    /// <summary>The filter of the Workload API.</summary>
    /// <exception cref="RpcException">INVALID_ARGUMENT: the header is missing (Workload Endpoint §6).</exception>
    public static ValueTask CheckAsync(ServerCallContext context) => context.RequestHeaders.GetValue(Client.WorkloadApi.Header) == "true"
        ? ValueTask.CompletedTask
        : throw new RpcException(new Status(StatusCode.InvalidArgument, $"metadata \"{Client.WorkloadApi.Header}: true\" is missing"));
}
