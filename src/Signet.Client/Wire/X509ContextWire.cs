using System.Diagnostics.CodeAnalysis;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spiffe;

namespace Signet.Client.Wire;

/// <summary>The Workload API's X.509 answers, read into the domain. Every answer is the full set (Workload API §4.3).</summary>
internal static class X509ContextWire
{
    public static bool TryRead(X509SVIDResponse response, [NotNullWhen(true)] out X509Context? context, out string problem)
    {
        context = null;
        if (response.Svids.Count == 0)
        {
            problem = "the Workload API answered without an SVID";
            return false;
        }

        var svids = new List<X509Svid>();
        var bundles = TrustBundles.Empty;
        foreach (var wire in response.Svids)
        {
            if (!TryReadSvid(wire, out var svid, out problem)
                || !TryReadBundle(svid.Id.TrustDomain, wire.Bundle.Memory, out var bundle, out problem))
            {
                return false;
            }

            // Of two SVIDs with the same hint the first counts (Workload API §5.2.1).
            if (svid.Hint is null || !svids.Any(other => other.Hint == svid.Hint))
            {
                svids.Add(svid);
            }

            bundles = bundles.With(bundle);
        }

        foreach (var (name, der) in response.FederatedBundles)
        {
            if (!TrustDomain.TryParse(name, out var trustDomain, out problem) || !TryReadBundle(trustDomain, der.Memory, out var bundle, out problem))
            {
                return false;
            }

            // A federated bundle never replaces the own trust domain's.
            bundles = bundles.Find(trustDomain) is null ? bundles.With(bundle) : bundles;
        }

        if (!RevocationListsWire.TryRead(response.Crl, out var crls, out problem))
        {
            return false;
        }

        context = new X509Context(svids, bundles.WithCrls(crls));
        return true;
    }

    public static bool TryRead(X509BundlesResponse response, [NotNullWhen(true)] out TrustBundles? bundles, out string problem)
    {
        bundles = null;
        var read = TrustBundles.Empty;
        foreach (var (name, der) in response.Bundles)
        {
            if (!TrustDomain.TryParse(name, out var trustDomain, out problem) || !TryReadBundle(trustDomain, der.Memory, out var bundle, out problem))
            {
                return false;
            }

            read = read.With(bundle);
        }

        if (!RevocationListsWire.TryRead(response.Crl, out var crls, out problem))
        {
            return false;
        }

        bundles = read.WithCrls(crls);
        return true;
    }

    private static bool TryReadSvid(X509SVID wire, [NotNullWhen(true)] out X509Svid? svid, out string problem)
    {
        svid = null;
        if (!CertificateList.TryParse(wire.X509Svid.Memory, out var chain, out problem)
            || !KeyPair.TryImportPkcs8(wire.X509SvidKey.Memory, out var key, out problem)
            || !X509Svid.TryCreate(chain, key, wire.Hint.Length > 0 ? wire.Hint : null, out svid, out problem))
        {
            return false;
        }

        if (svid.Id.Uri != wire.SpiffeId)
        {
            problem = $"the Workload API says {Printable.Of(wire.SpiffeId)}, but the certificate says {svid.Id}";
            svid = null;
            return false;
        }

        return true;
    }

    private static bool TryReadBundle(TrustDomain trustDomain, ReadOnlyMemory<byte> der, [NotNullWhen(true)] out X509Bundle? bundle, out string problem)
    {
        bundle = null;
        if (!CertificateList.TryParse(der, out var authorities, out problem))
        {
            return false;
        }

        if (authorities.Count > X509Bundle.MaxAuthorities)
        {
            problem = $"the bundle of {trustDomain} has {authorities.Count} authorities; the limit is {X509Bundle.MaxAuthorities}";
            return false;
        }

        bundle = X509Bundle.Create(trustDomain, authorities, sequence: null, refreshHint: null);
        return true;
    }
}
