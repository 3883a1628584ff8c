namespace Signet.Policy;

/// <summary>The claims of a token whose signature, times, issuer and audience were checked. Immutable.</summary>
/// <param name="Claims">All claims, <c>iss</c>, <c>sub</c>, <c>aud</c> and <c>azp</c> among them.</param>
public sealed record ValidatedJwt(ClaimValue.Map Claims)
{
    /// <summary>Who issued it: <c>iss</c>, or for a JWT-SVID without one its trust domain, as in <c>spiffe://example.org</c>.</summary>
    public string? Issuer { get => field ?? Text("iss"); init; }

    public string? Subject => Text("sub");

    private string? Text(string name) => Claims.Members.GetValueOrDefault(name) is ClaimValue.Text text ? text.Value : null;
}

/// <summary>A claim's value as policies see it: text, a list of texts, or claims by name. Anything else matches nothing.</summary>
public abstract record ClaimValue
{
    private ClaimValue()
    {
    }

    public sealed record Text(string Value) : ClaimValue;

    /// <summary>The texts of a list; what else stands in it matches nothing.</summary>
    public sealed record List(IReadOnlyList<string> Values) : ClaimValue;

    public sealed record Map(IReadOnlyDictionary<string, ClaimValue> Members) : ClaimValue;

    /// <summary>A number, a boolean or null.</summary>
    public sealed record Other : ClaimValue;
}
