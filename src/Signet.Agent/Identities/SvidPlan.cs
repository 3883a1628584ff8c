using System.Collections.Immutable;
using Signet.Identity.Registration;
using Signet.Identity.X509;

namespace Signet.Agent.Identities;

/// <summary>An SVID that the agent holds for an entry, and when it wants the next one.</summary>
internal sealed record HeldSvid(RegistrationEntry Entry, X509Svid Svid, DateTimeOffset RenewAt)
{
    /// <summary>What an SVID with its key takes in memory besides its certificate's bytes: the certificate read, the key in the library, a place in tables.</summary>
    private const int Overhead = 8 * 1024;

    /// <summary>What one that is not there yet will take, about.</summary>
    public const int TypicalBytes = Overhead + 1024;

    /// <summary>What it takes in memory, about. The chain above the leaf is stored once for all.</summary>
    public int Bytes => Overhead + Svid.Leaf.Der.Length;

    /// <summary>Whether peers would accept it at this time.</summary>
    public bool IsValid(DateTimeOffset now) => Svid.Validity.Covers(now);
}

/// <summary>What is to be done for the SVIDs of a node, as a pure function of what it holds, what it may serve and the time.</summary>
/// <param name="Keep">What goes on being served: still valid and still registered, even when its renewal is due.</param>
/// <param name="Due">The entries to ask the server for, those without any valid SVID first.</param>
/// <param name="Missing">How many of those have no valid SVID.</param>
/// <param name="NextAt">When the next renewal or expiry comes due, if nothing changes before.</param>
internal sealed record SvidPlan(
    ImmutableDictionary<string, HeldSvid> Keep, ImmutableArray<RegistrationEntry> Due, int Missing, DateTimeOffset? NextAt)
{
    /// <summary>What a superseded authority signed is renewed within this time, spread over it so that many do not come at once.</summary>
    public static readonly TimeSpan ReplaceWithin = TimeSpan.FromSeconds(10);

    /// <param name="view">What the server said.</param>
    /// <param name="chosen">Those of its entries that are to have an SVID, the most important first.</param>
    /// <param name="held">What is there.</param>
    /// <param name="now">The time.</param>
    public static SvidPlan Of(NodeView view, IReadOnlyList<RegistrationEntry> chosen, ImmutableDictionary<string, HeldSvid> held, DateTimeOffset now)
    {
        var keep = ImmutableDictionary.CreateBuilder<string, HeldSvid>(StringComparer.Ordinal);
        var missing = ImmutableArray.CreateBuilder<RegistrationEntry>();
        var ageing = ImmutableArray.CreateBuilder<RegistrationEntry>();
        DateTimeOffset? nextAt = null;
        foreach (var entry in chosen.Where(entry => !entry.HasExpired(now)))
        {
            // An SVID counts only while the entry still says what it said when the SVID was signed, and while its issuer stands by it.
            if (!held.TryGetValue(entry.Id, out var mine) || !mine.IsValid(now) || !SameIdentity(mine.Entry, entry) || IsRevoked(view, mine.Svid))
            {
                missing.Add(entry);
                continue;
            }

            mine = mine with { Entry = entry };
            if (mine.Svid.Issuer is { } issuer && view.Superseded.Contains(issuer.SerialHex) && mine.RenewAt > now + ReplaceWithin)
            {
                mine = mine with { RenewAt = now + (ReplaceWithin * Spread(mine.Svid)) };
            }

            keep.Add(entry.Id, mine);
            nextAt = Sooner(nextAt, entry.ExpiresAt);
            nextAt = Sooner(nextAt, mine.RenewAt <= now ? mine.Svid.NotAfter : mine.RenewAt);
            if (mine.RenewAt <= now)
            {
                ageing.Add(entry);
            }
        }

        return new SvidPlan(keep.ToImmutable(), [.. missing, .. ageing], missing.Count, nextAt);
    }

    /// <summary>
    /// How long to leave what is due after an outage, when everybody has much that is due: a part of the time over which the server wants its agents to come
    /// back, but no more than a quarter of what is left of the first to end. What has no SVID at all is not left.
    /// </summary>
    /// <param name="spread">What the server wants.</param>
    /// <param name="chance">A number in [0, 1).</param>
    /// <param name="now">The time.</param>
    public TimeSpan EaseAfterOutage(TimeSpan spread, double chance, DateTimeOffset now)
    {
        var room = Missing > 0 || Keep.IsEmpty ? TimeSpan.Zero : Keep.Values.Min(held => held.Svid.NotAfter - now) / 4;
        return chance * (spread < room ? spread : room);
    }

    /// <summary>A number in [0, 1) that is the SVID's own: the first byte of its serial number varies too little, the last is random.</summary>
    private static double Spread(X509Svid svid) => Convert.FromHexString(svid.Leaf.SerialHex)[^1] / 256.0;

    private static DateTimeOffset? Sooner(DateTimeOffset? one, DateTimeOffset? other) => one is null || other < one ? other ?? one : one;

    private static bool IsRevoked(NodeView view, X509Svid svid) =>
        svid.Issuer is { } issuer && view.Bundles.Crls.Any(list => list.IssuerName.Equals(issuer.SubjectName) && list.Contains(svid.Leaf.SerialHex, out _));

    private static bool SameIdentity(RegistrationEntry signed, RegistrationEntry now) =>
        signed.SpiffeId == now.SpiffeId
        && signed.X509Ttl == now.X509Ttl
        && signed.Hint == now.Hint
        && signed.Template == now.Template
        && signed.DnsNames.SequenceEqual(now.DnsNames, StringComparer.Ordinal);
}
