using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Signet.Agent.Broker;
using Signet.Client;
using Signet.Client.Tls;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire.Broker;
using Signet.Rpc.Wire.GoogleRpc;
using Signet.Testing;
using Method = Signet.Rpc.Wire.Broker.API.APIClient;

namespace Signet.FunctionalTests.Agent;

/// <summary>SPIFFE_Broker_Endpoint.md and SPIFFE_Broker_API.md, as far as references by process go. This process is the workloads <c>/web</c> and <c>/broker</c>.</summary>
public sealed class BrokerTests : IAsyncLifetime
{
    private const uint Stranger = 4_000_021;

    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(5)).Token;
    private TestTrustDomain _domain = null!;
    private X509Source _source = null!;
    private Bridge _bridge = null!;

    private string BrokerSocket => Path.Combine(_domain.Folder, "broker.sock");

    public async ValueTask InitializeAsync()
    {
        _domain = await TestTrustDomain.StartAsync(configureAgent: config => config with
        {
            Broker = new BrokerConfig(Path.Combine(Path.GetDirectoryName(config.Socket)!, "broker.sock"), [SpiffeId.Of(config.TrustDomain, "/broker")]),
        });
        await _domain.RegisterAsync("/web");
        await _domain.RegisterAsync("/broker");
        _source = new X509Source(_domain.WorkloadApi, TimeProvider.System);
        await Eventually.IsTrueAsync(() => _source.Current?.Svids.Count == 2, "both SVIDs");
        _bridge = new Bridge(BrokerSocket);
    }

    public async ValueTask DisposeAsync()
    {
        await _bridge.DisposeAsync();
        await _source.DisposeAsync();
        await _domain.DisposeAsync();
    }

    [Fact]
    public async Task A_broker_gets_what_the_process_that_it_names_would_get_and_the_right_code_for_each_mistake()
    {
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(BrokerSocket));
        using var channel = Connect(Svid("/broker"));
        var api = new Method(channel);

        // 1. Everything of a process.
        using var process = Process.Start(new ProcessStartInfo("sleep", "60"))!;
        var reference = Reference(process.Id);
        using var svids = api.SubscribeToX509SVID(new SubscribeToX509SVIDRequest { Reference = reference }, Options);
        Assert.True(await svids.ResponseStream.MoveNext(_patience));
        Assert.Equal(["spiffe://example.org/web", "spiffe://example.org/broker"], svids.ResponseStream.Current.Svids.Select(svid => svid.SpiffeId));
        Assert.True(CertificateList.TryParse(svids.ResponseStream.Current.Svids[0].X509Svid.Memory, out var chain, out _));
        Assert.True(KeyPair.TryImportPkcs8(svids.ResponseStream.Current.Svids[0].X509SvidKey.ToByteArray(), out var key, out _));
        Assert.Equal(chain[0].SubjectPublicKeyInfo.ToArray(), KeyPair.ExportPublicKey(key));
        using var x509 = api.SubscribeToX509Bundles(new SubscribeToX509BundlesRequest { Reference = reference }, Options);
        Assert.True(await x509.ResponseStream.MoveNext(_patience));
        Assert.Equal(["spiffe://example.org"], x509.ResponseStream.Current.Bundles.Keys);
        using var jwt = api.SubscribeToJWTBundles(new SubscribeToJWTBundlesRequest { Reference = reference }, Options);
        Assert.True(await jwt.ResponseStream.MoveNext(_patience));
        Assert.Equal(["spiffe://example.org"], jwt.ResponseStream.Current.Bundles.Keys);
        var tokens = await api.FetchJWTSVIDAsync(new FetchJWTSVIDRequest { Reference = reference, Audience = { "a" }, SpiffeId = "spiffe://example.org/web" }, Options).ResponseAsync;
        Assert.Equal("spiffe://example.org/web", (await _domain.Client.ValidateJwtAsync("a", Assert.Single(tokens.Svids).Svid, _patience)).Id.Uri);

        // 2. The header, as it must be and once.
        foreach (var headers in new[] { new Metadata(), new Metadata { { "broker.spiffe.io", "TRUE" } }, new Metadata { { "broker.spiffe.io", "true" }, { "broker.spiffe.io", "true" } }, new Metadata { { "workload.spiffe.io", "true" } } })
        {
            await RefusedAsync(StatusCode.InvalidArgument, "", api.FetchJWTSVIDAsync(new FetchJWTSVIDRequest { Reference = reference, Audience = { "a" } }, new CallOptions(headers, CancellationToken: _patience)).ResponseAsync);
        }

        // 3. The reference.
        await RefusedAsync(StatusCode.InvalidArgument, "WORKLOAD_REFERENCE_INVALID", First(null));
        await RefusedAsync(StatusCode.InvalidArgument, "WORKLOAD_REFERENCE_INVALID", First(new WorkloadReference { Reference = Any.Pack(new Duration()) }));
        await RefusedAsync(StatusCode.InvalidArgument, "WORKLOAD_REFERENCE_INVALID", First(Reference(-1)));
        await RefusedAsync(StatusCode.InvalidArgument, "WORKLOAD_REFERENCE_INVALID", First(Reference(0)));
        await RefusedAsync(StatusCode.NotFound, "WORKLOAD_NOT_FOUND", First(Reference(int.MaxValue)));
        using var stranger = Process.Start(new ProcessStartInfo("setpriv", ["--reuid", $"{Stranger}", "--clear-groups", "sleep", "60"]))!;
        await Eventually.IsTrueAsync(() => File.ReadAllText($"/proc/{stranger.Id}/comm") == "sleep\n", "another user's process");
        await RefusedAsync(StatusCode.PermissionDenied, "WORKLOAD_NOT_ENTITLED", First(Reference(stranger.Id)));
        stranger.Kill();
        await RefusedAsync(StatusCode.InvalidArgument, "", api.FetchJWTSVIDAsync(new FetchJWTSVIDRequest { Reference = reference }, Options).ResponseAsync);

        // 4. With the process everything ends.
        process.Kill();
        await process.WaitForExitAsync(_patience);
        await _domain.RegisterAsync("/wakes-the-streams", new Selector("unix", "uid:4000022"));
        await RefusedAsync(StatusCode.NotFound, "WORKLOAD_NOT_FOUND", svids.ResponseStream.MoveNext(_patience));
        await RefusedAsync(StatusCode.NotFound, "WORKLOAD_NOT_FOUND", jwt.ResponseStream.MoveNext(_patience));

        Task First(WorkloadReference? one) => api.SubscribeToX509SVID(new SubscribeToX509SVIDRequest { Reference = one }, Options).ResponseStream.MoveNext(_patience);
    }

    [Fact]
    public async Task Whoever_is_no_broker_is_denied_and_whoever_shows_no_SVID_of_ours_does_not_get_that_far()
    {
        var request = new SubscribeToX509SVIDRequest { Reference = Reference(Environment.ProcessId) };
        using (var channel = Connect(Svid("/web")))
        {
            var refusal = await Assert.ThrowsAsync<RpcException>(() => new Method(channel).SubscribeToX509SVID(request, Options).ResponseStream.MoveNext(_patience));
            Assert.Equal(StatusCode.PermissionDenied, refusal.StatusCode);
        }

        foreach (var svid in new[] { null, new TestAuthority(DateTimeOffset.UtcNow).Svid("/broker") })
        {
            using var channel = Connect(svid);
            var refusal = await Assert.ThrowsAsync<RpcException>(() => new Method(channel).SubscribeToX509SVID(request, Options).ResponseStream.MoveNext(_patience));
            Assert.Equal(StatusCode.Unavailable, refusal.StatusCode);
        }

        using var plain = GrpcChannel.ForUnixSocket(BrokerSocket, TimeProvider.System);
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => new Method(plain).SubscribeToX509SVID(request, Options).ResponseStream.MoveNext(_patience))).StatusCode);
    }

    private CallOptions Options => new(new Metadata { { BrokerGate.Header, "true" } }, CancellationToken: _patience);

    private X509Svid Svid(string path) => _source.Current!.Svids.Single(svid => svid.Id.Path == path);

    private static WorkloadReference Reference(int pid) => new() { Reference = Any.Pack(new WorkloadPIDReference { Pid = pid }) };

    private static async Task RefusedAsync(StatusCode code, string cause, Task call)
    {
        var refusal = await Assert.ThrowsAsync<RpcException>(() => call);
        Assert.Equal(code, refusal.StatusCode);
        var details = refusal.Trailers.FirstOrDefault(entry => entry.Key == "grpc-status-details-bin");
        var info = details is null ? new ErrorInfo() : Signet.Rpc.Wire.GoogleRpc.Status.Parser.ParseFrom(details.ValueBytes).Details[0].Unpack<ErrorInfo>();
        Assert.Equal((cause, cause.Length > 0 ? "spiffe.io" : ""), (info.Reason, info.Domain));
    }

    /// <summary>As brokers connect: they know the bundle, and the agent by its SPIFFE ID.</summary>
    private GrpcChannel Connect(X509Svid? svid) => GrpcChannel.ForTls(
        "127.0.0.1",
        _bridge.Port,
        () => SvidTls.Client(
            svid is null ? null : new TlsCredential(svid),
            "",
            (presented, _) => SvidVerifier.Verify(presented, _source.Current!.Bundles, CertificateUsage.Server, DateTimeOffset.UtcNow) is { IsTrusted: true } verdict && verdict.Id == _domain.AgentId),
        TimeProvider.System);

    /// <summary>Leads from TCP to the Unix socket, for the channel that speaks TLS.</summary>
    private sealed class Bridge : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly CancellationTokenSource _end = new();
        private readonly Task _accepting;

        public Bridge(string socket)
        {
            _listener.Start();
            _accepting = AcceptAsync(new UnixDomainSocketEndPoint(socket));
        }

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public async ValueTask DisposeAsync()
        {
            await _end.CancelAsync();
            _listener.Stop();
            await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _end.Dispose();
        }

        private async Task AcceptAsync(UnixDomainSocketEndPoint there)
        {
            var relays = new List<Task>();
            try
            {
                while (true)
                {
                    relays.Add(RelayAsync(await _listener.AcceptSocketAsync(_end.Token), there));
                }
            }
            finally
            {
                await Task.WhenAll(relays).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        private async Task RelayAsync(Socket here, UnixDomainSocketEndPoint there)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(there, _end.Token);
            await using var one = new NetworkStream(here, ownsSocket: true);
            await using var other = new NetworkStream(socket, ownsSocket: true);
            await Task.WhenAny(one.CopyToAsync(other, _end.Token), other.CopyToAsync(one, _end.Token));
        }
    }
}
