using System.Globalization;

namespace Signet.Agent.Attestation.Workload.Containers;

/// <summary>
/// Finds what a container engine says of the container of a process. The name of a control group alone is no proof, since users can make groups below their own: the engine must know
/// the container by that ID, and the process that it started in it must lie in the very same group.
/// </summary>
internal sealed class EngineAttestor : IWorkloadAttestor, IDisposable
{
    private const string PodmansWord = "libpod";

    private readonly ProcFolder _proc;
    private readonly Func<ContainerPlace, (IContainerEngine? Engine, string? Note)> _engineOf;
    private readonly IReadOnlyCollection<IContainerEngine> _engines;

    private EngineAttestor(string name, ProcFolder proc, IReadOnlyCollection<IContainerEngine> engines, Func<ContainerPlace, (IContainerEngine? Engine, string? Note)> engineOf) =>
        (Name, _proc, _engines, _engineOf) = (name, proc, engines, engineOf);

    public string Name { get; }

    /// <summary>Asks Docker.</summary>
    public static EngineAttestor ForDocker(string socket, ProcFolder proc, TimeProvider time) => ForAllButPodman("docker", new DockerEngine(socket, time), proc);

    /// <summary>Asks containerd.</summary>
    public static EngineAttestor ForContainerd(ContainerdConfig config, ProcFolder proc, TimeProvider time) =>
        ForAllButPodman("containerd", new ContainerdEngine(config.Socket, config.Namespaces, time), proc);

    /// <summary>Asks Podman: root's engine, and those of the users that are believed about their own containers.</summary>
    public static EngineAttestor ForPodman(PodmanConfig config, ProcFolder proc, TimeProvider time)
    {
        var engine = new DockerEngine(config.Socket, time);
        var users = config.Users.Distinct().ToDictionary(
            uid => uid, uid => new DockerEngine(config.UserSocket.Replace(PodmanConfig.UserPlace, uid.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal), time));
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
            if (await engine.FindAsync(place.Id, cancellationToken).ConfigureAwait(false) is not { } container)
            {
                return WorkloadVerdict.NothingBut($"{Name} knows no container {place.Id}, in which the process seems to run; another engine may have made it");
            }

            return container.Id != place.Id ? WorkloadVerdict.Failed($"asked about container {place.Id}, the engine answered about another")
                : container.FirstPid <= 0 ? WorkloadVerdict.Failed($"container {place.Id} does not run, the engine says")
                : !ContainerPlaces.TryFindOfEngine(CgroupPaths.Of(_proc, container.FirstPid), out var engines, out _) || engines?.Id != place.Id || engines.Scope != place.Scope
                    ? WorkloadVerdict.Failed($"its cgroup {place.Scope} is not that of container {place.Id}, whose name it has")
                : new WorkloadVerdict(container.Selectors, "");
        }
        catch (EngineException e)
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

    private static EngineAttestor ForAllButPodman(string name, IContainerEngine engine, ProcFolder proc) =>
        new(name, proc, [engine], place => place.Engine == PodmansWord ? (null, null) : (engine, null));
}
