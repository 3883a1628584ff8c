using System.Globalization;
using Signet.Agent.Attestation.Workload;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent.Workloads;

/// <summary>A folder that shows processes' control groups as /proc does.</summary>
internal sealed class ContainerProc : IDisposable
{
    private readonly TestFolder _folder = new();

    public ContainerProc()
    {
        Put(Environment.ProcessId, "0::/system.slice/signet-agent.service\n");
        File.CreateSymbolicLink(_folder.File("self"), Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
    }

    public ProcFolder Proc => new(_folder.Path);

    public void Put(int pid, string cgroup)
    {
        var folder = Directory.CreateDirectory(_folder.File(pid.ToString(CultureInfo.InvariantCulture)));
        File.WriteAllText(Path.Combine(folder.FullName, "cgroup"), cgroup);
    }

    public void Dispose() => _folder.Dispose();
}
