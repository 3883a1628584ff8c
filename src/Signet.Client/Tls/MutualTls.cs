using System.Net.Security;
using System.Security.Authentication;
using Signet.Identity.X509;

namespace Signet.Client.Tls;

/// <summary>
/// Mutual TLS with the newest identity of a source: each handshake presents the SVID and believes the bundles of the same moment, which are built into TLS's form
/// once per SVID; peers are judged by <see cref="SvidVerifier"/> and then by an <see cref="Authorizer"/>; nothing is fetched from the network. The host name plays
/// no part: who the peer is says its SPIFFE ID. Thread-safe.
/// </summary>
/// <param name="source">Where this side's identity comes from. The caller disposes it, afterwards.</param>
/// <param name="authorizer">Who may be at the other end.</param>
/// <param name="time">The clock.</param>
public sealed class MutualTls(IX509Source source, Authorizer authorizer, TimeProvider time)
{
    private readonly Lock _gate = new();
    private Presented? _presented;

    /// <summary>Where this side's identity comes from.</summary>
    public IX509Source Source => source;

    /// <summary>Who may be at the other end.</summary>
    public Authorizer Authorizer => authorizer;

    /// <summary>The clock that it goes by.</summary>
    public TimeProvider Time => time;

    /// <summary>Settings to accept one connection with. Use them for one handshake; get new ones for the next.</summary>
    /// <param name="accepted">Hears who the peer is, during the handshake.</param>
    /// <param name="refused">Hears why it was refused, during the handshake: for a log, since TLS tells the peer next to nothing. Must not block or throw.</param>
    /// <exception cref="MutualTlsException">There is no identity to present.</exception>
    public SslServerAuthenticationOptions ServerOptions(Action<MutualTlsPeer>? accepted = null, Action<MutualTlsException>? refused = null) => ServerOptions(Current(), accepted, refused);

    /// <summary>Settings to connect once with. Use them for one handshake; get new ones for the next, as <c>GrpcChannel.ForTls</c> does.</summary>
    /// <param name="serverName">The SNI name, for servers that look at it; empty sends none.</param>
    /// <param name="accepted">Hears who the peer is, during the handshake.</param>
    /// <param name="refused">Hears why it was refused, during the handshake. Must not block or throw.</param>
    /// <exception cref="MutualTlsException">There is no identity to present.</exception>
    public SslClientAuthenticationOptions ClientOptions(string serverName, Action<MutualTlsPeer>? accepted = null, Action<MutualTlsException>? refused = null) =>
        ClientOptions(Current(), serverName, accepted, refused);

    /// <summary>A <see cref="ServerOptionsSelectionCallback"/>, for code that has an <see cref="SslStream"/> of its own.</summary>
    /// <exception cref="MutualTlsException">There is no identity to present.</exception>
    public ValueTask<SslServerAuthenticationOptions> SelectServerOptions(SslStream stream, SslClientHelloInfo hello, object? state, CancellationToken cancellationToken) => new(ServerOptions());

    /// <summary>Shakes hands over a connection that was accepted.</summary>
    /// <param name="transport">Closed with the answer, and when this throws.</param>
    /// <param name="cancellationToken">Gives up. Give it a deadline: a peer may say nothing.</param>
    /// <exception cref="MutualTlsException">There is no identity, or the peer was refused.</exception>
    /// <exception cref="AuthenticationException">The peer does not speak TLS as it should, or has refused this side.</exception>
    /// <exception cref="IOException">The connection broke.</exception>
    public Task<MutualTlsStream> AcceptAsync(Stream transport, CancellationToken cancellationToken) => ShakeAsync(
        transport,
        (stream, presented, accepted, refused) => stream.AuthenticateAsServerAsync(ServerOptions(presented, accepted, refused), cancellationToken));

    /// <summary>Shakes hands over a connection that this side opened. With TLS 1.3 a server's refusal shows only afterwards: the first read ends.</summary>
    /// <param name="transport">Closed with the answer, and when this throws.</param>
    /// <param name="serverName">The SNI name; empty sends none.</param>
    /// <param name="cancellationToken">Gives up. Give it a deadline: a peer may say nothing.</param>
    /// <inheritdoc cref="AcceptAsync"/>
    public Task<MutualTlsStream> ConnectAsync(Stream transport, string serverName, CancellationToken cancellationToken) => ConnectAsync(transport, serverName, [], cancellationToken);

    /// <param name="transport">Closed with the answer, and when this throws.</param>
    /// <param name="serverName">The SNI name; empty sends none.</param>
    /// <param name="protocols">What is offered by ALPN, the best first.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <inheritdoc cref="ConnectAsync(Stream, string, CancellationToken)"/>
    public Task<MutualTlsStream> ConnectAsync(Stream transport, string serverName, IReadOnlyList<SslApplicationProtocol> protocols, CancellationToken cancellationToken) => ShakeAsync(
        transport,
        (stream, presented, accepted, refused) =>
        {
            var options = ClientOptions(presented, serverName, accepted, refused);
            options.ApplicationProtocols = [.. protocols];
            return stream.AuthenticateAsClientAsync(options, cancellationToken);
        });

    private SslServerAuthenticationOptions ServerOptions(Presented presented, Action<MutualTlsPeer>? accepted, Action<MutualTlsException>? refused) =>
        SvidTls.Server(presented.Credential, clientCertificate: true, (chain, problem) => Judge(presented, chain, problem, CertificateUsage.Client, accepted, refused));

    private SslClientAuthenticationOptions ClientOptions(Presented presented, string serverName, Action<MutualTlsPeer>? accepted, Action<MutualTlsException>? refused) =>
        SvidTls.Client(presented.Credential, serverName, (chain, problem) => Judge(presented, chain, problem, CertificateUsage.Server, accepted, refused));

    private async Task<MutualTlsStream> ShakeAsync(Stream transport, Func<MutualTlsStream, Presented, Action<MutualTlsPeer>, Action<MutualTlsException>, Task> shake)
    {
        MutualTlsPeer? peer = null;
        MutualTlsException? refusal = null;
        var stream = new MutualTlsStream(transport);
        try
        {
            var presented = Current();
            await shake(stream, presented, accepted => peer = accepted, refused => refusal = refused).ConfigureAwait(false);
            stream.Begin(
                peer ?? throw new MutualTlsException(MutualTlsProblem.PeerNotTrusted, "the handshake ended without a peer"),
                presented.Credential.Svid.NotAfter,
                time);
            return stream;
        }
        catch (Exception e)
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            if (refusal is not null && e is not OperationCanceledException)
            {
                throw new MutualTlsException(refusal.Problem, refusal.Message, e);
            }

            throw;
        }
    }

    private bool Judge(
        Presented presented, IReadOnlyList<Certificate> chain, string problem, CertificateUsage usage, Action<MutualTlsPeer>? accepted, Action<MutualTlsException>? refused)
    {
        var verdict = SvidVerifier.Verify(chain, presented.Context.Bundles, usage, time.GetUtcNow());
        if (problem.Length > 0 || !verdict.IsTrusted)
        {
            refused?.Invoke(new MutualTlsException(MutualTlsProblem.PeerNotTrusted, problem.Length > 0 ? problem : verdict.Reason));
            return false;
        }

        if (!authorizer.Allows(verdict.Id!, out var reason))
        {
            refused?.Invoke(new MutualTlsException(MutualTlsProblem.PeerNotAuthorized, reason));
            return false;
        }

        accepted?.Invoke(new MutualTlsPeer(verdict.Id!, verdict.ExpiresAt));
        return true;
    }

    private Presented Current()
    {
        var context = source.Current
            ?? throw new MutualTlsException(MutualTlsProblem.NoIdentity, $"there is no identity to present: {source.Problem ?? "none has been received"}");
        var presented = Volatile.Read(ref _presented);
        if (presented is null || !ReferenceEquals(presented.Context, context))
        {
            lock (_gate)
            {
                if (!TlsCredential.CanPresent(context.Default, out var problem))
                {
                    throw new MutualTlsException(MutualTlsProblem.KeyNotUsable, problem);
                }

                presented = _presented is { } last && last.Credential.Svid.Leaf.Equals(context.Default.Leaf)
                    ? new Presented(context, last.Credential)
                    : new Presented(context, new TlsCredential(context.Default));
                Volatile.Write(ref _presented, presented);
            }
        }

        var svid = presented.Credential.Svid;
        return svid.Validity.HasExpired(time.GetUtcNow())
            ? throw new MutualTlsException(MutualTlsProblem.IdentityExpired, $"the identity {svid.Id} expired at {svid.NotAfter:u} and no newer one came: {source.Problem ?? "the source says nothing"}")
            : presented;
    }

    /// <summary>What one moment's handshakes present, and whom they believe.</summary>
    private sealed record Presented(X509Context Context, TlsCredential Credential);
}
