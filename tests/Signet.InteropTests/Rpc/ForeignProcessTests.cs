using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Signet.Hosting.PeerCredentials;
using Signet.Testing;

namespace Signet.InteropTests.Rpc;

/// <summary>What a Unix socket tells of a process that is not ours.</summary>
public sealed class ForeignProcessTests
{
    [Fact]
    public async Task A_process_is_known_while_it_lives_and_gone_when_it_is_killed()
    {
        var folder = Directory.CreateTempSubdirectory("signet-peer-");
        var socket = Path.Combine(folder.FullName, "peer.sock");
        var arrived = new TaskCompletionSource<PeerCredential>(TaskCreationOptions.RunContinuationsAsynchronously);
        var done = new TaskCompletionSource();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(socket, listen =>
        {
            listen.UsePeerCredentials();
            listen.Run(async connection =>
            {
                arrived.TrySetResult(connection.Features.Get<PeerCredential>()!);
                await done.Task;
            });
        }));
        await using var app = builder.Build();
        await app.StartAsync();
        using var caller = Peer.Start(
            Peer.Require("/usr/bin/python3", "python3"), folder.FullName, Path.Combine(Peer.Scripts, "unix_caller.py"), socket);
        try
        {
            var peer = await arrived.Task.WaitAsync(Peer.Patience);
            Assert.Equal(await caller.StandardOutput.ReadLineAsync(), $"{peer.Pid}");
            Assert.Equal(caller.Id, peer.Pid);
            Assert.True(peer.IsAlive());
            caller.Kill();
            await caller.WaitForExitAsync();
            Assert.False(peer.IsAlive());
        }
        finally
        {
            Peer.Kill(caller);
            done.SetResult();
            await app.StopAsync();
            folder.Delete(recursive: true);
        }
    }
}
