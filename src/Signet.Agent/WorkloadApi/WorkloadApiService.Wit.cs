using Grpc.Core;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Spiffe;
using Status = Grpc.Core.Status;

namespace Signet.Agent.WorkloadApi;

/// <content>The WIT profile (Workload API §7), where it is wanted; elsewhere it is not implemented.</content>
internal sealed partial class WorkloadApiService
{
    public override async Task FetchWITSVID(WITSVIDRequest request, IServerStreamWriter<WITSVIDResponse> responseStream, ServerCallContext context)
    {
        if (wits is null)
        {
            await base.FetchWITSVID(request, responseStream, context).ConfigureAwait(false);
            return;
        }

        SpiffeId? wanted = null;
        if (request.SpiffeId.Length > 0 && !SpiffeId.TryParse(request.SpiffeId, out wanted, out var problem))
        {
            throw Invalid(problem);
        }

        var subject = subjects.Of(context);
        WITSVIDResponse? sent = null;
        while (true)
        {
            var seen = subject.Version;
            var matching = subject.Now().Matching.Where(entry => wanted is null || entry.SpiffeId == wanted).ToArray();
            if (matching.Length == 0)
            {
                throw new RpcException(new Status(StatusCode.PermissionDenied, $"no identity issued with the SPIFFE ID {wanted}"));
            }

            var (held, lookAgainAt) = await wits.GetAsync(matching, context.CancellationToken).ConfigureAwait(false);
            var response = new WITSVIDResponse();
            var hints = new HashSet<string>(StringComparer.Ordinal);
            response.Svids.AddRange(held.Select(one => new WITSVID
            {
                SpiffeId = one.Entry.SpiffeId.Uri,
                WitSvid = one.Token,
                WitSvidKey = one.KeyJson,
                Hint = one.Entry.Hint.Length > 0 && hints.Add(one.Entry.Hint) ? one.Entry.Hint : "",
            }));
            if (!response.Equals(sent))
            {
                await responseStream.WriteAsync(response, context.CancellationToken).ConfigureAwait(false);
                sent = response;
            }

            await subject.ChangeAsync(seen, lookAgainAt, context.CancellationToken).ConfigureAwait(false);
        }
    }

    public override Task FetchWITBundles(WITBundlesRequest request, IServerStreamWriter<WITBundlesResponse> responseStream, ServerCallContext context) =>
        wits is null ? base.FetchWITBundles(request, responseStream, context) : subjects.Of(context).FollowAsync(
            entitlement => new Fingerprint(string.Join('\n', WitBundles(entitlement).Select(bundle => string.Join(',', bundle.Authorities.Select(key => key.KeyId).Prepend(bundle.TrustDomain.Name))))),
            entitlement =>
            {
                var response = new WITBundlesResponse();
                foreach (var bundle in WitBundles(entitlement))
                {
                    response.Bundles[bundle.TrustDomain.IdString] = bundle.ToJson();
                }

                return responseStream.WriteAsync(response, context.CancellationToken);
            },
            context.CancellationToken);

    /// <summary>The own trust domain's keys first, then those of the domains that the entries federate with and that have WIT-SVIDs.</summary>
    private static IEnumerable<WitBundle> WitBundles(Entitlement entitlement) =>
        entitlement.Matching
            .SelectMany(entry => entry.FederatesWith)
            .Select(entitlement.Snapshot.View.WitBundles.GetValueOrDefault)
            .OfType<WitBundle>()
            .Prepend(Own(entitlement))
            .DistinctBy(bundle => bundle.TrustDomain);

    private static WitBundle Own(Entitlement entitlement) =>
        entitlement.Matching[0].SpiffeId.TrustDomain is var own && entitlement.Snapshot.View.WitBundles.TryGetValue(own, out var bundle) ? bundle : WitBundle.Empty(own);
}
