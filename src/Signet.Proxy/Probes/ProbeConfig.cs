using System.Buffers;
using System.Net;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;

namespace Signet.Proxy.Probes;

/// <summary>How the application says that it is well.</summary>
public abstract record ProbeCheck
{
    private ProbeCheck()
    {
    }

    /// <summary>A GET that is answered with a status from 200 to 399.</summary>
    /// <param name="Path">Path and query.</param>
    /// <param name="IsHttps">By TLS; as kubelet does, whatever certificate is shown is taken.</param>
    /// <param name="Host">The Host header; null takes the address.</param>
    /// <param name="Headers">Further headers.</param>
    public sealed record Http(string Path, bool IsHttps, string? Host, IReadOnlyDictionary<string, string> Headers) : ProbeCheck;

    /// <summary>A connection that is accepted.</summary>
    public sealed record Tcp : ProbeCheck;

    /// <summary><c>grpc.health.v1.Health/Check</c>, answered with SERVING.</summary>
    /// <param name="Service">The service to ask for; empty for the server as a whole.</param>
    public sealed record Grpc(string Service) : ProbeCheck;
}

/// <summary>A probe of the application that the proxy takes for kubelet or a load balancer.</summary>
/// <param name="Path">Where it is asked for: <c>/app-health/orders/readyz</c>.</param>
/// <param name="Target">Where the application is, on this machine.</param>
/// <param name="Check">What to ask.</param>
/// <param name="Timeout">For the application's answer.</param>
public sealed record ProbeConfig(string Path, IPEndPoint Target, ProbeCheck Check, TimeSpan Timeout)
{
    /// <summary>A configuration has no more probes than this.</summary>
    public const int MaxProbes = 64;

    private const int MaxName = 63;
    private const int MaxHeaders = 32;
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestTimeout = TimeSpan.FromSeconds(60);
    private static readonly SearchValues<char> NameLetters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-.");
    private static readonly SearchValues<char> FieldNameLetters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    internal static IReadOnlyList<ProbeConfig> Read(ConfigSection root)
    {
        var sections = root.Sections("probes");
        var probes = sections.Take(MaxProbes).Select(ReadOne).ToList();
        if (sections.Count > MaxProbes)
        {
            root.Problem("probes", $"has {sections.Count} entries; at most {MaxProbes} are taken");
        }

        foreach (var twice in probes.GroupBy(probe => probe.Path).Where(same => same.Count() > 1))
        {
            root.Problem("probes", $"{twice.Key} is there twice; give one of them another name or check");
        }

        return probes;
    }

    private static ProbeConfig ReadOne(ConfigSection section)
    {
        var name = section.RequiredText("name");
        if (name.Length > MaxName || name.AsSpan().ContainsAnyExcept(NameLetters))
        {
            section.Problem("name", $"\"{Printable.Of(name)}\" is not a name of at most {MaxName} lower-case letters, digits, '-' and '.'");
        }

        var kind = section.Choice("check", "readyz", "livez", "readyz", "startupz");
        var (http, tcp, grpc) = (section.Section("http"), section.Section("tcp"), section.Section("grpc"));
        if (new[] { http, tcp, grpc }.Count(of => of.IsPresent) != 1)
        {
            section.Problem("http", "exactly one of http, tcp and grpc must be there");
        }

        var (of, check) = http.IsPresent ? (http, ReadHttp(http)) : grpc.IsPresent ? (grpc, new ProbeCheck.Grpc(grpc.Text("service", ""))) : (tcp, (ProbeCheck)new ProbeCheck.Tcp());
        return new ProbeConfig($"/app-health/{name}/{kind}", ReadTarget(section, of), check, section.Duration("timeout", DefaultTimeout, TimeSpan.FromMilliseconds(1), LongestTimeout));
    }

    private static IPEndPoint ReadTarget(ConfigSection section, ConfigSection check)
    {
        var port = check.Integer("port", 1, ushort.MaxValue);
        if (port is null && check.Shape("port") == ConfigShape.Absent)
        {
            check.Problem("port", "is missing; write the application's port");
        }

        var address = IPAddress.Loopback;
        if (section.Text("address") is { } text && !IPAddress.TryParse(text, out address))
        {
            section.Problem("address", $"\"{Printable.Of(text)}\" is not an address of this machine, such as 127.0.0.1");
        }

        return new IPEndPoint(address ?? IPAddress.Loopback, port ?? 0);
    }

    private static ProbeCheck.Http ReadHttp(ConfigSection section)
    {
        var path = section.Text("path", "/");
        if (!path.StartsWith('/') || !Uri.TryCreate($"http://x{path}", UriKind.Absolute, out var uri) || uri.Fragment.Length > 0 || path.AsSpan().ContainsAnyExceptInRange('\x21', '\x7e'))
        {
            section.Problem("path", $"\"{Printable.Of(path)}\" is not a path such as /healthz");
            path = "/";
        }

        var headers = section.Map("headers");
        if (headers.Count > MaxHeaders || headers.Any(header => header.Key.AsSpan().ContainsAnyExcept(FieldNameLetters) || header.Value.AsSpan().ContainsAnyExceptInRange(' ', '~')))
        {
            section.Problem("headers", $"takes at most {MaxHeaders} headers of printable ASCII, such as {{X-Probe: kubelet}}");
        }

        return new ProbeCheck.Http(path, section.Choice("scheme", "http", "http", "https") == "https", section.Text("host"), headers);
    }
}
