using Signet.Agent.Attestation.Workload.Containers;

namespace Signet.Agent.Attestation.Workload.Systemd;

/// <summary>Finds the unit of a process, as the service manager itself does: by the control group that it made for the unit. Pure.</summary>
internal static class SystemdUnit
{
    /// <summary>The longest name of a unit, in characters.</summary>
    private const int MaxLength = 255;

    private static readonly string[] Kinds = [".service", ".scope", ".socket", ".mount", ".swap"];

    /// <param name="paths">Of the process.</param>
    /// <param name="note">Why nothing is said, if there is something to say.</param>
    /// <returns>The unit's name; null when it runs in none.</returns>
    public static string? Of(IReadOnlyList<CgroupPath> paths, out string? note)
    {
        note = null;
        if (paths.FirstOrDefault(path => path.IsOfSystemd && path.Segments.Count > 0) is not { Segments: var segments })
        {
            return null;
        }

        if (segments[0] == "..")
        {
            note = "no unit is known of it: it runs outside of the agent's cgroup namespace; run the agent in the host's";
            return null;
        }

        // Slices are levels of the tree. The first name below them is the unit; what lies deeper belongs to the unit, which may call it what it likes.
        var name = segments.SkipWhile(segment => segment.EndsWith(".slice", StringComparison.Ordinal)).FirstOrDefault();
        name = name is ['_', .. var escaped] ? escaped : name;
        return name is { Length: <= MaxLength } && Kinds.Any(kind => name.Length > kind.Length && name.EndsWith(kind, StringComparison.Ordinal))
            && name.All(c => char.IsAsciiLetterOrDigit(c) || c is ':' or '-' or '_' or '.' or '\\' or '@') ? name : null;
    }

    /// <summary>The name as part of an object's path on the bus.</summary>
    public static string ToBusPath(string unit) => string.Concat(unit.Select((c, i) =>
        char.IsAsciiLetter(c) || (char.IsAsciiDigit(c) && i > 0) ? c.ToString() : $"_{(int)c:x2}"));
}
