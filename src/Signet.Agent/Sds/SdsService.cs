using System.Threading.Channels;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Identities;
using Signet.Agent.Telemetry;
using Signet.Agent.WorkloadApi;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Secret;

namespace Signet.Agent.Sds;

/// <summary>
/// Envoy's secret discovery service v3, state of the world: the same identities as the Workload API, under the names that proxies use.
/// A response is sent for each subscription and for each change of what was subscribed.
/// </summary>
internal sealed class SdsService(WorkloadSubjects subjects, IdentityCache cache, AgentMetrics metrics, ILogger<SdsService> log) : SecretDiscoveryService.SecretDiscoveryServiceBase
{
    private const int PendingRequests = 16;

    public override async Task StreamSecrets(
        IAsyncStreamReader<DiscoveryRequest> requestStream, IServerStreamWriter<DiscoveryResponse> responseStream, ServerCallContext context)
    {
        var subject = subjects.Of(context);
        var subscription = new SdsSubscription();
        var requests = Channel.CreateBounded<DiscoveryRequest>(PendingRequests);
        using var seat = subject.Seat($"SDS client pid {subject.Pid}");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
        var reading = ReadAsync(requestStream, requests.Writer, stop.Token);
        try
        {
            await ServeAsync(subject, subscription, requests.Reader, responseStream, seat, stop.Token).ConfigureAwait(false);
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public override async Task<DiscoveryResponse> FetchSecrets(DiscoveryRequest request, ServerCallContext context)
    {
        Check(request);
        var subscription = new SdsSubscription();
        subscription.Take(request);
        var subject = subjects.Of(context);
        var (response, _) = Build(await subject.ReadyAsync(context.CancellationToken).ConfigureAwait(false), subject.Pid, subscription, request.Node?.Id ?? "");
        return subscription.Stamp(response);
    }

    private async Task ServeAsync(
        WorkloadSubject subject,
        SdsSubscription subscription,
        ChannelReader<DiscoveryRequest> requests,
        IServerStreamWriter<DiscoveryResponse> responses,
        ClientSeat seat,
        CancellationToken cancellationToken)
    {
        var (node, sent, accepted) = ("", "", false);
        var readable = requests.WaitToReadAsync(cancellationToken).AsTask();
        while (true)
        {
            var seen = cache.Changes.Version;
            var answerNow = false;
            while (requests.TryRead(out var request))
            {
                Check(request);
                node = request.Node is { } known ? Printable.Of(known.Id) : node;
                var what = subscription.Take(request);
                answerNow |= what == SdsEvent.Subscribed;
                accepted |= what == SdsEvent.Accepted;
                if (what == SdsEvent.Rejected)
                {
                    metrics.SdsRejected();
                    log.SdsRejected(node, subject.Pid, Printable.Of(request.VersionInfo), Printable.Of(request.ErrorDetail.Message));
                }
            }

            if (subscription.IsOpen)
            {
                var entitlement = subject.Now();
                var (response, fingerprint) = Build(entitlement, subject.Pid, subscription, node);
                if (response.Resources.Count > 0 && (answerNow || fingerprint != sent))
                {
                    await responses.WriteAsync(subscription.Stamp(response), cancellationToken).ConfigureAwait(false);
                    (sent, accepted) = (fingerprint, false);
                }

                if (accepted && fingerprint == sent)
                {
                    seat.Told(entitlement);
                }
            }

            if (requests.Completion.IsCompleted)
            {
                return;
            }

            if (readable.IsCompleted)
            {
                readable = requests.WaitToReadAsync(cancellationToken).AsTask();
            }

            using var woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(readable, cache.Changes.WaitAsync(seen, woken.Token)).ConfigureAwait(false);
            await woken.CancelAsync().ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private (DiscoveryResponse Response, string Fingerprint) Build(Entitlement entitlement, int pid, SdsSubscription subscription, string node)
    {
        var response = new DiscoveryResponse();
        var (fingerprints, unknown) = (new List<string>(), new List<string>());
        foreach (var name in subscription.Names.Count > 0 ? subscription.Names : SecretCatalog.NamesOf(entitlement))
        {
            if (SecretCatalog.TryFind(entitlement, name, out var secret, out var fingerprint))
            {
                response.Resources.Add(Any.Pack(secret));
                fingerprints.Add($"{name}\n{fingerprint}");
            }
            else
            {
                unknown.Add(Printable.Of(name));
            }
        }

        // A name that is not known yet leaves the others served; it is sent once it becomes known.
        if (unknown.Count > 0 && entitlement.Svids.Count == entitlement.Matching.Count)
        {
            log.SdsUnknownNames(node, pid, string.Join(' ', unknown));
        }

        return (response, string.Join('\n', fingerprints));
    }

    private static void Check(DiscoveryRequest request)
    {
        if (request.TypeUrl.Length > 0 && request.TypeUrl != SdsSubscription.TypeUrl)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"type \"{Printable.Of(request.TypeUrl)}\" is not served here; only {SdsSubscription.TypeUrl}"));
        }

        if (request.ResourceNames.Count > SdsSubscription.MaxNames)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"{request.ResourceNames.Count} names in one request; the limit is {SdsSubscription.MaxNames}"));
        }
    }

    private static async Task ReadAsync(IAsyncStreamReader<DiscoveryRequest> stream, ChannelWriter<DiscoveryRequest> requests, CancellationToken cancellationToken)
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
