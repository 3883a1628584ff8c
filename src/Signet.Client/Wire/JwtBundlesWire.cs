using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Spiffe;

namespace Signet.Client.Wire;

/// <summary>The Workload API's JWT bundles, read into the domain: JWK Sets by trust domain URI.</summary>
internal static class JwtBundlesWire
{
    public static bool TryRead(JWTBundlesResponse response, [NotNullWhen(true)] out ImmutableDictionary<TrustDomain, JwtBundle>? bundles, out string problem)
    {
        bundles = null;
        problem = "";
        var read = ImmutableDictionary.CreateBuilder<TrustDomain, JwtBundle>();
        foreach (var (name, json) in response.Bundles)
        {
            if (!TrustDomain.TryParse(name, out var trustDomain, out problem) || !JwtBundle.TryParse(trustDomain, json.ToStringUtf8(), out var bundle, out problem))
            {
                return false;
            }

            read[trustDomain] = bundle;
        }

        bundles = read.ToImmutable();
        return true;
    }
}
