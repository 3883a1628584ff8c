using System.Globalization;

namespace Signet.Agent.Attestation.Workload.Containers;

/// <summary>The place of a process in one of the hierarchies of control groups.</summary>
/// <param name="Hierarchy">Its number; 0 is that of version 2.</param>
/// <param name="Controllers">What it controls in version 1, such as <c>memory</c> or <c>name=systemd</c>; empty in version 2.</param>
/// <param name="Segments">Its names from the outermost to the innermost, <c>..</c> for what lies above this agent's own namespace.</param>
internal sealed record CgroupPath(int Hierarchy, string Controllers, IReadOnlyList<string> Segments)
{
    /// <summary>Whether service managers work in it.</summary>
    public bool IsOfSystemd => Hierarchy == 0 || Controllers == "name=systemd";

    public override string ToString() => "/" + string.Join('/', Segments);
}

/// <summary>Reads <c>/proc/PID/cgroup</c>: lines of <c>NUMBER:CONTROLLERS:PATH</c> (cgroups(7)). No name in a path holds a newline; the kernel sees to that.</summary>
internal static class CgroupPaths
{
    public const int MaxBytes = 64 * 1024;

    private const int MaxLines = 64;

    /// <summary>Never throws.</summary>
    public static bool TryParse(string text, out IReadOnlyList<CgroupPath> paths, out string problem)
    {
        var found = new List<CgroupPath>();
        (paths, problem) = (found, "");
        foreach (var line in text.Split('\n').Where(line => line.Length > 0))
        {
            var fields = line.Split(':', 3);
            if (found.Count == MaxLines || fields.Length < 3 || !int.TryParse(fields[0], NumberStyles.None, CultureInfo.InvariantCulture, out var hierarchy) || !fields[2].StartsWith('/'))
            {
                problem = "its cgroup is not shown as NUMBER:CONTROLLERS:PATH";
                return false;
            }

            found.Add(new CgroupPath(hierarchy, fields[1], fields[2].Split('/', StringSplitOptions.RemoveEmptyEntries)));
        }

        problem = found.Count > 0 ? "" : "it has no cgroup";
        return found.Count > 0;
    }

    /// <summary>Those of a process.</summary>
    /// <exception cref="IOException">There is no such process, or what is shown of it makes no sense.</exception>
    /// <exception cref="UnauthorizedAccessException">This agent may not look at it.</exception>
    public static IReadOnlyList<CgroupPath> Of(ProcFolder proc, int pid) =>
        TryParse(proc.Read(pid, "cgroup", MaxBytes), out var paths, out var problem) ? paths : throw new IOException(problem);

    /// <summary>Those of this agent.</summary>
    /// <inheritdoc cref="Of"/>
    public static IReadOnlyList<CgroupPath> OfAgent(ProcFolder proc) =>
        TryParse(proc.ReadOwn("cgroup", MaxBytes), out var paths, out var problem) ? paths : throw new IOException(problem);
}
