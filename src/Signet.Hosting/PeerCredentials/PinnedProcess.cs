using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Signet.Hosting.PeerCredentials;

/// <summary>
/// A process that somebody named by its number, and who it acted as at that moment. Numbers are used again: learn facts, then ask
/// <see cref="IsSame"/>, and believe them only if it still is. Immutable, thread-safe.
/// </summary>
public sealed class PinnedProcess
{
    private readonly ulong _startTime;

    private PinnedProcess(int pid, uint uid, uint gid, ulong startTime) => (Pid, Uid, Gid, _startTime) = (pid, uid, gid, startTime);

    public int Pid { get; }

    /// <summary>Its effective user.</summary>
    public uint Uid { get; }

    /// <summary>Its effective group.</summary>
    public uint Gid { get; }

    /// <summary>Looks a process up.</summary>
    /// <returns>False when there is none of that number that can be looked at.</returns>
    public static bool TryPin(int pid, [NotNullWhen(true)] out PinnedProcess? process)
    {
        process = null;
        if (pid > 0 && ProcessStartTime.TryRead(pid, out var startTime) && Owner(pid) is var (uid, gid))
        {
            process = new PinnedProcess(pid, uid, gid, startTime);
        }

        return process is not null;
    }

    /// <summary>Whether the number still means this process, and it still acts as the same user.</summary>
    public bool IsSame() => ProcessStartTime.TryRead(Pid, out var startTime) && startTime == _startTime && Owner(Pid) == (Uid, Gid);

    private static (uint Uid, uint Gid)? Owner(int pid)
    {
        try
        {
            var lines = File.ReadLines($"/proc/{pid.ToString(CultureInfo.InvariantCulture)}/status").ToArray();
            return Effective(lines, "Uid:") is { } uid && Effective(lines, "Gid:") is { } gid ? (uid, gid) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // Real, effective, saved and file system's (proc_pid_status(5)).
    private static uint? Effective(string[] lines, string name) =>
        lines.FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal))?.Split('\t') is { Length: > 2 } fields
        && uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out var id)
            ? id
            : null;
}
