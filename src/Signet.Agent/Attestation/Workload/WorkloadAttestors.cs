using System.Globalization;
using Microsoft.Extensions.Logging;
using Signet.Agent.Attestation.Workload.Containers;
using Signet.Agent.Attestation.Workload.Systemd;
using Signet.Agent.Identities;
using Signet.Hosting;

namespace Signet.Agent.Attestation.Workload;

/// <summary>Puts together what looks at workloads.</summary>
internal static class WorkloadAttestors
{
    /// <summary>The caller disposes the answer.</summary>
    public static WorkloadAttestor Build(WorkloadAttestorsConfig config, IdentityCache cache, TimeProvider time, Func<double> chance, ILogger<WorkloadAttestor> log)
    {
        var (proc, wanted) = (new ProcFolder(), new WantedSelectors(cache));
        var attestors = new List<IWorkloadAttestor>
        {
            new UnixAttestor(proc, new AccountNames("/etc/passwd"), new AccountNames("/etc/group"), () => wanted.Has(UnixAttestor.Type, "sha256")),
        };
        if (config.SystemBus is { } bus)
        {
            attestors.Add(new SystemdAttestor(proc, new SystemBus(bus, NativeUser.EffectiveId(), time), () => wanted.Has(SystemdAttestor.Type, "fragment_path")));
        }

        if (config.Docker is { } docker)
        {
            attestors.Add(EngineAttestor.ForDocker(docker, proc, time));
        }

        if (config.Podman is { } podman)
        {
            attestors.Add(EngineAttestor.ForPodman(podman, proc, time));
        }

        if (config.K8s is { } k8s)
        {
            attestors.Add(new K8sAttestor(k8s, new Kubelet(k8s, time), proc, time, chance));
        }

        return new WorkloadAttestor(attestors, proc, time, log);
    }
}

/// <summary>Which facts entries ask about, so that costly ones are found out only when somebody does. Thread-safe.</summary>
internal sealed class WantedSelectors(IdentityCache cache)
{
    private Known _known = new(NodeView.Nothing, new HashSet<(string, string)>());

    public bool Has(string type, string key)
    {
        var view = cache.Current.View;
        var known = Volatile.Read(ref _known);
        if (known.View != view)
        {
            known = new Known(view, view.Entries.SelectMany(entry => entry.Selectors).Select(selector => (selector.Type, selector.Value.Split(':', 2)[0])).ToHashSet());
            Volatile.Write(ref _known, known);
        }

        return known.Keys.Contains((type, key));
    }

    private sealed record Known(NodeView View, IReadOnlySet<(string Type, string Key)> Keys);
}
