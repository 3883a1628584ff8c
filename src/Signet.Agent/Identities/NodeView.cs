using System.Collections.Immutable;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Agent.Identities;

/// <summary>What the server last told this agent: the entries it may serve and whom to trust, for certificates and for tokens. Immutable.</summary>
internal sealed record NodeView(ulong Revision, ImmutableArray<RegistrationEntry> Entries, TrustBundles Bundles, ImmutableDictionary<TrustDomain, JwtBundle> JwtBundles)
{
    public static readonly NodeView Nothing = new(0, [], TrustBundles.Empty, ImmutableDictionary<TrustDomain, JwtBundle>.Empty);
}
