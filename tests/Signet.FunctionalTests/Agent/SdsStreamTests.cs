using System.Collections.Immutable;
using System.Net.Sockets;
using System.Threading.Channels;
using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.Attestation.Workload.Token;
using Signet.Agent.Identities;
using Signet.Agent.Sds;
using Signet.Agent.Telemetry;
using Signet.Agent.WorkloadApi;
using Signet.Hosting.Files;
using Signet.Hosting.PeerCredentials;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent;

/// <summary>How often an SDS client is told, on a clock that stands still until the test moves it. The process at the other end is this one.</summary>
public sealed class SdsStreamTests : IDisposable
{
    private static readonly Selector Me = new("unix", "uid:0");

    private readonly ManualTimeProvider _time = new();
    private readonly TestAuthority _authority;
    private readonly IdentityCache _cache = new();
    private readonly ClientLedger _ledger = new();
    private readonly SdsClients _clients;
    private readonly SdsMetrics _metrics;
    private readonly PeerCredential _peer;
    private readonly TestFolder _folder = new();
    private readonly Channel<DiscoveryRequest> _requests = Channel.CreateUnbounded<DiscoveryRequest>();
    private readonly Sink _responses = new();
    private readonly CancellationTokenSource _end = new();

    public SdsStreamTests()
    {
        _authority = new TestAuthority(_time.GetUtcNow());
        _clients = new SdsClients(_time);
        _metrics = new SdsMetrics(_clients);
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(_folder.File("peer.sock")));
        listener.Listen();
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        client.Connect(new UnixDomainSocketEndPoint(_folder.File("peer.sock")));
        using var accepted = listener.Accept();
        Assert.True(PeerCredential.TryCapture(accepted, out var peer, out var problem), problem);
        _peer = peer;
    }

    [Fact]
    public async Task A_client_that_never_answers_is_told_the_newest_now_and_then_and_not_each_change()
    {
        Publish(1);
        var stream = Run();
        Ask();
        await ToldAsync(1);
        for (ulong revision = 2; revision < 8; revision++)
        {
            Publish(revision);
        }

        await AsleepAsync();
        Assert.Single(_responses.Messages);
        _time.Advance(SdsStream<DiscoveryRequest, DiscoveryResponse>.UnansweredPause);
        await ToldAsync(2);
        var newest = _cache.Current.Held.Values.Single().Svid;
        Assert.Equal(Pem.Encode(newest.Chain), Chain(1));
        await EndAsync(stream);
    }

    [Fact]
    public async Task A_client_that_answers_is_told_each_change_at_once_and_counts_as_told()
    {
        Publish(1);
        var stream = Run();
        Ask();
        for (ulong revision = 1; revision < 5; revision++)
        {
            await ToldAsync((int)revision);
            Ask(_responses.Messages[^1]);
            await Eventually.IsTrueAsync(() => _clients.Views.Single().Standing == SdsStanding.Accepted, "the acknowledgement");
            if (revision == 1)
            {
                await Eventually.IsTrueAsync(() => _ledger.Standing(_cache.Current, own: null).Issuers.Length > 0, "the standing");
            }

            Publish(revision + 1);
        }

        await ToldAsync(5);
        await EndAsync(stream);
    }

    [Fact]
    public async Task Files_are_looked_at_again_from_time_to_time_and_a_broken_pair_changes_nothing()
    {
        Publish(1);
        var (first, second) = (_authority.Svid("/a"), _authority.Svid("/b"));
        Write(first, first);
        var name = $"file-cert:{_folder.File("cert.pem")}~{_folder.File("key.pem")}";
        var stream = Run();
        Ask(null, name);
        await ToldAsync(1);
        Ask(_responses.Messages[0], name);
        await Eventually.IsTrueAsync(() => _clients.Views.Single().Standing == SdsStanding.Accepted, "the acknowledgement");

        Write(second, first);
        await LookAgainAsync();
        await LookAgainAsync();
        Assert.Single(_responses.Messages);
        Write(second, second);
        await Eventually.IsTrueAsync(
            async () =>
            {
                await LookAgainAsync();
                return _responses.Messages.Count == 2;
            },
            "the new pair");
        await EndAsync(stream);

        async Task LookAgainAsync()
        {
            await AsleepAsync();
            _time.Advance(SdsStream<DiscoveryRequest, DiscoveryResponse>.FilePoll);
        }
    }

    public void Dispose()
    {
        _end.Dispose();
        _metrics.Dispose();
        _peer.Dispose();
        _folder.Dispose();
    }

    private async Task Run()
    {
        var subject = new WorkloadSubject(_peer, new HashSet<Selector> { Me }, DateTimeOffset.MaxValue, () => true, _cache, _ledger, _time);
        using var client = _clients.Open(subject.Pid, 0, "spiffe://example.org/web", "sotw");
        using var seat = subject.Seat("test");
        await using var tokens = WorkloadTokens.Start(new WorkloadTokenConfig(), () => [], _time, NullLogger<WorkloadTokens>.Instance);
        var world = new SdsWorld(_cache, new Staples((_, _) => throw new InvalidOperationException(), _cache, _time, () => 0.5, NullLogger<Staples>.Instance), tokens, new ForeignFiles(_time), _metrics, _time, NullLogger.Instance);
        await new SdsStream<DiscoveryRequest, DiscoveryResponse>(new StateOfTheWorld(), subject, client, seat, world).RunAsync(_requests.Reader, _responses, _end.Token);
    }

    private void Ask(DiscoveryResponse? answered = null, string name = "default")
    {
        var request = new DiscoveryRequest { ResponseNonce = answered?.Nonce ?? "", VersionInfo = answered?.VersionInfo ?? "" };
        request.ResourceNames.Add(name);
        Assert.True(_requests.Writer.TryWrite(request));
    }

    private Task ToldAsync(int count) => Eventually.IsTrueAsync(() => _responses.Messages.Count == count, $"{count} responses");

    private Task AsleepAsync() => Eventually.IsTrueAsync(() => _time.WaitingTimers > 0, "the stream waits");

    private async Task EndAsync(Task stream)
    {
        await _end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stream);
        Assert.Empty(_clients.Views);
    }

    private string Chain(int response) =>
        _responses.Messages[response].Resources[0].Unpack<Signet.Rpc.Wire.Envoy.Tls.Secret>().TlsCertificate.CertificateChain.InlineBytes.ToStringUtf8();

    private void Write(X509Svid certificate, X509Svid key)
    {
        File.WriteAllText(_folder.File("cert.pem"), Pem.Encode(certificate.Chain));
        File.WriteAllText(_folder.File("key.pem"), Pem.EncodePrivateKey(key.Key));
    }

    private void Publish(ulong revision)
    {
        var entry = new RegistrationEntry { Id = "web", SpiffeId = SpiffeId.Of(_authority.TrustDomain, "/web"), ParentId = SpiffeId.Of(_authority.TrustDomain, "/node"), Selectors = [Me] };
        var view = new NodeView(revision, [entry], TrustBundles.Of(_authority.Bundle), ImmutableDictionary<TrustDomain, JwtBundle>.Empty);
        var held = new HeldSvid(entry, _authority.Svid("/web"), _time.GetUtcNow().AddMinutes(30));
        _cache.Publish(new IdentitySnapshot(view, ImmutableDictionary<string, HeldSvid>.Empty.Add("web", held)));
    }

    private sealed class Sink : IServerStreamWriter<DiscoveryResponse>
    {
        private ImmutableList<DiscoveryResponse> _messages = [];

        public ImmutableList<DiscoveryResponse> Messages => Volatile.Read(ref _messages);

        public Task WriteAsync(DiscoveryResponse message) => WriteAsync(message, CancellationToken.None);

        public Task WriteAsync(DiscoveryResponse message, CancellationToken cancellationToken)
        {
            Volatile.Write(ref _messages, Messages.Add(message));
            return Task.CompletedTask;
        }
    }
}
