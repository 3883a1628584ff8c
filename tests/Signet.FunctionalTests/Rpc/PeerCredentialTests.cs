using System.Diagnostics;
using System.Net.Sockets;
using Grpc.Core;
using Signet.Hosting.PeerCredentials;
using Signet.Rpc;
using Signet.Testing;
using Signet.Testing.Rpc;

namespace Signet.FunctionalTests.Rpc;

public sealed class PeerCredentialTests
{
    [Fact]
    public async Task A_call_knows_the_process_that_made_it()
    {
        PeerCredential? seen = null;
        await using var server = await RpcTestServer.StartAsync(
            onSocket: listen => listen.UsePeerCredentials(),
            filter: context =>
            {
                seen = context.PeerCredential();
                return ValueTask.CompletedTask;
            });
        using (var channel = server.UnixChannel())
        {
            await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest());
            Assert.NotNull(seen);
            Assert.Equal(Environment.ProcessId, seen.Pid);
            Assert.True(seen.IsAlive());
        }

        // Its connection has ended, and with it what vouched for it.
        await Eventually.IsTrueAsync(() => !seen.IsPinned || !seen.IsAlive(), "the credential ends with its connection");
    }

    [Fact]
    public async Task A_call_from_elsewhere_has_no_process()
    {
        await using var server = await RpcTestServer.StartAsync(
            onSocket: listen => listen.UsePeerCredentials(),
            filter: context =>
            {
                context.PeerCredential();
                return ValueTask.CompletedTask;
            });
        using var channel = server.TlsChannel();
        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest()));
        Assert.Equal(StatusCode.PermissionDenied, refusal.StatusCode);
    }
}
