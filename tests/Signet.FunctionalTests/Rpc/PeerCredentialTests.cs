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

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_peer_is_known_with_and_without_a_kernel_that_pins_it(bool pins)
    {
        var folder = Directory.CreateTempSubdirectory("signet-peer-");
        var endPoint = new UnixDomainSocketEndPoint(Path.Combine(folder.FullName, "s"));
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(endPoint);
        listener.Listen();
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        client.Connect(endPoint);
        using var accepted = listener.Accept();

        PeerCredential? peer;
        string problem;
        var known = pins
            ? PeerCredential.TryCapture(accepted, out peer, out problem)
            : PeerCredential.TryCapture(accepted, NoPin, out peer, out problem);
        Assert.True(known, problem);
        using (peer)
        {
            Assert.Equal(Environment.ProcessId, peer!.Pid);
            Assert.True(pins || !peer.IsPinned);
            Assert.True(peer.IsAlive());
        }

        folder.Delete(recursive: true);

        static bool NoPin(Socket socket, out Microsoft.Win32.SafeHandles.SafeFileHandle? pidfd, out string problem)
        {
            (pidfd, problem) = (null, "");
            return true;
        }
    }

    [Fact]
    public void A_tcp_connection_has_no_peer_process()
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        Assert.False(PeerCredential.TryCapture(socket, out _, out var problem));
        Assert.Contains("Unix socket", problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_start_time_tells_a_process_from_one_that_has_ended()
    {
        using var child = Process.Start(new ProcessStartInfo("sleep", "1000"))!;
        Assert.True(ProcessStartTime.TryRead(child.Id, out var startTime));
        Assert.True(ProcessStartTime.TryRead(Environment.ProcessId, out var ours));
        Assert.True(startTime >= ours);
        child.Kill();
        await child.WaitForExitAsync();
        Assert.False(ProcessStartTime.TryRead(child.Id, out _));
    }
}
