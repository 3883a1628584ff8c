using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Signet.Agent.Identities;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Node;

namespace Signet.Agent.Wire;

/// <summary>The server's snapshot, read as a whole: one part that does not hold refuses all of it, and the last good one stays.</summary>
internal static class NodeViewWire
{
    public static bool TryRead(NodeSnapshot wire, TrustDomain trustDomain, [NotNullWhen(true)] out NodeView? view, out string problem)
    {
        view = null;
        if (!SpireMapping.TryRead(wire.Bundle, out var own, out problem))
        {
            return false;
        }

        if (own.TrustDomain != trustDomain || own.Authorities.Count == 0)
        {
            problem = $"the bundle is of trust domain {own.TrustDomain} and holds {own.Authorities.Count} authorities; at least one of {trustDomain} is needed";
            return false;
        }

        if (!SpireMapping.TryRead(wire.Bundle, trustDomain, out var ownJwt, out problem))
        {
            return false;
        }

        var bundles = TrustBundles.Of(own);
        var jwtBundles = ImmutableDictionary<TrustDomain, JwtBundle>.Empty.Add(trustDomain, ownJwt);
        foreach (var federated in wire.FederatedBundles)
        {
            if (!SpireMapping.TryRead(federated, out var bundle, out problem) || !SpireMapping.TryRead(federated, bundle.TrustDomain, out var jwtBundle, out problem))
            {
                return false;
            }

            if (bundle.TrustDomain != trustDomain)
            {
                bundles = bundles.With(bundle);
                jwtBundles = jwtBundles.SetItem(bundle.TrustDomain, jwtBundle);
            }
        }

        if (!RevocationListsWire.TryRead(wire.Crls, out var crls, out problem))
        {
            return false;
        }

        var entries = ImmutableArray.CreateBuilder<RegistrationEntry>(wire.Entries.Count);
        foreach (var one in wire.Entries)
        {
            if (!SpireMapping.TryRead(one, out var entry, out problem))
            {
                problem = $"entry {Printable.Of(one.Id)}: {problem}";
                return false;
            }

            entries.Add(entry);
        }

        view = new NodeView(wire.Revision, entries.ToImmutable(), bundles.WithCrls(crls), jwtBundles) { Own = own, Superseded = [.. wire.SupersededAuthorities] };
        return true;
    }
}
