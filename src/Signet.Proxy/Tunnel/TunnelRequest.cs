using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Signet.Proxy.Http2;
using Signet.Proxy.L7;
using Signet.Proxy.Transport;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Tunnel;

/// <summary>What a peer asks for with CONNECT.</summary>
/// <param name="Host">A name or an address, without brackets.</param>
/// <param name="Port">1 to 65535.</param>
/// <param name="Fields">What else it says about the connection; nobody vouches for it.</param>
public sealed record TunnelRequest(string Host, int Port, IReadOnlyList<KeyValuePair<string, string>> Fields)
{
    /// <summary>Says that a connection carries HTTP/1 from its first octet, so that nobody has to look; ports of declared applications don't need it.</summary>
    private static readonly IReadOnlyList<KeyValuePair<string, string>> HttpFields = [new("signet-protocol", "http/1.1")];

    /// <summary>Whether the peer says that it will speak HTTP/1.</summary>
    public bool SaysHttp => Fields.Any(one => one is { Key: "signet-protocol", Value: "http/1.1" });

    /// <summary>What is said about a connection with such a use.</summary>
    internal static IReadOnlyList<KeyValuePair<string, string>> FieldsFor(UpstreamUse use) => use == UpstreamUse.Http1 ? HttpFields : [];

    /// <summary>Reads the destination of a CONNECT request: <c>authority = host ":" port</c>, both always there (RFC 9110 §7.1).</summary>
    public static bool TryParse(Http2RequestHead head, [NotNullWhen(true)] out TunnelRequest? request, out string problem)
    {
        (request, problem) = (null, "");
        if (!head.IsConnect)
        {
            problem = $"{head.Method} in a tunnel, which knows only CONNECT";
            return false;
        }

        var colon = head.Authority.LastIndexOf(':');
        if (colon <= 0 || !HostText.IsValid(head.Authority) || head.Authority.EndsWith(']')
            || !int.TryParse(head.Authority.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port is 0 or > ushort.MaxValue)
        {
            problem = "the destination is not a host and a port";
            return false;
        }

        request = new TunnelRequest(head.Authority[..colon].Trim('[', ']'), port, head.Fields);
        return true;
    }
}

/// <summary>What becomes of a request for a connection.</summary>
public abstract record TunnelAnswer
{
    private TunnelAnswer()
    {
    }

    /// <param name="Relay">Takes the connection's octets until both directions have ended. The tunnel disposes of the transport afterwards.</param>
    public sealed record Permitted(Func<ITransport, Task> Relay) : TunnelAnswer;

    /// <param name="Status">403 when policy says no, 503 when the application cannot be reached. The peer learns nothing else.</param>
    public sealed record Refused(int Status) : TunnelAnswer;
}
