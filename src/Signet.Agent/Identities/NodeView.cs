using System.Collections.Immutable;
using Signet.Identity.Registration;
using Signet.Identity.X509;

namespace Signet.Agent.Identities;

/// <summary>What the server last told this agent: the entries it may serve and whom to trust. Immutable.</summary>
internal sealed record NodeView(ulong Revision, ImmutableArray<RegistrationEntry> Entries, TrustBundles Bundles)
{
    public static readonly NodeView Nothing = new(0, [], TrustBundles.Empty);
}
