using Grpc.Core;
using Signet.Rpc;

namespace Signet.Client;

/// <summary>How every call to the Workload API is made.</summary>
public static class WorkloadApi
{
    /// <summary>Every request carries this metadata key with the value <c>true</c>, or it is refused (Workload Endpoint §3).</summary>
    public const string Header = "workload.spiffe.io";

    /// <summary>A channel to the Workload API. The caller disposes it.</summary>
    public static GrpcChannel Connect(WorkloadApiAddress address, TimeProvider time) => GrpcChannel.ForUnixSocket(address.Path, time);

    public static CallOptions Options(CancellationToken cancellationToken) =>
        new(new Metadata { { Header, "true" } }, null, cancellationToken);
}
