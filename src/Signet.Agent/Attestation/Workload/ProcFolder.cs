using System.Globalization;
using System.Text;

namespace Signet.Agent.Attestation.Workload;

/// <summary>What the kernel says about processes (proc(5)). The facts of a process that ended, or that this agent may not look at, cannot be read. Thread-safe.</summary>
/// <param name="path">Where the kernel shows it.</param>
internal sealed class ProcFolder(string path = "/proc")
{
    public string PathOf(int pid, string name) => Path.Combine(path, pid.ToString(CultureInfo.InvariantCulture), name);

    /// <summary>Why what stands there says nothing about the processes that connect here; null when it does.</summary>
    public string? Problem()
    {
        // Mounted from elsewhere, it would show other processes under the same numbers.
        var self = LinkOf(Path.Combine(path, "self"));
        return self == Environment.ProcessId.ToString(CultureInfo.InvariantCulture) ? null
            : self is null ? $"{path} does not show this agent itself; mount it where the agent runs"
            : $"{path} shows the processes of another pid namespace; share the host's pid namespace with the agent and mount its own {path}";
    }

    /// <exception cref="IOException">There is no such process any more, or the file is longer than it can be.</exception>
    /// <exception cref="UnauthorizedAccessException">This agent may not look at the process.</exception>
    public string Read(int pid, string name, int maxBytes) => Read(PathOf(pid, name), maxBytes);

    /// <summary>About this agent itself.</summary>
    /// <inheritdoc cref="Read(int, string, int)"/>
    public string ReadOwn(string name, int maxBytes) => Read(Path.Combine(path, "self", name), maxBytes);

    /// <summary>Where a link leads, as the kernel writes it; null when it cannot be read.</summary>
    public string? Link(int pid, string name) => LinkOf(PathOf(pid, name));

    /// <inheritdoc cref="Link"/>
    public string? OwnLink(string name) => LinkOf(Path.Combine(path, "self", name));

    private static string? LinkOf(string link)
    {
        try
        {
            return new FileInfo(link).LinkTarget;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string Read(string path, int maxBytes)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        var buffer = new byte[Math.Min(maxBytes, 4096)];
        var length = 0;
        int read;
        while ((read = file.Read(buffer, length, buffer.Length - length)) > 0)
        {
            length += read;
            if (length == maxBytes)
            {
                throw new IOException($"{path} is longer than {maxBytes} bytes");
            }

            if (length == buffer.Length)
            {
                Array.Resize(ref buffer, Math.Min(maxBytes, buffer.Length * 2));
            }
        }

        return Encoding.UTF8.GetString(buffer, 0, length);
    }
}
