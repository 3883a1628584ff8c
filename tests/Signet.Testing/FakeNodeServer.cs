using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Signet.Client.Tls;
using Signet.Hosting;
using Signet.Hosting.Grpc;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Node;
using Signet.Rpc.Wire.Spire.Server.Agent;
using Signet.Rpc.Wire.Spire.Server.SVID;
using AgentApi = Signet.Rpc.Wire.Spire.Server.Agent.Agent;
using Node = Signet.Rpc.Wire.Node.Node;
using X509SVID = Signet.Rpc.Wire.Spire.Types.X509SVID;
using SpireStatus = Signet.Rpc.Wire.Spire.Types.Status;
using SvidApi = Signet.Rpc.Wire.Spire.Server.SVID.SVID;

namespace Signet.Testing;

/// <summary>
/// What an agent needs of a server, and no more: it admits one agent, renews it, signs SVIDs and pushes entries. A test may have any of it fail alone,
/// which a real server does not, and reads how often it was asked.
/// </summary>
internal sealed class FakeNodeServer : IAsyncDisposable
{
    private readonly TestAuthority _authority;
    private readonly TimeProvider _time;
    private readonly WebApplication _app;
    private readonly ChangeSignal _changes = new();
    private IReadOnlyList<RegistrationEntry> _entries = [];
    private CancellationTokenSource _streams = new();
    private ulong _revision;

    private FakeNodeServer(TestAuthority authority, TimeProvider time)
    {
        (_authority, _time) = (authority, time);
        var credential = new TlsCredential(authority.Svid("/spire/server", time.GetUtcNow().AddDays(-1), time.GetUtcNow().AddDays(40)));
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.UseGrpcDefaults();
            kestrel.Listen(IPAddress.Loopback, 0, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                listen.UseHttps(new TlsHandshakeCallbackOptions
                {
                    OnConnection = _ =>
                    {
                        var options = SvidTls.Server(credential, clientCertificate: true, (_, _) => true);
                        options.ApplicationProtocols = [SslApplicationProtocol.Http2];
                        return ValueTask.FromResult(options);
                    },
                });
            });
        });
        _app = builder.Build();
        _app.UseRouting();
        _app.MapGrpc(time, new GrpcServerOptions(), services => services
            .Add(AgentApi.Descriptor, AgentApi.BindService(new Agents(this)))
            .Add(SvidApi.Descriptor, SvidApi.BindService(new Svids(this)))
            .Add(Node.Descriptor, Node.BindService(new Nodes(this))));
    }

    public SpiffeId AgentId => SpiffeId.Of(_authority.TrustDomain, "/spire/agent/join_token/a");

    public IPEndPoint EndPoint { get; private set; } = null!;

    /// <summary>How long what it signs lives.</summary>
    public TimeSpan Ttl { get; set; } = TimeSpan.FromHours(1);

    /// <summary>What renewals of the agent are answered with; null renews.</summary>
    public Status? Renewing { get; set; }

    /// <summary>What requests to sign are answered with, by the number of SVIDs in them; null signs.</summary>
    public Func<int, Status?> Signing { get; set; } = _ => null;

    /// <summary>Over what time agents shall come back.</summary>
    public uint SpreadMilliseconds { get; set; }

    public int Attestations { get; private set; }

    public int Renewals { get; private set; }

    public int Streams { get; private set; }

    /// <summary>How many SVIDs were asked for in each call.</summary>
    public ConcurrentQueue<int> Batches { get; } = [];

    public static async Task<FakeNodeServer> StartAsync(TestAuthority authority, TimeProvider time)
    {
        var server = new FakeNodeServer(authority, time);
        await server._app.StartAsync();
        var address = server._app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.Single();
        server.EndPoint = new IPEndPoint(IPAddress.Loopback, new Uri(address).Port);
        return server;
    }

    /// <summary>An entry of the agent.</summary>
    public RegistrationEntry Entry(string name, params Selector[] selectors) => new()
    {
        Id = name,
        SpiffeId = SpiffeId.Of(_authority.TrustDomain, "/" + name),
        ParentId = AgentId,
        Selectors = [.. selectors.Length > 0 ? selectors : [new Selector("unix", "uid:1")]],
    };

    /// <summary>From now on these are the agent's entries.</summary>
    public void Push(params IReadOnlyList<RegistrationEntry> entries)
    {
        _entries = entries;
        _changes.Raise();
    }

    /// <summary>Ends all streams, as a server does that goes.</summary>
    public void DropStreams()
    {
        var before = Interlocked.Exchange(ref _streams, new CancellationTokenSource());
        before.Cancel();
    }

    public async ValueTask DisposeAsync()
    {
        DropStreams();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _app.StopAsync(patience.Token);
        await _app.DisposeAsync();
    }

    private X509SVID Sign(SpiffeId id, ByteString csr)
    {
        if (!SigningRequest.TryParse(csr.Memory, out var request, out var problem))
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, problem));
        }

        var now = _time.GetUtcNow();
        return SpireMapping.ToWire(_authority.Sign(id, request.SubjectPublicKeyInfo, now.AddSeconds(-10), now + Ttl), id);
    }

    private sealed class Agents(FakeNodeServer owner) : AgentApi.AgentBase
    {
        public override async Task AttestAgent(IAsyncStreamReader<AttestAgentRequest> requestStream, IServerStreamWriter<AttestAgentResponse> responseStream, ServerCallContext context)
        {
            owner.Attestations++;
            await requestStream.MoveNext(context.CancellationToken);
            var svid = owner.Sign(owner.AgentId, requestStream.Current.Params.Params_.Csr);
            await responseStream.WriteAsync(new AttestAgentResponse { Result = new AttestAgentResponse.Types.Result { Svid = svid } }, context.CancellationToken);
        }

        public override Task<RenewAgentResponse> RenewAgent(RenewAgentRequest request, ServerCallContext context)
        {
            owner.Renewals++;
            return owner.Renewing is { } refusal ? throw new RpcException(refusal) : Task.FromResult(new RenewAgentResponse { Svid = owner.Sign(owner.AgentId, request.Params.Csr) });
        }
    }

    private sealed class Svids(FakeNodeServer owner) : SvidApi.SVIDBase
    {
        public override Task<BatchNewX509SVIDResponse> BatchNewX509SVID(BatchNewX509SVIDRequest request, ServerCallContext context)
        {
            owner.Batches.Enqueue(request.Params.Count);
            if (owner.Signing(request.Params.Count) is { } refusal)
            {
                throw new RpcException(refusal);
            }

            var ids = owner._entries.ToDictionary(entry => entry.Id, entry => entry.SpiffeId);
            var response = new BatchNewX509SVIDResponse();
            response.Results.AddRange(request.Params.Select(one => new BatchNewX509SVIDResponse.Types.Result
            {
                Status = new SpireStatus { Code = (int)StatusCode.OK },
                Svid = owner.Sign(ids[one.EntryId], one.Csr),
            }));
            return Task.FromResult(response);
        }
    }

    private sealed class Nodes(FakeNodeServer owner) : Node.NodeBase
    {
        public override async Task Watch(IAsyncStreamReader<WatchRequest> requestStream, IServerStreamWriter<NodeUpdate> responseStream, ServerCallContext context)
        {
            owner.Streams++;
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, owner._streams.Token);
            var hearing = HearAsync(requestStream, stop.Token);
            try
            {
                while (true)
                {
                    var seen = owner._changes.Version;
                    var update = new NodeUpdate { Revision = ++owner._revision, Afresh = true, SpreadMilliseconds = owner.SpreadMilliseconds };
                    update.Entries.AddRange(owner._entries.Select(entry => entry.ToWire()));
                    update.EntriesCreated.AddRange(owner._entries.Select((_, i) => (long)i));
                    update.Bundles.Add(owner._authority.Bundle.ToWire(Identity.Jose.JwtBundle.Empty(owner._authority.TrustDomain)));
                    await responseStream.WriteAsync(update, stop.Token);
                    await owner._changes.WaitAsync(seen, stop.Token);
                }
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                // The test or the agent ended it.
            }
            finally
            {
                await stop.CancelAsync();
                await hearing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        private static async Task HearAsync(IAsyncStreamReader<WatchRequest> requests, CancellationToken cancellationToken)
        {
            while (await requests.MoveNext(cancellationToken))
            {
            }
        }
    }
}
