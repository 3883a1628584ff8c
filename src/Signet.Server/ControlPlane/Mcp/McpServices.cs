using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Istio.Mcp;
using Signet.Server.Access;
using Signet.Server.Api;
using Resource = Signet.Rpc.Wire.Envoy.Discovery.Resource;

namespace Signet.Server.ControlPlane.Mcp;

/// <summary>How a sink's call is bounded: by its certificate where it has one, and in any case.</summary>
internal static class McpCall
{
    private static readonly TimeSpan LongestStream = TimeSpan.FromDays(1);

    public static async Task RunAsync(McpFeed feed, ServerCallContext context, TimeProvider time, ILogger log, Func<McpStream, CancellationToken, Task> run)
    {
        var left = CallOf.Of(context).Caller is Caller.Agent agent ? agent.ExpiresAt - time.GetUtcNow() : LongestStream;
        using var expiry = new CancellationTokenSource(left < TimeSpan.Zero ? TimeSpan.Zero : left < LongestStream ? left : LongestStream, time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, expiry.Token);
        try
        {
            await run(new McpStream(feed, CallerOf.Name(context), log), stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The connection ended, the server stops, or the certificate that opened the stream has expired.
        }
    }

    public static string? Error(Rpc.Wire.GoogleRpc.Status? status) => status is null ? null : status.Message.Length > 0 ? status.Message : $"code {status.Code}";

    public static async Task<McpRequest?> ReadAsync<T>(IAsyncStreamReader<T> requests, Func<T, McpRequest> map, CancellationToken cancellationToken)
        where T : class => await requests.MoveNext(cancellationToken).ConfigureAwait(false) ? map(requests.Current) : null;
}

/// <summary>istio.mcp.v1alpha1.ResourceSource.</summary>
internal sealed class ResourceSourceService(McpFeed feed, TimeProvider time, ILogger<ResourceSourceService> log) : ResourceSource.ResourceSourceBase
{
    public override Task EstablishResourceStream(IAsyncStreamReader<RequestResources> requestStream, IServerStreamWriter<Resources> responseStream, ServerCallContext context) =>
        McpCall.RunAsync(feed, context, time, log, (stream, cancellationToken) => stream.RunAsync(
            token => McpCall.ReadAsync(
                requestStream,
                request => new McpRequest(request.Collection, request.ResponseNonce, McpCall.Error(request.ErrorDetail), request.Incremental, request.Incremental ? request.InitialResourceVersions : new Dictionary<string, string>()),
                token),
            (collection, version, message, token) =>
            {
                var resources = new Resources { Collection = collection, SystemVersionInfo = version, Nonce = message.Nonce, Incremental = message.IsIncremental };
                resources.Resources_.AddRange(message.Resources);
                resources.RemovedResources.AddRange(message.Removed);
                return responseStream.WriteAsync(resources, token);
            },
            cancellationToken));
}

/// <summary>MCP over xDS: the collection is the type URL, and each resource an <see cref="Rpc.Wire.Istio.Mcp.Resource"/>.</summary>
internal sealed class McpDiscoveryService(McpFeed feed, TimeProvider time, ILogger<McpDiscoveryService> log) : AggregatedDiscoveryService.AggregatedDiscoveryServiceBase
{
    public override Task StreamAggregatedResources(IAsyncStreamReader<DiscoveryRequest> requestStream, IServerStreamWriter<DiscoveryResponse> responseStream, ServerCallContext context) =>
        McpCall.RunAsync(feed, context, time, log, (stream, cancellationToken) => stream.RunAsync(
            token => McpCall.ReadAsync(
                requestStream, request => new McpRequest(request.TypeUrl, request.ResponseNonce, McpCall.Error(request.ErrorDetail), IsIncremental: false, new Dictionary<string, string>()), token),
            (collection, version, message, token) =>
            {
                var response = new DiscoveryResponse { TypeUrl = collection, VersionInfo = version, Nonce = message.Nonce };
                response.Resources.AddRange(message.Resources.Select(resource => Any.Pack(resource)));
                return responseStream.WriteAsync(response, token);
            },
            cancellationToken));

    public override Task DeltaAggregatedResources(IAsyncStreamReader<DeltaDiscoveryRequest> requestStream, IServerStreamWriter<DeltaDiscoveryResponse> responseStream, ServerCallContext context) =>
        McpCall.RunAsync(feed, context, time, log, (stream, cancellationToken) => stream.RunAsync(
            token => McpCall.ReadAsync(
                requestStream, request => new McpRequest(request.TypeUrl, request.ResponseNonce, McpCall.Error(request.ErrorDetail), IsIncremental: true, request.InitialResourceVersions), token),
            (collection, version, message, token) =>
            {
                var response = new DeltaDiscoveryResponse { TypeUrl = collection, SystemVersionInfo = version, Nonce = message.Nonce };
                response.Resources.AddRange(message.Resources.Select(resource => new Resource { Name = resource.Metadata.Name, Version = resource.Metadata.Version, Resource_ = Any.Pack(resource) }));
                response.RemovedResources.AddRange(message.Removed);
                return responseStream.WriteAsync(response, token);
            },
            cancellationToken));
}
