using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Identities;
using Signet.Hosting.PeerCredentials;
using Signet.InteropTests.Rpc;
using Signet.Testing;

namespace Signet.InteropTests.Attestation;

/// <summary>A process connects, ends, and leaves the connection to another.</summary>
public sealed class HeirTests
{
    [Fact]
    public async Task Who_inherits_a_connection_is_neither_who_made_it_nor_itself()
    {
        using var folder = new TestFolder();
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(folder.File("agent.sock")));
        listener.Listen();
        using var caller = Peer.Start(Peer.Require("/usr/bin/python3", "python3"), folder.Path, Path.Combine(Peer.Scripts, "unix_heir.py"), folder.File("agent.sock"));
        try
        {
            using var connection = await listener.AcceptAsync().WaitAsync(Peer.Patience);
            Assert.NotNull(await caller.StandardOutput.ReadLineAsync().WaitAsync(Peer.Patience));
            await caller.WaitForExitAsync().WaitAsync(Peer.Patience);

            // Whether the kernel still tells who it was or not: nobody is attested.
            if (PeerCredential.TryCapture(connection, out var peer, out var problem))
            {
                using (peer)
                {
                    var proc = new ProcFolder();
                    using var unix = new UnixAttestor(proc, new AccountNames("/etc/passwd"), new AccountNames("/etc/group"), () => false);
                    using var attestor = new WorkloadAttestor([unix], proc, new WantedFacts(new IdentityCache()), TimeProvider.System, NullLogger<WorkloadAttestor>.Instance);
                    Assert.Equal(caller.Id, peer.Pid);
                    var verdict = await attestor.AttestAsync(peer, CancellationToken.None);
                    Assert.False(verdict.IsAttested);
                    Assert.Empty(verdict.Selectors);
                }
            }
            else
            {
                Assert.NotEmpty(problem);
            }
        }
        finally
        {
            caller.StandardInput.Close();
            Peer.Kill(caller);
        }
    }
}
