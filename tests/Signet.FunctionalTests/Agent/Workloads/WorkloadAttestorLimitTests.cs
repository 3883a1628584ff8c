using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Identities;
using Signet.Hosting.PeerCredentials;
using Signet.Identity.Registration;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent.Workloads;

/// <summary>How often a process is looked at, by the credentials of real connections.</summary>
public sealed class WorkloadAttestorLimitTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly ManualTimeProvider _time = new();
    private readonly CountingAttestor _attestor = new();
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly WorkloadAttestor _attestors;

    public WorkloadAttestorLimitTests()
    {
        _attestors = new WorkloadAttestor([_attestor], new ProcFolder(), new WantedFacts(new IdentityCache()), _time, NullLogger<WorkloadAttestor>.Instance);
        _listener.Bind(new UnixDomainSocketEndPoint(_folder.File("agent.sock")));
        _listener.Listen(16);
    }

    public void Dispose()
    {
        _attestors.Dispose();
        _listener.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task What_was_found_out_counts_for_a_second_and_for_its_connection_only()
    {
        using var first = Connect();
        using var second = Connect();
        await _attestors.AttestAsync(first.Peer, CancellationToken.None);
        await _attestors.AttestAsync(first.Peer, CancellationToken.None);
        Assert.Equal(1, _attestor.Count);
        await _attestors.AttestAsync(second.Peer, CancellationToken.None);
        Assert.Equal(2, _attestor.Count);
        _time.Advance(WorkloadAttestor.Freshness);
        await _attestors.AttestAsync(first.Peer, CancellationToken.None);
        Assert.Equal(3, _attestor.Count);
    }

    [Fact]
    public async Task What_failed_is_not_remembered()
    {
        using var connection = Connect();
        _attestor.Verdict = WorkloadVerdict.Failed("not now");
        Assert.False((await _attestors.AttestAsync(connection.Peer, CancellationToken.None)).IsAttested);
        _attestor.Verdict = WorkloadVerdict.Nothing;
        Assert.True((await _attestors.AttestAsync(connection.Peer, CancellationToken.None)).IsAttested);
    }

    [Fact]
    public async Task A_process_that_asks_too_often_waits_while_others_do_not()
    {
        using var connection = Connect();
        _attestor.Verdict = WorkloadVerdict.Failed("not now");
        for (var i = 0; i < WorkloadAttestor.PerProcess.Burst; i++)
        {
            await _attestors.AttestAsync(connection.Peer, CancellationToken.None);
        }

        Assert.Contains("more often than is allowed", (await _attestors.AttestAsync(connection.Peer, CancellationToken.None)).Problem);
        Assert.Equal(WorkloadAttestor.PerProcess.Burst, _attestor.Count);
        Assert.Contains("not now", (await _attestors.AttestAsync(new WorkloadProcess(1, 0, 0, () => true), CancellationToken.None)).Problem);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Contains("not now", (await _attestors.AttestAsync(connection.Peer, CancellationToken.None)).Problem);
    }

    private Connection Connect()
    {
        var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        client.Connect(new UnixDomainSocketEndPoint(_folder.File("agent.sock")));
        var server = _listener.Accept();
        Assert.True(PeerCredential.TryCapture(server, out var peer, out var problem), problem);
        return new Connection(client, server, peer);
    }

    private sealed record Connection(Socket Client, Socket Server, PeerCredential Peer) : IDisposable
    {
        public void Dispose()
        {
            Peer.Dispose();
            Client.Dispose();
            Server.Dispose();
        }
    }

    private sealed class CountingAttestor : IWorkloadAttestor
    {
        public string Name => "counting";

        public int Count { get; private set; }

        public WorkloadVerdict Verdict { get; set; } = new(new HashSet<Selector> { new("a", "1") }, "");

        public Task<WorkloadVerdict> AttestAsync(WorkloadProcess process, CancellationToken cancellationToken)
        {
            Count++;
            return Task.FromResult(Verdict);
        }
    }
}
