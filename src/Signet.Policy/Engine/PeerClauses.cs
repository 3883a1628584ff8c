using Signet.Identity.Spiffe;

namespace Signet.Policy.Engine;

/// <summary>A clause about the authenticated peer. A peer without a certificate matches none, and every not-form.</summary>
public abstract class PeerClause : Clause
{
    private protected PeerClause(string field, IReadOnlyList<string> values, bool negated)
        : base(field, values, negated)
    {
    }

    public override bool NeedsPeer => true;

    internal sealed override string Seen(RequestFacts facts) =>
        facts.AuthenticatedPeer is { } peer ? peer.Principal : "a peer without mutual TLS";

    private protected sealed override bool MatchesAny(RequestFacts facts) => facts.AuthenticatedPeer is { } peer && MatchesPeer(peer);

    private protected abstract bool MatchesPeer(SpiffeId peer);

    private protected static ReadOnlySpan<char> PrincipalOf(SpiffeId peer) => peer.Uri.AsSpan("spiffe://".Length);
}

/// <summary><c>principals</c> and <c>source.principal</c>: the SPIFFE ID without its scheme, trust-domain aliases written out.</summary>
internal sealed class PrincipalClause : PeerClause
{
    private readonly StringPattern[] _patterns;

    public PrincipalClause(string field, IReadOnlyList<string> values, bool negated, MeshSettings mesh)
        : base(field, values, negated) =>
        _patterns = Patterns([.. values.SelectMany(value => TrustDomainAliases.OfPrincipal(value, mesh.TrustDomains)).Distinct(StringComparer.Ordinal)]);

    internal override IndexDimension Dimension => !Negated && AllExactOrPrefix(_patterns) ? IndexDimension.Principal : IndexDimension.None;

    internal override IReadOnlyList<StringPattern> IndexKeys => _patterns;

    private protected override bool MatchesPeer(SpiffeId peer) => AnyMatches(_patterns, PrincipalOf(peer));
}

/// <summary>
/// <c>namespaces</c> and <c>source.namespace</c>: the ID has <c>/ns/X/</c> somewhere, in whatever trust domain; <c>*</c> stands for any
/// characters, wherever it is.
/// </summary>
internal sealed class NamespaceClause : PeerClause
{
    private readonly Glob[] _globs;

    public NamespaceClause(string field, IReadOnlyList<string> values, bool negated)
        : base(field, values, negated) => _globs = [.. values.Select(value => new Glob("*/ns/" + value + "/*"))];

    // Only a value that is one whole segment can be looked up by the segment after /ns/.
    internal override IndexDimension Dimension => Negated || Values.Any(value => value.AsSpan().ContainsAny('*', '/')) ? IndexDimension.None : IndexDimension.Namespace;

    internal override IReadOnlyList<StringPattern> IndexKeys => Exactly(Values);

    private protected override bool MatchesPeer(SpiffeId peer)
    {
        foreach (var glob in _globs)
        {
            if (glob.Matches(peer.Uri))
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary><c>serviceAccounts</c> and <c>source.serviceAccount</c>: <c>namespace/name</c>, or a name in the policy's own namespace; any trust domain.</summary>
internal sealed class ServiceAccountClause : PeerClause
{
    private readonly (string Namespace, string Account)[] _accounts;

    public ServiceAccountClause(string field, IReadOnlyList<string> values, bool negated, string policyNamespace)
        : base(field, values, negated) => _accounts = [.. values.Select(value =>
        {
            var slash = value.IndexOf('/', StringComparison.Ordinal);
            return slash < 0 ? ("/ns/" + policyNamespace + "/", "sa/" + value) : ("/ns/" + value[..slash] + "/", "sa/" + value[(slash + 1)..]);
        })];

    internal override IndexDimension Dimension => Negated ? IndexDimension.None : IndexDimension.ServiceAccount;

    // A name is always one whole segment, so it can be looked up by the segment after /sa/.
    internal override IReadOnlyList<StringPattern> IndexKeys => Exactly(_accounts.Select(account => account.Account["sa/".Length..]));

    private protected override bool MatchesPeer(SpiffeId peer)
    {
        foreach (var (ns, account) in _accounts)
        {
            if (Matches(peer.Path, ns, account))
            {
                return true;
            }
        }

        return false;
    }

    // spiffe://.+ /ns/<ns>/ (.+/)? sa/<sa> (/.+)?
    private static bool Matches(string path, string ns, string account)
    {
        for (var at = path.IndexOf(ns, StringComparison.Ordinal); at >= 0; at = path.IndexOf(ns, at + 1, StringComparison.Ordinal))
        {
            var rest = path.AsSpan(at + ns.Length);
            while (true)
            {
                if (rest.StartsWith(account, StringComparison.Ordinal) && (rest.Length == account.Length || rest[account.Length] == '/'))
                {
                    return true;
                }

                var slash = rest.IndexOf('/');
                if (slash < 0)
                {
                    break;
                }

                rest = rest[(slash + 1)..];
            }
        }

        return false;
    }
}

/// <summary><c>trustDomains</c> and <c>source.trustDomain</c>; a <c>*</c> at one end stands for any characters. Only exact values are widened to aliases.</summary>
internal sealed class TrustDomainClause : PeerClause
{
    private readonly Glob[] _globs;

    public TrustDomainClause(string field, IReadOnlyList<string> values, bool negated, MeshSettings mesh)
        : base(field, values, negated) =>
        _globs = [.. values.SelectMany(value => mesh.TrustDomains.Contains(value) ? mesh.TrustDomains : [value]).Distinct(StringComparer.Ordinal).Select(value => new Glob(value))];

    private protected override bool MatchesPeer(SpiffeId peer)
    {
        foreach (var glob in _globs)
        {
            if (glob.Matches(peer.TrustDomain.Name))
            {
                return true;
            }
        }

        return false;
    }
}
