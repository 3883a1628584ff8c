using Signet.Agent.Attestation.Workload.Containers;
using Signet.Identity.Registration;

namespace Signet.Agent.Attestation.Workload.Systemd;

/// <summary>Finds the unit of a process: <c>systemd:id</c> by its control group, and <c>systemd:fragment_path</c>, the file that describes the unit, by asking systemd.</summary>
/// <param name="proc">Where processes are shown.</param>
/// <param name="bus">How systemd is asked.</param>
/// <param name="wantsFile">Whether anybody asks for the files of units.</param>
internal sealed class SystemdAttestor(ProcFolder proc, SystemBus bus, Func<bool> wantsFile) : IWorkloadAttestor
{
    public const string Type = "systemd";

    public string Name => Type;

    public async Task<WorkloadVerdict> AttestAsync(WorkloadProcess process, CancellationToken cancellationToken)
    {
        try
        {
            if (SystemdUnit.Of(CgroupPaths.Of(proc, process.Pid), out var note) is not { } unit)
            {
                return note is null ? WorkloadVerdict.Nothing : WorkloadVerdict.NothingBut(note);
            }

            var found = new HashSet<Selector> { new(Type, $"id:{unit}") };
            if (wantsFile() && await bus.UnitTextAsync(unit, "FragmentPath", cancellationToken).ConfigureAwait(false) is { Length: > 0 } file)
            {
                found.Add(new Selector(Type, $"fragment_path:{file}"));
            }

            return new WorkloadVerdict(found, "");
        }
        catch (SystemBusException e)
        {
            return WorkloadVerdict.Failed(e.Message);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return WorkloadVerdict.Failed($"the cgroup of the process cannot be read: {e.Message}");
        }
    }
}
