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
        var (proc, wanted) = (new ProcFolder(), new WantedFacts(cache));
        var attestors = new List<IWorkloadAttestor>
        {
            new UnixAttestor(proc, new AccountNames("/etc/passwd"), new AccountNames("/etc/group"), () => wanted.Current.HasFlag(CostlyFacts.ProgramDigest)),
        };
        if (config.SystemBus is { } bus)
        {
            attestors.Add(new SystemdAttestor(proc, new SystemBus(bus, NativeUser.EffectiveId(), time), () => wanted.Current.HasFlag(CostlyFacts.UnitFile)));
        }

        if (config.Docker is { } docker)
        {
            attestors.Add(EngineAttestor.ForDocker(docker, proc, time));
        }

        if (config.Containerd is { } containerd)
        {
            attestors.Add(EngineAttestor.ForContainerd(containerd, proc, time));
        }

        if (config.Podman is { } podman)
        {
            attestors.Add(EngineAttestor.ForPodman(podman, proc, time));
        }

        if (config.K8s is { } k8s)
        {
            attestors.Add(new K8sAttestor(k8s, new Kubelet(k8s, time), proc, time, chance));
        }

        return new WorkloadAttestor(attestors, proc, wanted, time, log);
    }
}
