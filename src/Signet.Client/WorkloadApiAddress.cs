using System.Diagnostics.CodeAnalysis;
using Signet.Identity.Spiffe;

namespace Signet.Client;

/// <summary>
/// Where the Workload API is: <c>unix:/absolute/path</c> or <c>unix:///absolute/path</c> (Workload Endpoint §4). TCP, which the standard
/// also knows, is refused: nothing on it says which process is calling.
/// </summary>
public sealed record WorkloadApiAddress
{
    /// <summary>The variable that names the address when nothing else does (Workload Endpoint §4).</summary>
    public const string Variable = "SPIFFE_ENDPOINT_SOCKET";

    private const string Scheme = "unix:";

    /// <summary>What fits <c>sun_path</c> with its closing zero (unix(7)).</summary>
    private const int MaxPathBytes = 107;

    private WorkloadApiAddress(string path) => Path = path;

    /// <summary>The socket's absolute path.</summary>
    public string Path { get; }

    /// <summary>Reads an address; a bare absolute path counts as a Unix socket. Never throws.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out WorkloadApiAddress? address, out string problem)
    {
        address = null;
        if (string.IsNullOrEmpty(text))
        {
            problem = $"no Workload API address; set {Variable}, for example unix:/run/signet/agent.sock";
            return false;
        }

        if (text.StartsWith("tcp:", StringComparison.Ordinal))
        {
            problem = $"Workload API address \"{Printable.Of(text)}\" is TCP, which cannot prove who calls; use a Unix socket";
            return false;
        }

        var path = text.StartsWith(Scheme, StringComparison.Ordinal) ? text[Scheme.Length..] : text;

        // Three slashes are an empty authority and an absolute path; a name between the second and the third would be a host.
        path = path.StartsWith("///", StringComparison.Ordinal) ? path[2..] : path;
        if (!path.StartsWith('/') || path.StartsWith("//", StringComparison.Ordinal) || path.AsSpan().IndexOfAny('?', '#') >= 0)
        {
            problem = $"Workload API address \"{Printable.Of(text)}\" must name an absolute path, for example unix:/run/signet/agent.sock";
            return false;
        }

        if (System.Text.Encoding.UTF8.GetByteCount(path) > MaxPathBytes)
        {
            problem = $"Workload API address \"{Printable.Of(text)}\" is longer than the {MaxPathBytes} bytes that the kernel allows";
            return false;
        }

        address = new WorkloadApiAddress(path);
        problem = "";
        return true;
    }

    /// <summary>The address that <see cref="Variable"/> names. Never throws.</summary>
    public static bool TryFromEnvironment([NotNullWhen(true)] out WorkloadApiAddress? address, out string problem) =>
        TryParse(Environment.GetEnvironmentVariable(Variable), out address, out problem);

    public override string ToString() => Scheme + Path;
}
