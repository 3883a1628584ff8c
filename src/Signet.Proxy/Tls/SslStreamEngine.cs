using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Text;
using Signet.Client.Tls;
using Signet.Proxy.Transport;
using Certificate = Signet.Identity.X509.Certificate;

namespace Signet.Proxy.Tls;

/// <summary>
/// TLS by the platform's <see cref="SslStream"/>. Two things it cannot do on Linux: tell a refused client why (the client sees an end, not
/// an alert), and resume sessions without forgetting intermediates (so it never does).
/// </summary>
public sealed class SslStreamEngine : ITlsEngine
{
    public async Task<TlsOutcome> AcceptAsync(ITransport below, TlsServerSetup setup, CancellationToken cancellationToken)
    {
        var judged = new Judged(setup.Judge);
        var options = SvidTls.Server(setup.Credential, clientCertificate: true, judged.Ask);
        options.ApplicationProtocols = setup.Alpn is null ? null : Protocols([setup.Alpn]);
        return await HandshakeAsync(below, judged, stream => stream.AuthenticateAsServerAsync(options, cancellationToken)).ConfigureAwait(false);
    }

    public async Task<TlsOutcome> ConnectAsync(ITransport below, TlsClientSetup setup, CancellationToken cancellationToken)
    {
        var judged = new Judged(setup.Judge);
        var options = SvidTls.Client(setup.Credential, setup.ServerName, judged.Ask);
        options.ApplicationProtocols = Protocols(setup.Alpn);
        return await HandshakeAsync(below, judged, stream => stream.AuthenticateAsClientAsync(options, cancellationToken)).ConfigureAwait(false);
    }

    private static async Task<TlsOutcome> HandshakeAsync(ITransport below, Judged judged, Func<SslStream, Task> handshake)
    {
        var inner = new TransportStream(below);
        var stream = new SslStream(inner, leaveInnerStreamOpen: false);
        try
        {
            await handshake(stream).ConfigureAwait(false);
            if (judged.Answer is { Peer: { } peer })
            {
                var alpn = Encoding.Latin1.GetString(stream.NegotiatedApplicationProtocol.Protocol.Span);
                return new TlsOutcome.Established(new TlsSession(
                    new TlsTransport(stream, inner, below), peer, VersionName(stream.SslProtocol), stream.NegotiatedCipherSuite.ToString(), alpn.Length > 0 ? alpn : null));
            }

            return judged.Refusal ?? new TlsOutcome.Refused(RefusalReason.PeerCertificateMissing, "the peer presented no certificate", null);
        }
        catch (Exception e) when (e is AuthenticationException or IOException or CryptographicException)
        {
            return judged.Refusal ?? new TlsOutcome.Refused(
                RefusalReason.HandshakeFailed, inner.ReachedEnd ? "the peer ended the connection during the handshake" : Innermost(e), null);
        }
    }

    private static List<SslApplicationProtocol> Protocols(IReadOnlyList<string> names) => [.. names.Select(name => new SslApplicationProtocol(name))];

    private static string VersionName(SslProtocols version) => version switch
    {
        SslProtocols.Tls13 => "TLSv1.3",
        SslProtocols.Tls12 => "TLSv1.2",
        _ => version.ToString(),
    };

    private static string Innermost(Exception e)
    {
        while (e.InnerException is { } inner)
        {
            e = inner;
        }

        return e.Message;
    }

    /// <summary>Remembers what was answered, since the platform only passes on a yes or no.</summary>
    private sealed class Judged(Func<IReadOnlyList<Certificate>, Judgement> judge)
    {
        private Certificate? _leaf;

        public Judgement? Answer { get; private set; }

        public TlsOutcome.Refused? Refusal => Answer is { Peer: null } no ? new(no.Reason, no.Detail, _leaf) : null;

        public bool Ask(IReadOnlyList<Certificate> presented, string problem)
        {
            _leaf = presented.Count > 0 ? presented[0] : null;
            Answer = problem.Length == 0 ? judge(presented) : new Judgement(null, RefusalReason.PeerCertificateInvalid, problem);
            return Answer is { Peer: not null };
        }
    }
}
