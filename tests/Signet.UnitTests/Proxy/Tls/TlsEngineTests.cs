using System.Net.Security;
using System.Net.Sockets;
using Signet.Client.Tls;
using Signet.Identity.X509;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Proxy.Loop;
using Signet.Proxy.Tls;
using Signet.Testing;
using Signet.UnitTests.Proxy.Loop;

namespace Signet.UnitTests.Proxy.Tls;

public sealed class TlsEngineTests : IDisposable
{
    private readonly TestAuthority _authority = new(DateTimeOffset.UtcNow);
    private readonly TlsContext _context;

    public TlsEngineTests()
    {
        var orders = _authority.Svid("/ns/default/sa/orders");
        _context = TlsContext.ForServer(orders.Chain, orders.Key, new TlsConfig());
    }

    public void Dispose() => _context.Dispose();

    [Fact]
    public async Task What_goes_wrong_while_a_peer_is_judged_ends_its_handshake_and_nothing_else()
    {
        var web = _authority.Svid("/ns/default/sa/web");
        await using var pair = await LoopPair.ConnectAsync();

        var refused = Assert.IsType<TlsOutcome.Refused>(await AcceptAsync(pair.Near, pair.Far, web, _ => throw new InvalidOperationException("a defect")));
        Assert.Equal(RefusalReason.HandshakeFailed, refused.Reason);
        Assert.Contains("could not be judged: a defect", refused.Detail, StringComparison.Ordinal);

        // The loop lives, and the next peer on it is let in.
        var (near, far) = await LoopPair.ConnectAsync(pair.Loop);
        using (far)
        {
            var peer = new Peer(web.Id, web.Chain, web.NotAfter);
            var established = Assert.IsType<TlsOutcome.Established>(await AcceptAsync(near, far, web, _ => new Judgement(peer, default, "")));
            Assert.Same(peer, established.Session.Peer);
            Assert.Equal(_context.PresentedUntil, established.Session.OwnExpiresAt);
            await established.Session.Transport.DisposeAsync();
        }
    }

    private async Task<TlsOutcome> AcceptAsync(LoopSocket near, Socket far, X509Svid client, Func<IReadOnlyList<ReadOnlyMemory<byte>>, Judgement> judge)
    {
        await using var stream = new SslStream(new NetworkStream(far));
        var connecting = Record.ExceptionAsync(() => stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "orders",
            ClientCertificateContext = new TlsCredential(client).Context,
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
        })).AsTask();
        var outcome = await TlsEngine.AcceptAsync(near, default, new TlsServerSetup(_context, null, judge, TimeProvider.System, []), CancellationToken.None);
        await Task.Yield();
        await connecting.WaitAsync(TimeSpan.FromSeconds(30));
        return outcome;
    }
}
