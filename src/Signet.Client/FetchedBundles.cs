using Grpc.Core;
using Signet.Client.Wire;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Spiffe;

namespace Signet.Client;

/// <summary>The Workload API's bundles do not hold; the message says why.</summary>
public sealed class BundleException(string message) : Exception(message);

/// <summary>The bundles that the caller may use at one moment, of its own trust domain and of those it is federated with.</summary>
public static class FetchedBundles
{
    /// <summary>Asks once for the certificate half and once for the token half (Workload API §5.2.2, §6.2.2).</summary>
    /// <returns>By name of the trust domain.</returns>
    /// <exception cref="RpcException">The Workload API refused or cannot be reached.</exception>
    /// <exception cref="BundleException">Its answer does not hold.</exception>
    public static async Task<IReadOnlyList<SpiffeBundle>> FetchAsync(WorkloadApiAddress address, TimeProvider time, CancellationToken cancellationToken)
    {
        using var channel = WorkloadApi.Connect(address, time);
        var client = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel);
        using var x509Call = client.FetchX509Bundles(new X509BundlesRequest(), WorkloadApi.Options(cancellationToken));
        using var jwtCall = client.FetchJWTBundles(new JWTBundlesRequest(), WorkloadApi.Options(cancellationToken));
        if (!await x509Call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false) || !await jwtCall.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false))
        {
            throw new BundleException("the Workload API ended its answer before it began");
        }

        if (!X509ContextWire.TryRead(x509Call.ResponseStream.Current, out var x509, out var problem) || !JwtBundlesWire.TryRead(jwtCall.ResponseStream.Current, out var jwt, out problem))
        {
            throw new BundleException(problem);
        }

        return [.. x509.All.Select(bundle => bundle.TrustDomain).Union(jwt.Keys)
            .OrderBy(trustDomain => trustDomain.Name, StringComparer.Ordinal)
            .Select(trustDomain => SpiffeBundle.Of(x509.Find(trustDomain) ?? X509Bundle.Create(trustDomain, []), jwt.GetValueOrDefault(trustDomain) ?? JwtBundle.Empty(trustDomain)))];
    }
}
