using System.Collections.Immutable;
using Google.Protobuf;
using Signet.Hosting;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Istio.Mcp;
using Signet.Rpc.Wire.Kubernetes;

namespace Signet.Agent.Mesh;

/// <summary>Some or all of a collection, as it came in one message.</summary>
/// <param name="Nonce">What the answer names.</param>
/// <param name="IsIncremental">Whether it is a difference.</param>
/// <param name="Resources">New and changed ones, or all.</param>
/// <param name="Removed">The names of those that are gone.</param>
internal sealed record McpMessage(string Nonce, bool IsIncremental, IReadOnlyList<Resource?> Resources, IReadOnlyList<string> Removed);

/// <summary>The pods that a source of MCP told of. What was told stays while the source is away. One task takes, any number ask; thread-safe.</summary>
internal sealed class PodDirectory
{
    /// <summary>More than any cluster has; what goes beyond is refused.</summary>
    public const int MaxPods = 200_000;

    private State _state = State.Empty;

    /// <summary>Raised after a change.</summary>
    public ChangeSignal Changes { get; } = new();

    public int Count => Volatile.Read(ref _state).ByName.Count;

    /// <summary>Whether a source has told of its pods yet; before that, that a pod is not here says nothing.</summary>
    public bool IsTold => Volatile.Read(ref _state).IsTold;

    /// <summary>The pod that the cluster calls so; null when it is not known.</summary>
    public Pod? Find(string uid) => Volatile.Read(ref _state).ByUid.GetValueOrDefault(uid);

    /// <summary>Versions by name, for a source that can go on from there.</summary>
    public IReadOnlyDictionary<string, string> Versions => Volatile.Read(ref _state).ByName.ToDictionary(pair => pair.Key, pair => pair.Value.Version, StringComparer.Ordinal);

    /// <summary>Takes all of a message or nothing.</summary>
    /// <returns>Why not; null when it was taken.</returns>
    public string? Take(McpMessage message)
    {
        var byName = message.IsIncremental ? _state.ByName.ToBuilder() : ImmutableDictionary.CreateBuilder<string, Held>(StringComparer.Ordinal);
        foreach (var resource in message.Resources)
        {
            if (resource?.Metadata is not { Name.Length: > 0 } metadata)
            {
                return "a resource has no name";
            }

            if (resource.Body?.Is(Pod.Descriptor) != true)
            {
                return $"{Printable.Of(metadata.Name)} is of type \"{Printable.Of(resource.Body?.TypeUrl)}\"; {Pod.Descriptor.FullName} was expected";
            }

            Pod pod;
            try
            {
                pod = Pod.Parser.ParseFrom(resource.Body.Value);
            }
            catch (InvalidProtocolBufferException)
            {
                return $"{Printable.Of(metadata.Name)} does not read as a pod";
            }

            if (pod.Metadata is not { Uid.Length: > 0 } || $"{pod.Metadata.Namespace}/{pod.Metadata.Name}" != metadata.Name)
            {
                return $"{Printable.Of(metadata.Name)} has no uid, or is called otherwise inside";
            }

            byName[metadata.Name] = new Held(metadata.Version, pod);
        }

        byName.RemoveRange(message.Removed);
        if (byName.Count > MaxPods)
        {
            return $"more than {MaxPods} pods";
        }

        var byUid = ImmutableDictionary.CreateBuilder<string, Pod>(StringComparer.Ordinal);
        foreach (var held in byName.Values)
        {
            if (!byUid.TryAdd(held.Pod.Metadata.Uid, held.Pod))
            {
                return $"two pods have the uid {Printable.Of(held.Pod.Metadata.Uid)}";
            }
        }

        Volatile.Write(ref _state, new State(byName.ToImmutable(), byUid.ToImmutable(), IsTold: true));
        Changes.Raise();
        return null;
    }

    private sealed record Held(string Version, Pod Pod);

    private sealed record State(ImmutableDictionary<string, Held> ByName, ImmutableDictionary<string, Pod> ByUid, bool IsTold)
    {
        public static readonly State Empty = new(ImmutableDictionary<string, Held>.Empty, ImmutableDictionary<string, Pod>.Empty, IsTold: false);
    }
}
