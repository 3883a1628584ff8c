using System.Globalization;

namespace Signet.Hosting.PeerCredentials;

/// <summary>
/// When a process started, in clock ticks since boot: field 22 of <c>/proc/PID/stat</c> (proc_pid_stat(5)). The second field, the command in
/// parentheses, may itself hold spaces and parentheses, so the count begins after the last one.
/// </summary>
internal static class ProcessStartTime
{
    private const int FirstFieldAfterCommand = 3, StartTimeField = 22;

    /// <summary>The kernel writes less than half of this.</summary>
    private const int MaxLength = 4096;

    public static bool TryRead(int pid, out ulong startTime)
    {
        startTime = 0;
        try
        {
            using var file = File.OpenHandle($"/proc/{pid.ToString(CultureInfo.InvariantCulture)}/stat");
            Span<byte> bytes = stackalloc byte[MaxLength];
            return TryParse(bytes[..RandomAccess.Read(file, bytes, 0)], out startTime);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    internal static bool TryParse(ReadOnlySpan<byte> stat, out ulong startTime)
    {
        startTime = 0;
        var commandEnd = stat.LastIndexOf((byte)')');
        if (commandEnd < 0)
        {
            return false;
        }

        var number = FirstFieldAfterCommand - 1;
        var fields = stat[(commandEnd + 1)..];
        foreach (var range in fields.Split((byte)' '))
        {
            // The space after the parenthesis makes the first piece empty: it counts for the command.
            if (number++ == StartTimeField)
            {
                return ulong.TryParse(fields[range], NumberStyles.None, CultureInfo.InvariantCulture, out startTime);
            }
        }

        return false;
    }
}
