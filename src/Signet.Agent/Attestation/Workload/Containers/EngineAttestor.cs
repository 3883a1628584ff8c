using System.Globalization;
using System.Text.Json;
using Signet.Hosting.Http;
using Signet.Identity.Registration;

namespace Signet.Agent.Attestation.Workload.Containers;

/// <summary>
/// Finds what a container engine with Docker's API, Docker or Podman, says of the container of a process: <c>docker:label</c>, <c>env</c>, <c>image_id</c>,
/// <c>image_config_digest</c>. The name of a control group alone is no proof, since users can make groups below their own: the engine must know the container
/// by that ID, and the process that it started in it must lie in the very same group.
/// </summary>
internal sealed class EngineAttestor : IWorkloadAttestor, IDisposable
{
    /// <summary>The selectors are SPIRE's, which calls Podman's so too.</summary>
    public const string Type = "docker";

    private const string PodmansWord = "libpod";

    private static readonly JsonApiLimits Limits = new(MaxBytes: 4 * 1024 * 1024, AtOnce: 16, TimeSpan.FromSeconds(5));

    private readonly ProcFolder _proc;
    private readonly Func<ContainerPlace, (JsonApi? Engine, string? Note)> _engineOf;
    private readonly IReadOnlyCollection<JsonApi> _engines;

    private EngineAttestor(string name, ProcFolder proc, IReadOnlyCollection<JsonApi> engines, Func<ContainerPlace, (JsonApi? Engine, string? Note)> engineOf) =>
        (Name, _proc, _engines, _engineOf) = (name, proc, engines, engineOf);

    public string Name { get; }

    /// <summary>Asks Docker.</summary>
    public static EngineAttestor ForDocker(string socket, ProcFolder proc, TimeProvider time)
    {
        var engine = JsonApi.OverSocket(socket, Limits, time);
        return new EngineAttestor("docker", proc, [engine], place => place.Engine == PodmansWord ? (null, null) : (engine, null));
    }

    /// <summary>Asks Podman: root's engine, and those of the users that are believed about their own containers.</summary>
    public static EngineAttestor ForPodman(PodmanConfig config, ProcFolder proc, TimeProvider time)
    {
        var engine = JsonApi.OverSocket(config.Socket, Limits, time);
        var users = config.Users.Distinct().ToDictionary(
            uid => uid, uid => JsonApi.OverSocket(config.UserSocket.Replace(PodmanConfig.UserPlace, uid.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal), Limits, time));
        return new EngineAttestor("podman", proc, [engine, .. users.Values], place =>
            place.Engine != PodmansWord ? (null, null)
            : place.User is not { } uid ? (engine, null)
            : users.TryGetValue(uid, out var own) ? (own, null)
            : (null, $"user {uid}'s own engine made its container, and workloadAttestors.podman.users does not name that user"));
    }

    public async Task<WorkloadVerdict> AttestAsync(WorkloadProcess process, CancellationToken cancellationToken)
    {
        try
        {
            // 1. In which container does it run?
            if (!ContainerPlaces.TryFindOfEngine(CgroupPaths.Of(_proc, process.Pid), out var place, out var problem))
            {
                return WorkloadVerdict.Failed(problem);
            }

            if (place is null)
            {
                return WorkloadVerdict.Nothing;
            }

            var (engine, note) = _engineOf(place);
            if (engine is null)
            {
                return note is null ? WorkloadVerdict.Nothing : WorkloadVerdict.NothingBut(note);
            }

            // 2. Does the engine say so too?
            using var answer = await engine.GetAsync($"containers/{place.Id}/json", token: null, cancellationToken).ConfigureAwait(false);
            if (answer is null)
            {
                return WorkloadVerdict.NothingBut($"{Name} knows no container {place.Id}, in which the process seems to run; another engine may have made it");
            }

            var container = answer.RootElement;
            var state = container.Child("State");
            return container.Text("Id") != place.Id ? WorkloadVerdict.Failed($"asked about container {place.Id}, the engine answered about another")
                : state.Child("Pid") is not { ValueKind: JsonValueKind.Number } number || !number.TryGetInt32(out var first) || first <= 0 ? WorkloadVerdict.Failed($"container {place.Id} does not run, the engine says")
                : !ContainerPlaces.TryFindOfEngine(CgroupPaths.Of(_proc, first), out var engines, out _) || engines?.Id != place.Id || engines.Scope != place.Scope
                    ? WorkloadVerdict.Failed($"its cgroup {place.Scope} is not that of container {place.Id}, whose name it has")
                : new WorkloadVerdict(SelectorsOf(container), "");
        }
        catch (JsonApiException e)
        {
            return WorkloadVerdict.Failed(e.Message);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return WorkloadVerdict.Failed($"the cgroup of the process cannot be read: {e.Message}");
        }
    }

    public void Dispose()
    {
        foreach (var engine in _engines)
        {
            engine.Dispose();
        }
    }

    private static HashSet<Selector> SelectorsOf(JsonElement container)
    {
        var config = container.Child("Config");
        var values = config.Child("Labels").Texts().Select(label => $"label:{label.Name}:{label.Value}")
            .Concat(config.Child("Env").Items().Select(item => item.Text()).Where(text => text.Length > 0).Select(text => $"env:{text}"));
        if (config.Text("Image") is { Length: > 0 } image)
        {
            values = values.Append($"image_id:{image}");
        }

        if (container.Text("Image") is { Length: > 0 } digest)
        {
            values = values.Append($"image_config_digest:{digest}");
        }

        return [.. values.Select(value => new Selector(Type, value))];
    }
}
