using Signet.Client.Tls;
using Signet.Proxy.Native;

namespace Signet.Proxy.Tls;

/// <summary>
/// One handshake's questions, which OpenSSL asks through callbacks while it runs: is this the peer, which protocol, where does the new
/// session go. Lives on its loop's thread.
/// </summary>
internal sealed class TlsNegotiation
{
    private readonly TlsServerSetup? _server;
    private readonly TlsClientSetup? _client;
    private readonly Func<IReadOnlyList<ReadOnlyMemory<byte>>, Judgement> _judge;

    public TlsNegotiation(TlsServerSetup server) => (_server, _judge) = (server, server.Judge);

    public TlsNegotiation(TlsClientSetup client) => (_client, _judge) = (client, client.Judge);

    public bool IsServer => _server is not null;

    public TlsContext Context => _server?.Context ?? _client!.Credential.Context;

    /// <summary>Whether this side has a certificate to present.</summary>
    public bool HasCertificate => _client is null or { Credential.HasCertificate: true };

    /// <summary>The answer about the peer; null until the question was asked.</summary>
    public Judgement? Answer { get; private set; }

    /// <summary>The name that a server selects.</summary>
    public string? Alpn => _server?.Alpn;

    /// <summary>Where a client's sessions are kept for the next connection; null at a server, whose context keeps them, and where none are kept.</summary>
    private TlsSessions? Sessions => _client is { Destination: not null } ? _client.Credential.Sessions : null;

    /// <summary>Prepares a client's connection: names, protocols, and a session to resume if there is one.</summary>
    public unsafe void Apply(nint ssl)
    {
        if (_client is null)
        {
            LibSsl.SetAcceptState(ssl);
            return;
        }

        LibSsl.SetConnectState(ssl);
        Span<byte> name = stackalloc byte[256];
        if (_client.ServerName.Length is > 0 and < 256)
        {
            name[System.Text.Encoding.ASCII.GetBytes(_client.ServerName, name)] = 0;
            fixed (byte* text = name)
            {
                LibSsl.Control(ssl, LibSsl.ControlServerName, 0, text);
            }
        }

        var alpn = AlpnList(_client.Alpn);
        fixed (byte* list = alpn)
        {
            _ = LibSsl.SetAlpn(ssl, list, (uint)alpn.Length);
        }

        Sessions?.Resume(ssl, _client.Destination!);
    }

    /// <summary>OpenSSL asks about the certificates that the peer has just sent.</summary>
    /// <returns>What to tell it; <see cref="LibSsl.VerifyOk"/> lets the handshake go on.</returns>
    public int Judge(nint ssl, nint stack)
    {
        Answer = JudgeStack(stack, leaf: 0);
        EndSessionWithPeer(ssl);
        return AlertFor(Answer.Value);
    }

    /// <summary>The handshake has succeeded, and its last message has not left yet.</summary>
    /// <param name="ssl">The connection.</param>
    /// <param name="isResumed">The session has brought its peer's certificates along from the first handshake: the same question again.</param>
    /// <param name="isNewSession">Whether this side has made a session of TLS 1.3 just now. One that follows from another has the other's time, counted from now.</param>
    public void Complete(nint ssl, bool isResumed, bool isNewSession)
    {
        if (isResumed)
        {
            Answer = JudgeStack(LibSsl.PeerChain(ssl), leaf: IsServer ? LibSsl.PeerCertificate(ssl) : 0);
        }

        // TLS 1.2 named its session before it knew the peer. In the cache other threads may throw a session out; no more can be done to it than to forget it.
        var seconds = SecondsOfPeer();
        var mayOutlivePeer = isResumed && isNewSession && (Answer?.Peer is null || seconds < LibSsl.SessionTimeout(LibSsl.Session(ssl)));
        if (mayOutlivePeer || MayNotResume(seconds))
        {
            _ = LibSsl.ForgetSession(Context.DangerousGetHandle(), LibSsl.Session(ssl));
        }
    }

    private bool MayNotResume(double secondsOfPeer) => _server is { NeverResumed: var patterns } && Answer is { Peer: { } peer } && (secondsOfPeer < 1 || (peer.Id is { } id && patterns.Any(pattern => pattern.Matches(id))));

    /// <summary>How long the peer's certificate is good, less what OpenSSL's whole seconds may add to a session; infinite where there is none.</summary>
    private double SecondsOfPeer() => _server is { Time: var time } && Answer is { Peer.ExpiresAt: var end } ? (end - time.GetUtcNow()).TotalSeconds - 1 : double.PositiveInfinity;

    /// <summary>A client that has a new certificate and an old session gets a full handshake, and is not refused for what it no longer presents.</summary>
    private void EndSessionWithPeer(nint ssl)
    {
        var seconds = SecondsOfPeer();
        if (MayNotResume(seconds))
        {
            _ = LibSsl.SetTicketCountOf(ssl, 0);
        }
        else if (seconds < TlsContext.SessionSeconds)
        {
            _ = LibSsl.SetSessionTimeout(LibSsl.Session(ssl), (nint)seconds);
        }
    }

    /// <returns>True when the session was taken over.</returns>
    public bool Keep(nint session) => Sessions is { } sessions && sessions.Keep(session, _client!.Destination!);

    private Judgement JudgeStack(nint stack, nint leaf)
    {
        var count = stack == 0 ? 0 : LibSsl.Count(stack);
        var total = count + (leaf == 0 ? 0 : 1);
        if (total > PresentedChain.MaxCertificates)
        {
            return new(null, RefusalReason.PeerCertificateInvalid, $"the peer sent {total} certificates; the limit is {PresentedChain.MaxCertificates}");
        }

        var presented = new List<ReadOnlyMemory<byte>>(total);
        if (leaf != 0)
        {
            presented.Add(DerOf(leaf));
        }

        for (var i = 0; i < count; i++)
        {
            presented.Add(DerOf(LibSsl.At(stack, i)));
        }

        return _judge(presented);
    }

    private static unsafe byte[] DerOf(nint certificate)
    {
        var der = new byte[Math.Max(0, LibSsl.WriteCertificate(certificate, null))];
        fixed (byte* start = der)
        {
            var cursor = start;
            _ = LibSsl.WriteCertificate(certificate, &cursor);
        }

        return der;
    }

    // The alert says what the peer could find out by looking at its own certificate, and nothing about this side's configuration.
    private static int AlertFor(Judgement judgement) => judgement switch
    {
        { Peer: not null } => LibSsl.VerifyOk,
        { Reason: RefusalReason.PeerCertificateExpired } => LibSsl.VerifyErrorExpired,
        { Reason: RefusalReason.PeerCertificateRevoked } => LibSsl.VerifyErrorRevoked,
        { Reason: RefusalReason.PeerCertificateNotYetValid } => LibSsl.VerifyErrorNotYetValid,
        { Reason: RefusalReason.PeerAuthorityUnknown or RefusalReason.PeerTrustDomainUnknown } => LibSsl.VerifyErrorUnknownIssuer,
        _ => LibSsl.VerifyErrorRejected,
    };

    private static byte[] AlpnList(IReadOnlyList<string> names)
    {
        var list = new byte[names.Sum(name => name.Length + 1)];
        var at = 0;
        foreach (var name in names)
        {
            list[at++] = (byte)name.Length;
            at += System.Text.Encoding.ASCII.GetBytes(name, list.AsSpan(at));
        }

        return list;
    }
}
