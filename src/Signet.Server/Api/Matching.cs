using System.Globalization;
using Signet.Identity.Registration;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Types;
using FederatesWithBehavior = Signet.Rpc.Wire.Spire.Types.FederatesWithMatch.Types.MatchBehavior;
using Selector = Signet.Identity.Registration.Selector;
using SelectorBehavior = Signet.Rpc.Wire.Spire.Types.SelectorMatch.Types.MatchBehavior;

namespace Signet.Server.Api;

/// <summary>The filters of SPIRE's lists, as predicates: read once, wrong ones refused with INVALID_ARGUMENT.</summary>
internal static class Matching
{
    /// <summary>SPIRE's tools write times of filters like this; RFC 3339 is read too.</summary>
    private const string ToolTime = "yyyy-MM-dd HH:mm:ss zzz";

    /// <summary>A predicate over a set of selectors; always true without a filter.</summary>
    public static Func<IEnumerable<Selector>, bool> Selectors(SelectorMatch? filter)
    {
        if (filter is null)
        {
            return _ => true;
        }

        if (!SpireMapping.TryReadSelectors(filter.Selectors, out var wanted, out var problem))
        {
            throw Rpcs.Invalid($"malformed selectors filter: {problem}");
        }

        if (wanted.IsEmpty)
        {
            throw Rpcs.Invalid("malformed selectors filter: empty selector set");
        }

        return Sets(wanted, filter.Match switch
        {
            SelectorBehavior.MatchExact => SetMatch.Exact,
            SelectorBehavior.MatchSubset => SetMatch.Subset,
            SelectorBehavior.MatchSuperset => SetMatch.Superset,
            SelectorBehavior.MatchAny => SetMatch.Any,
            _ => throw Rpcs.Invalid($"malformed selectors filter: match {(int)filter.Match} is not known"),
        });
    }

    /// <summary>A predicate over the trust domains that an entry federates with; always true without a filter.</summary>
    public static Func<RegistrationEntry, bool> FederatesWith(FederatesWithMatch? filter)
    {
        if (filter is null)
        {
            return _ => true;
        }

        if (!SpireMapping.TryReadDomains(filter.TrustDomains, out var wanted, out var problem))
        {
            throw Rpcs.Invalid($"malformed federates with filter: {problem}");
        }

        if (wanted.IsEmpty)
        {
            throw Rpcs.Invalid("malformed federates with filter: empty trust domain set");
        }

        var matches = Sets(wanted, filter.Match switch
        {
            FederatesWithBehavior.MatchExact => SetMatch.Exact,
            FederatesWithBehavior.MatchSubset => SetMatch.Subset,
            FederatesWithBehavior.MatchSuperset => SetMatch.Superset,
            FederatesWithBehavior.MatchAny => SetMatch.Any,
            _ => throw Rpcs.Invalid($"malformed federates with filter: match {(int)filter.Match} is not known"),
        });
        return entry => matches(entry.FederatesWith);
    }

    /// <summary>A predicate over an ID; always true without a filter.</summary>
    public static Func<Identity.Spiffe.SpiffeId, bool> Id(SPIFFEID? filter, string name)
    {
        if (filter is null)
        {
            return _ => true;
        }

        return SpireMapping.TryRead(filter, name, out var id, out var problem) ? candidate => candidate == id : throw Rpcs.Invalid($"malformed {name} filter: {problem}");
    }

    /// <summary>The moment of a filter by expiry; null without one.</summary>
    public static DateTimeOffset? Before(string text)
    {
        if (text.Length == 0)
        {
            return null;
        }

        // "2026-01-02 15:04:05 -0700 -07" names the offset twice.
        var once = text.Count(c => c == ' ') == 3 ? text[..text.LastIndexOf(' ')] : text;
        return DateTimeOffset.TryParseExact(once, ToolTime, CultureInfo.InvariantCulture, DateTimeStyles.None, out var time)
            || DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out time)
            ? time
            : throw Rpcs.Invalid($"by_expires_before \"{Identity.Spiffe.Printable.Of(text)}\" is not a time; write it as 2026-01-02T15:04:05Z");
    }

    private static Func<IEnumerable<T>, bool> Sets<T>(IEnumerable<T> wanted, SetMatch match)
    {
        var set = wanted.ToHashSet();
        return match switch
        {
            SetMatch.Exact => set.SetEquals,
            SetMatch.Subset => candidate => candidate.Any() && set.IsSupersetOf(candidate),
            SetMatch.Superset => set.IsSubsetOf,
            _ => set.Overlaps,
        };
    }

    private enum SetMatch
    {
        Exact,
        Subset,
        Superset,
        Any,
    }
}
