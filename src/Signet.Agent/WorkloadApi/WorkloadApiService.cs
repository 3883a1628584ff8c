using Google.Protobuf;
using Grpc.Core;
using Signet.Agent.Identities;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Spiffe;

namespace Signet.Agent.WorkloadApi;

/// <summary>The SPIFFE Workload API. Here is its X.509 profile (Workload API §5). Every message is the full set.</summary>
internal sealed partial class WorkloadApiService(WorkloadSubjects subjects, JwtCache tokens, WitCache? wits, TimeProvider time) : SpiffeWorkloadAPI.SpiffeWorkloadAPIBase
{
    public override Task FetchX509SVID(X509SVIDRequest request, IServerStreamWriter<X509SVIDResponse> responseStream, ServerCallContext context) =>
        subjects.Of(context).FollowAsync(
            SvidFingerprint,
            entitlement => responseStream.WriteAsync(Svids(entitlement), context.CancellationToken),
            context.CancellationToken);

    public override Task FetchX509Bundles(X509BundlesRequest request, IServerStreamWriter<X509BundlesResponse> responseStream, ServerCallContext context) =>
        subjects.Of(context).FollowAsync(
            entitlement => new Fingerprint(string.Join('\n', Bundles(entitlement).Select(Name).Concat(CrlNumbers(entitlement)))),
            entitlement => responseStream.WriteAsync(X509Bundles(entitlement), context.CancellationToken),
            context.CancellationToken);

    /// <summary>The whole of what there is of bundles.</summary>
    internal static X509BundlesResponse X509Bundles(Entitlement entitlement)
    {
        var response = new X509BundlesResponse();
        foreach (var bundle in Bundles(entitlement))
        {
            response.Bundles[bundle.TrustDomain.IdString] = Encode(bundle);
        }

        response.Crl.AddRange(Crls(entitlement));
        return response;
    }

    /// <summary>The whole of what there is of SVIDs.</summary>
    internal static X509SVIDResponse Svids(Entitlement entitlement)
    {
        var response = new X509SVIDResponse();
        var hints = new HashSet<string>(StringComparer.Ordinal);
        foreach (var held in entitlement.Svids)
        {
            // Of two SVIDs with the same hint only the older entry's is told apart by it (Workload API §5.2.1).
            var hint = held.Svid.Hint is { } text && hints.Add(text) ? text : "";
            response.Svids.Add(new X509SVID
            {
                SpiffeId = held.Svid.Id.Uri,
                X509Svid = ByteString.CopyFrom(CertificateList.Encode(held.Svid.Chain)),
                X509SvidKey = ByteString.CopyFrom(held.Svid.ExportKeyPkcs8()),
                Bundle = entitlement.Snapshot.View.Bundles.Find(held.Svid.Id.TrustDomain) is { } own ? Encode(own) : ByteString.Empty,
                Hint = hint,
            });
        }

        response.Crl.AddRange(Crls(entitlement));
        foreach (var bundle in Federated(entitlement))
        {
            response.FederatedBundles[bundle.TrustDomain.IdString] = Encode(bundle);
        }

        return response;
    }

    // Nothing is sent while the first SVIDs are still being signed: the list must not be empty (Workload API §5.2.1).
    private static Fingerprint? SvidFingerprint(Entitlement entitlement) => entitlement.Svids.Count == 0
        ? null
        : new Fingerprint(string.Join('\n', entitlement.Svids.Select(held => held.Svid.Leaf.Fingerprint + held.Svid.Hint).Concat(Bundles(entitlement).Select(Name)).Concat(CrlNumbers(entitlement))));

    /// <summary>The own trust domain's bundle first, then those that the entries federate with.</summary>
    private static IEnumerable<X509Bundle> Bundles(Entitlement entitlement) =>
        entitlement.Snapshot.View.Bundles.Find(entitlement.Matching[0].SpiffeId.TrustDomain) is { } own ? Federated(entitlement).Prepend(own) : Federated(entitlement);

    private static IEnumerable<X509Bundle> Federated(Entitlement entitlement) =>
        entitlement.Matching
            .SelectMany(entry => entry.FederatesWith)
            .Distinct()
            .Select(entitlement.Snapshot.View.Bundles.Find)
            .OfType<X509Bundle>();

    private static IEnumerable<ByteString> Crls(Entitlement entitlement) => entitlement.Snapshot.View.Bundles.Crls.Select(list => ByteString.CopyFrom(list.Der.Span));

    private static IEnumerable<string> CrlNumbers(Entitlement entitlement) => entitlement.Snapshot.View.Bundles.Crls.Select(list => $"crl {list.IssuerName} {list.NumberHex}");

    private static string Name(X509Bundle bundle) => string.Join(',', bundle.Authorities.Select(authority => authority.Fingerprint).Prepend(bundle.TrustDomain.Name));

    private static ByteString Encode(X509Bundle bundle) => ByteString.CopyFrom(CertificateList.Encode(bundle.Authorities));

    private sealed record Fingerprint(string Text);
}
