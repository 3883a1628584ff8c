using System.Diagnostics.CodeAnalysis;
using System.Net;
using Signet.Identity.Spiffe;

namespace Signet.Client;

/// <summary>
/// Where the Workload API is: <c>unix:/absolute/path</c>, <c>unix:///absolute/path</c> or <c>tcp://IP:port</c> (Workload Endpoint §4).
/// </summary>
public sealed record WorkloadApiAddress
{
    /// <summary>The variable that names the address when nothing else does (Workload Endpoint §4).</summary>
    public const string Variable = "SPIFFE_ENDPOINT_SOCKET";

    private WorkloadApiAddress(string? unixPath, IPEndPoint? tcp)
    {
        UnixPath = unixPath;
        Tcp = tcp;
    }

    /// <summary>The socket's absolute path, or null for TCP.</summary>
    public string? UnixPath { get; }

    /// <summary>The TCP endpoint, or null for a Unix socket.</summary>
    public IPEndPoint? Tcp { get; }

    /// <summary>Reads an address; a bare absolute path counts as a Unix socket. Never throws.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out WorkloadApiAddress? address, out string problem)
    {
        address = null;
        if (string.IsNullOrEmpty(text))
        {
            problem = $"no Workload API address; set {Variable}, for example unix:/run/signet/agent.sock";
            return false;
        }

        if (text.StartsWith('/'))
        {
            return TryUnix(text, text, out address, out problem);
        }

        if (text.StartsWith("unix:", StringComparison.Ordinal))
        {
            var path = text["unix:".Length..];
            return TryUnix(text, path.StartsWith("//", StringComparison.Ordinal) ? path[2..] : path, out address, out problem);
        }

        if (text.StartsWith("tcp://", StringComparison.Ordinal))
        {
            return TryTcp(text, text["tcp://".Length..], out address, out problem);
        }

        problem = $"Workload API address \"{Printable.Of(text)}\" must begin with unix: or tcp://";
        return false;
    }

    public override string ToString() => UnixPath is { } path ? $"unix:{path}" : $"tcp://{Tcp}";

    private static bool TryUnix(string text, string path, [NotNullWhen(true)] out WorkloadApiAddress? address, out string problem)
    {
        // Three slashes: an empty authority, then an absolute path. Anything between the second and the third would be a host.
        if (!path.StartsWith('/') || path.Contains('?', StringComparison.Ordinal) || path.Contains('#', StringComparison.Ordinal))
        {
            address = null;
            problem = $"Workload API address \"{Printable.Of(text)}\" must name an absolute path, for example unix:/run/signet/agent.sock";
            return false;
        }

        address = new WorkloadApiAddress(path, null);
        problem = "";
        return true;
    }

    private static bool TryTcp(string text, string endpoint, [NotNullWhen(true)] out WorkloadApiAddress? address, out string problem)
    {
        if (!IPEndPoint.TryParse(endpoint, out var tcp) || tcp.Port == 0)
        {
            address = null;
            problem = $"Workload API address \"{Printable.Of(text)}\" must name an IP address and a port, for example tcp://127.0.0.1:8082";
            return false;
        }

        address = new WorkloadApiAddress(null, tcp);
        problem = "";
        return true;
    }
}
