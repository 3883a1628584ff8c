using System.Net;
using Signet.Identity.Spiffe;

namespace Signet.Policy;

public enum Protocol
{
    /// <summary>Bytes: no method, path, header or token is known, and none is matched.</summary>
    Tcp,

    Http,
}

/// <summary>
/// What is known of a connection and of the request on it. One object per connection, reused for its requests: set the connection part
/// once, call <see cref="ResetRequest"/> between requests. Not thread-safe. It keeps the buffers that make a decision free of allocation.
/// </summary>
public sealed partial class RequestFacts
{
    /// <summary>The authenticated peer; null for plaintext. Believed only when <see cref="MutualTls"/>.</summary>
    public SpiffeId? Peer { get; set; }

    /// <summary>Whether the connection is mutual TLS with a verified client certificate.</summary>
    public bool MutualTls { get; set; }

    /// <summary>The direct peer's address.</summary>
    public IPAddress? SourceIp { get; set => (field, SourceAddress) = (value, IpKey.Of(value)); }

    /// <summary>The address that a trusted proxy in front reported; null means the direct peer's.</summary>
    public IPAddress? RemoteIp { get; set => (field, ReportedAddress) = (value, IpKey.Of(value)); }

    /// <summary>The address that the peer connected to; null when unknown, and then no condition on it matches.</summary>
    public IPAddress? DestinationIp { get; set => (field, DestinationAddress) = (value, IpKey.Of(value)); }

    /// <summary>The workload's port (not the service's).</summary>
    public int DestinationPort { get; set; }

    /// <summary>The server name that the peer asked for, or null.</summary>
    public string? Sni { get; set; }

    public Protocol Protocol { get; set; }

    /// <summary>HTTP only: the method, as received.</summary>
    public string? Method { get; set; }

    /// <summary>HTTP only: <c>Host</c> or <c>:authority</c>, with its port if it has one.</summary>
    public string? Host { get; set; }

    /// <summary>HTTP only: the request target as received, query included.</summary>
    public string? Path { get; set; }

    /// <summary>HTTP only: all headers; a repeated header is listed repeatedly.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; set; } = [];

    /// <summary>HTTP only: the claims of a token that was validated, or null.</summary>
    public ValidatedJwt? Jwt { get; set; }

    /// <summary>Forgets the request, keeps the connection.</summary>
    public void ResetRequest()
    {
        (Method, Host, Path, Headers, Jwt) = (null, null, null, [], null);
        _answers?.Clear();
    }

    /// <summary>Notes what the external authoriser of a <see cref="CustomQuestion"/> said about this request.</summary>
    public void Answer(CustomQuestion question, CustomAnswer answer) =>
        (_answers ??= new(StringComparer.Ordinal))[question.Provider.Name] = answer;
}
