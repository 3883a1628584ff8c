using System.Collections.Frozen;
using Signet.Identity.Spiffe;

namespace Signet.Client;

/// <summary>
/// Which of the peers that have proved who they are may go on. Whoever has proved nothing is never asked about. Immutable, thread-safe; a refusal has a reason
/// for the operator, which names the peer and is not for the peer.
/// </summary>
public sealed class Authorizer
{
    private readonly Func<SpiffeId, bool> _allows;

    private Authorizer(string description, Func<SpiffeId, bool> allows) => (Description, _allows) = (description, allows);

    /// <summary>Whom it allows, as <c>members of example.org</c>.</summary>
    public string Description { get; }

    /// <summary>Everybody whose SVID a bundle vouches for, of federated trust domains too.</summary>
    public static Authorizer Any { get; } = new("any workload of a trusted domain", _ => true);

    /// <summary>Every workload of this trust domain.</summary>
    public static Authorizer MemberOf(TrustDomain trustDomain) => new($"members of {trustDomain}", id => id.IsMemberOf(trustDomain));

    /// <summary>This workload and no other.</summary>
    public static Authorizer Exactly(SpiffeId id) => new(id.Uri, peer => peer == id);

    /// <summary>These workloads; none allows nobody.</summary>
    public static Authorizer OneOf(params IEnumerable<SpiffeId> ids)
    {
        var set = ids.ToFrozenSet();
        return new Authorizer(set.Count == 0 ? "nobody" : string.Join(", ", set.Select(id => id.Uri).Order(StringComparer.Ordinal)), set.Contains);
    }

    /// <summary>The workloads of a trust domain at or below a path: <c>/ns/production</c> covers <c>/ns/production/sa/web</c>, but not <c>/ns/production2</c>.</summary>
    /// <param name="trustDomain">Of this trust domain only.</param>
    /// <param name="prefix">As <c>/ns/production</c>: whole segments, compared with case.</param>
    /// <exception cref="FormatException">The prefix is not the path of a SPIFFE ID.</exception>
    public static Authorizer PathPrefix(TrustDomain trustDomain, string prefix)
    {
        var top = SpiffeId.Of(trustDomain, prefix);
        return top.HasPath
            ? new Authorizer($"{top.Uri} and what is below it", id => id == top || (id.IsMemberOf(trustDomain) && id.Path.StartsWith(top.Path + "/", StringComparison.Ordinal)))
            : throw new FormatException($"a path prefix such as /ns/production was expected; for all of {trustDomain} use {nameof(MemberOf)}");
    }

    /// <summary>Whom a function allows. If it throws, the peer is refused.</summary>
    /// <param name="description">Whom that is, for reasons, as <c>workloads of this shard</c>.</param>
    /// <param name="allows">Called in handshakes, from several threads at once; must be quick.</param>
    public static Authorizer Where(string description, Func<SpiffeId, bool> allows) => new(description, allows);

    /// <summary>Whether a peer may go on.</summary>
    /// <param name="peer">Who has been proved to be there.</param>
    /// <param name="reason">Why not; empty when it may.</param>
    public bool Allows(SpiffeId peer, out string reason)
    {
        try
        {
            reason = _allows(peer) ? "" : $"{peer} is not allowed here; allowed: {Description}";
        }
        catch (Exception e)
        {
            reason = $"{peer} is not allowed here: whether it belongs to {Description} could not be decided ({e.GetType().Name}: {e.Message})";
        }

        return reason.Length == 0;
    }

    public override string ToString() => Description;
}
