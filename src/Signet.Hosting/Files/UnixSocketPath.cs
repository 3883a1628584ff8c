using System.Diagnostics.CodeAnalysis;
using System.Text;
using Signet.Identity.Spiffe;

namespace Signet.Hosting.Files;

/// <summary>Where a Unix socket lies.</summary>
public static class UnixSocketPath
{
    /// <summary>The longest path that fits the kernel's <c>sun_path</c> with its closing zero, in bytes (unix(7)).</summary>
    public const int MaxBytes = 107;

    /// <summary>Reads an absolute path, with or without <c>unix:</c> or <c>unix://</c> before it. Never throws.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out string? path, out string problem)
    {
        path = text ?? "";
        path = path.StartsWith("unix:", StringComparison.Ordinal) ? path[5..] : path;
        path = path.StartsWith("///", StringComparison.Ordinal) ? path[2..] : path;
        problem = !path.StartsWith('/') || path.StartsWith("//", StringComparison.Ordinal) || path.Contains('\0', StringComparison.Ordinal)
            ? $"\"{Printable.Of(text)}\" is not the path of a Unix socket; write an absolute path, such as unix:/run/signet/agent.sock"
            : Encoding.UTF8.GetByteCount(path) is var length && length > MaxBytes
            ? $"unix socket path {Printable.Of(path)} is {length} bytes long; the kernel allows {MaxBytes}, so choose a shorter folder"
            : "";
        path = problem.Length == 0 ? path : null;
        return path is not null;
    }
}
