using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Signet.Proxy.Config;
using Signet.Proxy.Native;
using Signet.Proxy.Tls;
using Signet.Testing;
using Signet.UnitTests.Proxy.Loop;

namespace Signet.UnitTests.Proxy.Tls;

/// <summary>The cache of a server's sessions, which is OpenSSL's.</summary>
public sealed partial class ServerSessionsTests
{
    private const long Filler = -1;

    private static readonly ConcurrentQueue<bool> s_fillersRemoved = new();

    [Fact]
    public async Task A_peer_whose_certificate_ends_soon_keeps_its_place_in_a_full_cache()
    {
        var authority = new TestAuthority(DateTimeOffset.UtcNow);
        var (orders, web) = (authority.Svid("/ns/default/sa/orders"), authority.Svid("/ns/default/sa/web", notAfter: DateTimeOffset.UtcNow.AddMinutes(30)));
        using var server = TlsContext.ForServer(orders.Chain, orders.Key, new TlsConfig());
        WatchRemovals(server);
        for (var i = 0; i < TlsContext.MaxServerSessions; i++)
        {
            Fill(server, i);
        }

        await using var pair = await LoopPair.ConnectAsync();
        using var peer = new LibraryPeer(pair.Far, isServer: false, web);
        var handshake = Task.Run(peer.Handshake);
        var judgement = LibraryPeer.Believed(web);
        var outcome = await TlsEngine.AcceptAsync(pair.Near, default, new TlsServerSetup(server, null, _ => judgement, TimeProvider.System, []), CancellationToken.None);
        await using var session = Assert.IsType<TlsOutcome.Established>(outcome).Session.Transport;
        await Task.Yield();
        Assert.Null(await handshake.WaitAsync(TimeSpan.FromSeconds(60)));
        Fill(server, TlsContext.MaxServerSessions);

        Assert.NotEmpty(s_fillersRemoved);
        Assert.DoesNotContain(false, s_fillersRemoved);
    }

    private static unsafe void WatchRemovals(TlsContext server) => NoteRemoved(server.DangerousGetHandle(), &Removed);

    private static unsafe void Fill(TlsContext server, int number)
    {
        var session = NewSession();
        var id = stackalloc byte[32];
        *(long*)id = Filler;
        *(long*)(id + sizeof(long)) = number;
        Assert.Equal(1, SetId(session, id, 32));
        _ = LibSsl.SetSessionTimeout(session, TlsContext.SessionSeconds);
        Assert.Equal(1, Add(server.DangerousGetHandle(), session));
        LibSsl.FreeSession(session);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static unsafe void Removed(nint context, nint session)
    {
        uint length;
        s_fillersRemoved.Enqueue(*(long*)Id(session, &length) == Filler);
    }

    [LibraryImport("libssl.so.3", EntryPoint = "SSL_SESSION_new")]
    private static partial nint NewSession();

    [LibraryImport("libssl.so.3", EntryPoint = "SSL_SESSION_set1_id")]
    private static unsafe partial int SetId(nint session, byte* id, uint length);

    [LibraryImport("libssl.so.3", EntryPoint = "SSL_SESSION_get_id")]
    private static unsafe partial byte* Id(nint session, uint* length);

    [LibraryImport("libssl.so.3", EntryPoint = "SSL_CTX_add_session")]
    private static partial int Add(nint context, nint session);

    [LibraryImport("libssl.so.3", EntryPoint = "SSL_CTX_sess_set_remove_cb")]
    private static unsafe partial void NoteRemoved(nint context, delegate* unmanaged[Cdecl]<nint, nint, void> callback);
}
