using Signet.Identity.Jose;

namespace Signet.Server.Federation;

/// <summary>What an endpoint's bundle is, beside the one that is kept.</summary>
public enum BundleStep
{
    /// <summary>Newer, or the first: it takes the other's place.</summary>
    Take,

    /// <summary>The same.</summary>
    Keep,

    /// <summary>Older: the one that is kept stays.</summary>
    Refuse,
}

/// <summary>The order of a trust domain's bundles (Federation §4.2). Pure.</summary>
public static class BundleOrder
{
    /// <summary>
    /// A lower sequence number never replaces a higher one; where one of the two has none, or they are the same over different keys, what was fetched
    /// last counts.
    /// </summary>
    public static BundleStep Next(SpiffeBundle? kept, SpiffeBundle offered) =>
        kept is null ? BundleStep.Take
        : kept.Equals(offered) ? BundleStep.Keep
        : kept.Sequence is { } have && offered.Sequence is { } got && got < have ? BundleStep.Refuse
        : BundleStep.Take;
}

/// <summary>How long to wait before a bundle is fetched again (Federation §4.1). Pure.</summary>
public static class RefreshInterval
{
    /// <summary>When the publisher does not say.</summary>
    public static readonly TimeSpan Default = TimeSpan.FromMinutes(5);

    public static readonly TimeSpan Shortest = TimeSpan.FromMinutes(1);

    /// <summary>A key that was taken back must not be believed for longer, whatever the publisher said once.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromDays(1);

    public static TimeSpan Of(TimeSpan? hint) => hint is not { } asked ? Default : asked < Shortest ? Shortest : asked > Longest ? Longest : asked;
}
