using Grpc.Core;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc;
using Signet.Rpc.Wire.Containerd.Containers;
using Signet.Rpc.Wire.Containerd.Tasks;
using ContainersClient = Signet.Rpc.Wire.Containerd.Containers.Containers.ContainersClient;
using TasksClient = Signet.Rpc.Wire.Containerd.Tasks.Tasks.TasksClient;

namespace Signet.Agent.Attestation.Workload.Containers;

/// <summary>containerd, in some of its namespaces: <c>containerd:namespace</c>, <c>image</c>, <c>label</c>. SPIRE has no attestor for it.</summary>
internal sealed class ContainerdEngine(string socket, IReadOnlyList<string> namespaces, TimeProvider time) : IContainerEngine
{
    public const string Type = "containerd";

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private readonly GrpcChannel _channel = GrpcChannel.ForUnixSocket(socket, time);

    public async Task<EngineContainer?> FindAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            foreach (var space in namespaces)
            {
                var options = new CallOptions(new Metadata { { "containerd-namespace", space } }, (time.GetUtcNow() + Timeout).UtcDateTime, cancellationToken);
                if (await FoundAsync(new ContainersClient(_channel).GetAsync(new GetContainerRequest { Id = id }, options)).ConfigureAwait(false) is { Container: { } container })
                {
                    var task = await FoundAsync(new TasksClient(_channel).GetAsync(new GetRequest { ContainerId = id }, options)).ConfigureAwait(false);
                    return new EngineContainer(container.Id, (int)Math.Min(task?.Process?.Pid ?? 0, int.MaxValue), SelectorsOf(container, space));
                }
            }

            return null;
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new EngineException($"{socket}: {e.StatusCode}: {Printable.Of(e.Status.Detail)}");
        }
    }

    public void Dispose() => _channel.Dispose();

    private static async Task<T?> FoundAsync<T>(AsyncUnaryCall<T> call)
        where T : class
    {
        using (call)
        {
            try
            {
                return await call.ResponseAsync.ConfigureAwait(false);
            }
            catch (RpcException e) when (e.StatusCode == StatusCode.NotFound)
            {
                return null;
            }
        }
    }

    private static HashSet<Selector> SelectorsOf(Container container, string space)
    {
        var values = container.Labels.Select(label => $"label:{label.Key}:{label.Value}").Append($"namespace:{space}");
        return [.. (container.Image.Length > 0 ? values.Append($"image:{container.Image}") : values).Select(value => new Selector(Type, value))];
    }
}
