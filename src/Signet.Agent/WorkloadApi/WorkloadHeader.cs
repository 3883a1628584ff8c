using Grpc.Core;

namespace Signet.Agent.WorkloadApi;

/// <summary>Every Workload API request must carry <c>workload.spiffe.io: true</c>, which a forged browser or proxy request can't (Workload Endpoint §3).</summary>
internal static class WorkloadHeader
{
    private const string ServicePrefix = "/SpiffeWorkloadAPI/";

    /// <exception cref="RpcException">INVALID_ARGUMENT: the header is missing (Workload Endpoint §6).</exception>
    public static void Require(ServerCallContext context)
    {
        if (context.Method.StartsWith(ServicePrefix, StringComparison.Ordinal)
            && context.RequestHeaders.GetValue(Client.WorkloadApi.Header) != "true")
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"metadata \"{Client.WorkloadApi.Header}: true\" is missing"));
        }
    }
}
