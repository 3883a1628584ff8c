using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Identities;
using Signet.Client.Tls;
using Signet.Hosting;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire.Envoy.Core;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Istio.Mcp;
using Resource = Signet.Rpc.Wire.Istio.Mcp.Resource;
using Status = Signet.Rpc.Wire.GoogleRpc.Status;

namespace Signet.Agent.Mesh;

/// <summary>
/// Takes pods, and policies where that is wanted, from a source of MCP, so that nodes need not ask the cluster's API server: one stream under the agent's newest certificate, opened again
/// with a growing pause. One task.
/// </summary>
/// <param name="config">Where the source is.</param>
/// <param name="agent">Where it is when that is not said.</param>
/// <param name="identity">Who asks.</param>
/// <param name="pods">Takes the pods.</param>
/// <param name="policies">Takes the policies; null when they are not wanted.</param>
/// <param name="tell">Hears what is wrong; empty when all is well.</param>
/// <param name="time">The clock.</param>
/// <param name="chance">Gives numbers from 0 to 1.</param>
/// <param name="log">Where it logs.</param>
internal sealed class McpSink(
    McpConfig config, AgentConfig agent, AgentIdentity identity, PodDirectory pods, McpPolicies? policies, Action<string> tell, TimeProvider time, Func<double> chance, ILogger<McpSink> log)
{
    private const string Pods = "k8s/core/v1/pods";
    private const int InvalidArgument = 3;

    /// <summary>A stream is opened anew after this time at the latest, under the certificate of that time.</summary>
    private static readonly TimeSpan LongestStream = TimeSpan.FromMinutes(10);

    private readonly string _host = (config.Server ?? agent.Server).Host;
    private readonly int _port = (config.Server ?? agent.Server).Port;
    private volatile string _serverProblem = "";
    private string _problem = "not connected yet";
    private long _refused;

    /// <summary>Why what was told is not the newest; empty when it is.</summary>
    public string Problem => Volatile.Read(ref _problem);

    /// <summary>Messages that were refused since the start.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var pause = new Backoff(new BackoffRule(TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(30)), chance);
        while (!cancellationToken.IsCancellationRequested)
        {
            using var due = new CancellationTokenSource(LongestStream, time);
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, due.Token);
            try
            {
                if (!identity.IsValid(time.GetUtcNow()))
                {
                    throw new RpcException(new Grpc.Core.Status(StatusCode.Unavailable, "the agent has not joined yet"));
                }

                using var channel = GrpcChannel.ForTls(_host, _port, () => SvidTls.Client(identity.Credential, serverName: "", Judge), time);
                await (config.OverXds ? FollowXdsAsync(channel, pause, stop.Token) : FollowAsync(channel, pause, stop.Token)).ConfigureAwait(false);
                Fail("the source ended the stream");
            }
            catch (Exception e) when (due.IsCancellationRequested && e is RpcException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
            {
                continue;
            }
            catch (RpcException e) when (!cancellationToken.IsCancellationRequested)
            {
                Fail(e.StatusCode == StatusCode.Unavailable && _serverProblem is { Length: > 0 } problem ? problem : $"{e.StatusCode}: {e.Status.Detail}");
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                Fail(e.Message);
            }

            await Task.Delay(pause.Next(), time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task FollowAsync(GrpcChannel channel, Backoff pause, CancellationToken cancellationToken)
    {
        using var call = new ResourceSource.ResourceSourceClient(channel).EstablishResourceStream(new CallOptions(CancellationToken: cancellationToken));
        var first = new RequestResources { SinkNode = new SinkNode { Id = Name }, Collection = Pods, Incremental = true };
        first.InitialResourceVersions.Add(pods.Versions.ToDictionary(StringComparer.Ordinal));
        await call.RequestStream.WriteAsync(first, cancellationToken).ConfigureAwait(false);
        foreach (var collection in policies is null ? [] : McpPolicies.Collections.Keys)
        {
            await call.RequestStream.WriteAsync(new RequestResources { SinkNode = first.SinkNode, Collection = collection }, cancellationToken).ConfigureAwait(false);
        }

        while (await call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false))
        {
            var said = call.ResponseStream.Current;
            var error = Take(said.Collection, new McpMessage(said.Nonce, said.Incremental, said.Resources_, said.RemovedResources), pause);
            await call.RequestStream.WriteAsync(
                new RequestResources { SinkNode = first.SinkNode, Collection = said.Collection, Incremental = said.Collection == Pods, ResponseNonce = said.Nonce, ErrorDetail = error }, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task FollowXdsAsync(GrpcChannel channel, Backoff pause, CancellationToken cancellationToken)
    {
        using var call = new AggregatedDiscoveryService.AggregatedDiscoveryServiceClient(channel).DeltaAggregatedResources(new CallOptions(CancellationToken: cancellationToken));
        var first = new DeltaDiscoveryRequest { Node = new Node { Id = Name }, TypeUrl = Pods };
        first.InitialResourceVersions.Add(pods.Versions.ToDictionary(StringComparer.Ordinal));
        await call.RequestStream.WriteAsync(first, cancellationToken).ConfigureAwait(false);
        while (await call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false))
        {
            var said = call.ResponseStream.Current;
            var error = Take(said.TypeUrl, new McpMessage(said.Nonce, IsIncremental: true, [.. said.Resources.Select(one => Unpack(one.Resource_))], said.RemovedResources), pause);
            await call.RequestStream.WriteAsync(new DeltaDiscoveryRequest { TypeUrl = said.TypeUrl, ResponseNonce = said.Nonce, ErrorDetail = error }, cancellationToken).ConfigureAwait(false);
        }
    }

    private string Name => identity.Credential?.Svid.Id.Uri ?? "";

    private Status? Take(string collection, McpMessage message, Backoff pause)
    {
        var problem = collection == Pods ? pods.Take(message)
            : policies is not null && McpPolicies.Collections.ContainsKey(collection) ? policies.Take(collection, message)
            : $"collection \"{Printable.Of(collection)}\" was not asked for";
        if (problem is null)
        {
            pause.Reset();
            Set("");
            return null;
        }

        Interlocked.Increment(ref _refused);
        log.McpRefused(Source, Printable.Of(collection), problem);
        Set($"the newest of {Printable.Of(collection)} was refused: {problem}");
        return new Status { Code = InvalidArgument, Message = problem };
    }

    private static Resource? Unpack(Any? any)
    {
        try
        {
            return any?.Is(Resource.Descriptor) == true ? Resource.Parser.ParseFrom(any.Value) : null;
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    private string Source => $"{_host}:{_port}";

    private bool Judge(IReadOnlyList<Certificate> presented, string problem)
    {
        var verdict = SvidVerifier.Verify(presented, identity.Bundles, CertificateUsage.Server, time.GetUtcNow());
        _serverProblem = problem.Length > 0 ? problem
            : !verdict.IsTrusted ? $"its certificate is refused: {verdict.Reason}"
            : verdict.Id != config.Id ? $"it presented {verdict.Id}, but {config.Id} was expected"
            : "";
        return _serverProblem.Length == 0;
    }

    private void Fail(string problem)
    {
        if (problem != Problem)
        {
            log.McpOutOfReach(Source, problem);
        }

        Set(problem);
    }

    private void Set(string problem)
    {
        Volatile.Write(ref _problem, problem);
        tell(problem);
    }
}
