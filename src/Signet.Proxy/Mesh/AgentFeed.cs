using Signet.Client;
using Signet.Hosting.Distribution;
using Signet.Policy;
using Signet.Rpc;
using Signet.Rpc.Wire.Mesh;
using MeshApi = Signet.Rpc.Wire.Mesh.Mesh;

namespace Signet.Proxy.Mesh;

/// <summary>Follows what the agent says about the mesh. Thread-safe; dispose to stop.</summary>
internal sealed class AgentFeed : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly GrpcChannel _channel;
    private readonly Task _following;
    private string _problem = "the agent has not been heard yet";

    /// <summary>Begins to follow at once.</summary>
    /// <param name="address">Where the agent is.</param>
    /// <param name="workload">Whom it is for.</param>
    /// <param name="take">Takes a snapshot; answers why it can't, or null.</param>
    /// <param name="time">The clock.</param>
    /// <param name="chance">Gives numbers from 0 to 1.</param>
    public AgentFeed(WorkloadApiAddress address, Workload workload, Func<MeshSnapshot, string?> take, TimeProvider time, Func<double> chance)
    {
        _channel = WorkloadApi.Connect(address, time);
        var client = new MeshApi.MeshClient(_channel);
        _following = new MeshFollower(
            token => client.Watch(WorkloadApi.Options(token)),
            new MeshRequest { Name = $"proxy of {workload.ServiceAccount ?? workload.Namespace}", Namespace = workload.Namespace },
            take,
            problem => Volatile.Write(ref _problem, problem),
            e => $"{address}: {e.StatusCode}: {e.Status.Detail}",
            time,
            chance).RunAsync(_stop.Token);
    }

    /// <summary>Why there is nothing, or nothing newer; null when all is well.</summary>
    public string? Problem => Volatile.Read(ref _problem) is { Length: > 0 } problem ? problem : null;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _following.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _channel.Dispose();
        _stop.Dispose();
    }
}
