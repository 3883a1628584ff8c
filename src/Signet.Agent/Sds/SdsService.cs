using System.Threading.Channels;
using Grpc.Core;
using Signet.Agent.WorkloadApi;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Secret;

namespace Signet.Agent.Sds;

/// <summary>
/// Envoy's secret discovery service v3, state of the world, incremental and one question at a time: the same identities as the Workload API, under the names
/// that proxies use, and files.
/// </summary>
internal sealed class SdsService(WorkloadSubjects subjects, SdsClients clients, SdsWorld world) : SecretDiscoveryService.SecretDiscoveryServiceBase
{
    private const int PendingRequests = 16;

    public override Task StreamSecrets(IAsyncStreamReader<DiscoveryRequest> requestStream, IServerStreamWriter<DiscoveryResponse> responseStream, ServerCallContext context) =>
        StreamAsync(new StateOfTheWorld(), "sotw", requestStream, responseStream, context);

    public override Task DeltaSecrets(IAsyncStreamReader<DeltaDiscoveryRequest> requestStream, IServerStreamWriter<DeltaDiscoveryResponse> responseStream, ServerCallContext context) =>
        StreamAsync(new DeltaDialogue(), "delta", requestStream, responseStream, context);

    public override async Task<DiscoveryResponse> FetchSecrets(DiscoveryRequest request, ServerCallContext context)
    {
        var (subject, client, seat) = Open(context, "fetch");
        using (client)
        using (seat)
        {
            return await new SdsStream<DiscoveryRequest, DiscoveryResponse>(new StateOfTheWorld(), subject, client, seat, world).FetchAsync(request, context.CancellationToken).ConfigureAwait(false);
        }
    }

    private async Task StreamAsync<TRequest, TResponse>(
        ISdsDialogue<TRequest, TResponse> dialogue, string protocol, IAsyncStreamReader<TRequest> requestStream, IServerStreamWriter<TResponse> responseStream, ServerCallContext context)
        where TRequest : class
        where TResponse : class
    {
        var (subject, client, seat) = Open(context, protocol);
        using (client)
        using (seat)
        {
            var requests = Channel.CreateBounded<TRequest>(PendingRequests);
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
            var reading = ReadAsync(requestStream, requests.Writer, stop.Token);
            try
            {
                await new SdsStream<TRequest, TResponse>(dialogue, subject, client, seat, world).RunAsync(requests.Reader, responseStream, stop.Token).ConfigureAwait(false);
            }
            finally
            {
                await stop.CancelAsync().ConfigureAwait(false);
                await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private (WorkloadSubject Subject, SdsClient Client, ClientSeat Seat) Open(ServerCallContext context, string protocol)
    {
        // What a token may add comes with the first request, so that a process alone need not be entitled to anything where tokens count.
        var subject = subjects.Of(context);
        var id = world.Tokens.AreUsed ? "" : subject.Now().Matching[0].SpiffeId.Uri;
        var client = clients.Open(subject.Pid, subject.Peer.Uid, id, protocol);
        return (subject, client, subject.Seat($"SDS client pid {subject.Pid}"));
    }

    private static async Task ReadAsync<T>(IAsyncStreamReader<T> stream, ChannelWriter<T> requests, CancellationToken cancellationToken)
    {
        try
        {
            while (await stream.MoveNext(cancellationToken).ConfigureAwait(false))
            {
                await requests.WriteAsync(stream.Current, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            requests.TryComplete();
        }
    }
}
