using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Client;

/// <summary>Which of several SVIDs a program presents. Immutable, thread-safe.</summary>
public sealed class SvidPick
{
    private readonly Func<X509Svid, bool> _isMeant;
    private readonly string _text;

    private SvidPick(string text, Func<X509Svid, bool> isMeant) => (_text, _isMeant) = (text, isMeant);

    /// <summary>The first, which the Workload API calls the default identity (§8).</summary>
    public static SvidPick First { get; } = new("at all", _ => true);

    /// <summary>The one that an operator gave this hint, compared byte by byte; it may change its ID and still be meant (Workload API §5.2.1).</summary>
    /// <exception cref="ArgumentException">The hint is empty.</exception>
    public static SvidPick ByHint(string hint)
    {
        ArgumentException.ThrowIfNullOrEmpty(hint);
        return new SvidPick($"with hint \"{Printable.Of(hint)}\"", svid => svid.Hint == hint);
    }

    /// <summary>The first of this ID.</summary>
    public static SvidPick ById(SpiffeId id) => new($"of {id}", svid => svid.Id == id);

    /// <returns>Null when none is meant.</returns>
    public X509Svid? From(IEnumerable<X509Svid> svids) => svids.FirstOrDefault(_isMeant);

    /// <summary>What is meant, as it follows on "an SVID".</summary>
    public override string ToString() => _text;

    internal static string Describe(X509Svid svid) => svid.Hint is { } hint ? $"{svid.Id} (hint \"{Printable.Of(hint)}\")" : svid.Id.Uri;
}
