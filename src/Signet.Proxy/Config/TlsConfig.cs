using Signet.Hosting.Configuration;

namespace Signet.Proxy.Config;

public enum TlsVersion
{
    Tls12,
    Tls13,
}

/// <summary>How TLS between workloads is spoken. Suites and groups are not options: each one that is left has forward secrecy and authenticated encryption.</summary>
public sealed record TlsConfig
{
    /// <summary>The oldest version that is spoken, <c>"1.2"</c> or <c>"1.3"</c>.</summary>
    public TlsVersion MinVersion { get; init; } = TlsVersion.Tls12;

    /// <summary>
    /// Whether a peer may take up an earlier session instead of a full handshake. Its certificates are judged again each time, and sessions
    /// end with the identity and the bundles that they were made under.
    /// </summary>
    public bool Resumption { get; init; } = true;

    /// <summary>Peers that may not: each of their inbound connections makes a full handshake.</summary>
    public IReadOnlyList<PeerPattern> NeverResumed { get; init; } = [];

    /// <summary>Whether TCP connections to one peer share a session between two Signet proxies, each as a stream of its own that is decided by itself.</summary>
    public bool Tunnel { get; init; } = true;

    internal static TlsConfig Read(ConfigSection section)
    {
        var defaults = new TlsConfig();
        return new()
        {
            MinVersion = section.Choice("minVersion", defaults.MinVersion, ("1.2", TlsVersion.Tls12), ("1.3", TlsVersion.Tls13)),
            Resumption = section.Flag("resumption", defaults.Resumption),
            NeverResumed = section.Values<PeerPattern>("neverResumed", PeerPattern.TryParse),
            Tunnel = section.Flag("tunnel", defaults.Tunnel),
        };
    }
}
