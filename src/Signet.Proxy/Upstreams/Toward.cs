using System.Net;
using Signet.Identity.X509;
using Signet.Proxy.Tls;
using Signet.Proxy.Tls.Web;

namespace Signet.Proxy.Upstreams;

/// <summary>Whom a connection is meant for, and how its handshake goes: what is presented, asked for, offered and believed.</summary>
internal abstract class Toward
{
    private Toward()
    {
    }

    /// <summary>What is presented; null where there is no handshake.</summary>
    public abstract ClientCredential? Credential { get; }

    /// <summary>The SNI name; empty asks for none.</summary>
    public abstract string ServerName { get; }

    /// <summary>Everything the other side is believed for besides the credential, in words that are equal only when it is.</summary>
    public abstract string Expectation { get; }

    /// <summary>What is offered.</summary>
    /// <param name="use">What the connection is wanted for.</param>
    /// <param name="mayTunnel">Whether a tunnel would do as well.</param>
    public abstract IReadOnlyList<string> Alpn(UpstreamUse use, bool mayTunnel);

    /// <summary>Whether the other side has agreed to HTTP/2, where that was offered.</summary>
    public static bool SpeaksHttp2(TlsSession session) => session.Peer.Id is null ? MeshAlpn.SaysHttp2(session.Alpn) : !MeshAlpn.SaysHttp1(session.Alpn);

    public abstract Judgement Judge(IReadOnlyList<ReadOnlyMemory<byte>> presented, DateTimeOffset now);

    /// <summary>Plaintext, because a rule asks for it in so many words.</summary>
    public sealed class Anybody : Toward
    {
        public override ClientCredential? Credential => null;

        public override string ServerName => "";

        public override string Expectation => "";

        public override IReadOnlyList<string> Alpn(UpstreamUse use, bool mayTunnel) => [];

        public override Judgement Judge(IReadOnlyList<ReadOnlyMemory<byte>> presented, DateTimeOffset now) => throw new InvalidOperationException("there is no handshake in plaintext");
    }

    /// <summary>A workload of the mesh, by mutual TLS with the own SVID.</summary>
    public sealed class Workload(OwnIdentity identity, string serverName, AcceptedWorkloads accepted) : Toward
    {
        public OwnIdentity Identity => identity;

        public override ClientCredential Credential => identity.Certificate.Client;

        public override string ServerName => serverName;

        public override string Expectation { get; } = $"{serverName} {accepted}";

        public override IReadOnlyList<string> Alpn(UpstreamUse use, bool mayTunnel) => MeshAlpn.Offer(use, mayTunnel);

        public override Judgement Judge(IReadOnlyList<ReadOnlyMemory<byte>> presented, DateTimeOffset now) =>
            identity.Verdicts.Judge(presented, CertificateUsage.Server, accepted.Holds(identity), now);
    }

    /// <summary>A server outside the mesh, by TLS as the web does it.</summary>
    public sealed class Server(WebCredential credential, string name, IReadOnlyList<string> expected) : Toward
    {
        private static readonly IReadOnlyList<string> Http1 = ["http/1.1"];
        private static readonly IReadOnlyList<string> Http2 = ["h2", "http/1.1"];

        public override ClientCredential Credential => credential.Client;

        // An address is no name to ask for (RFC 6066 §3).
        public override string ServerName => IPAddress.TryParse(name, out _) ? "" : name;

        public override string Expectation { get; } = $"{name} {string.Join(',', expected)}";

        public override IReadOnlyList<string> Alpn(UpstreamUse use, bool mayTunnel) => use switch
        {
            UpstreamUse.Http2 => Http2,
            UpstreamUse.Http1 => Http1,
            _ => [],
        };

        public override Judgement Judge(IReadOnlyList<ReadOnlyMemory<byte>> presented, DateTimeOffset now) => credential.Verdicts.Judge(presented, expected, now);
    }
}

/// <summary>The workloads that are accepted as servers: those that are named, or when none is every one of the own trust domain.</summary>
internal sealed class AcceptedWorkloads(IReadOnlySet<string> uris)
{
    public Func<Identity.Spiffe.SpiffeId, bool> Holds(OwnIdentity own) => id => uris.Count > 0 ? uris.Contains(id.Uri) : id.IsMemberOf(own.Id.TrustDomain);

    public override string ToString() => string.Join(',', uris.Order(StringComparer.Ordinal));
}
