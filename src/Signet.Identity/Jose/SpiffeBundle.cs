using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Identity.Jose;

/// <summary>
/// All that relying parties must know of one trust domain: the authorities of its X.509-SVIDs, the keys of its JWT-SVIDs and WIT-SVIDs, how new they are, and how
/// often to look again (SPIFFE Trust Domain and Bundle §4). Read and replaced as a whole. Immutable, thread-safe; equal when the content is.
/// </summary>
public sealed record SpiffeBundle
{
    private SpiffeBundle(X509Bundle x509, JwtBundle jwt, WitBundle wit) => (X509, Jwt, Wit) = (x509, jwt, wit);

    public TrustDomain TrustDomain => X509.TrustDomain;

    public X509Bundle X509 { get; }

    public JwtBundle Jwt { get; }

    /// <summary>Empty where a trust domain has no WIT-SVIDs.</summary>
    public WitBundle Wit { get; private init; }

    /// <summary>Grows with every change of content, or null when the publisher gives none (§4.1.1).</summary>
    public ulong? Sequence => X509.Sequence;

    /// <summary>How often to look for a newer one, or null when the publisher does not say (§4.1.2).</summary>
    public TimeSpan? RefreshHint => X509.RefreshHint;

    /// <summary>The two halves together; sequence and refresh hint are those of the first.</summary>
    /// <exception cref="ArgumentException">They are of different trust domains, which are never mixed (Federation §4.2).</exception>
    public static SpiffeBundle Of(X509Bundle x509, JwtBundle jwt) => x509.TrustDomain == jwt.TrustDomain
        ? new SpiffeBundle(x509, jwt, WitBundle.Empty(x509.TrustDomain))
        : throw new ArgumentException($"the bundles are of {x509.TrustDomain} and of {jwt.TrustDomain}", nameof(jwt));

    /// <summary>The same with these keys of WIT-SVIDs.</summary>
    /// <exception cref="ArgumentException">They are another trust domain's.</exception>
    public SpiffeBundle With(WitBundle wit) => wit.TrustDomain == TrustDomain ? this with { Wit = wit } : throw new ArgumentException($"the bundles are of {TrustDomain} and of {wit.TrustDomain}", nameof(wit));

    /// <summary>Reads the SPIFFE bundle format; keys of other kinds and uses are ignored (§4.2). Never throws.</summary>
    public static bool TryParse(TrustDomain trustDomain, string json, [NotNullWhen(true)] out SpiffeBundle? bundle, out string problem)
    {
        bundle = X509Bundle.TryReadSpiffeJson(trustDomain, json, out var x509, out problem) && JwtBundle.TryParse(trustDomain, json, out var jwt, out problem)
            && WitBundle.TryParse(trustDomain, json, out var wit, out problem)
            ? new SpiffeBundle(x509, jwt, wit)
            : null;
        return bundle is not null;
    }

    /// <summary>Reads what an operator has: PEM certificates, or the SPIFFE bundle format. Never throws.</summary>
    public static bool TryReadAny(TrustDomain trustDomain, string text, [NotNullWhen(true)] out SpiffeBundle? bundle, out string problem)
    {
        if (text.AsSpan().TrimStart().StartsWith("{"))
        {
            return TryParse(trustDomain, text, out bundle, out problem);
        }

        bundle = X509Bundle.TryReadPem(trustDomain, text, out var x509, out problem) ? new SpiffeBundle(x509, JwtBundle.Empty(trustDomain), WitBundle.Empty(trustDomain)) : null;
        return bundle is not null;
    }

    /// <summary>The same keys under another sequence and refresh hint.</summary>
    public SpiffeBundle As(ulong? sequence, TimeSpan? refreshHint) => new(X509Bundle.Create(TrustDomain, X509.Authorities, sequence, refreshHint), Jwt, Wit);

    /// <summary>Whether the keys are the same; sequence and refresh hint are not looked at.</summary>
    public bool HasKeysOf(SpiffeBundle other) => As(null, null).Equals(other.As(null, null));

    /// <summary>The SPIFFE bundle format, indented: one key per authority, per JWT key and per WIT key.</summary>
    public string ToJson() => Written(writer => Write(writer, RefreshHint));

    internal void Write(Utf8JsonWriter writer, TimeSpan? refreshHint)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("keys");
        foreach (var authority in X509.Authorities)
        {
            JsonWebKey.WriteX509(writer, authority);
        }

        foreach (var authority in Jwt.Authorities)
        {
            JsonWebKey.WriteToken(writer, authority, JwtBundle.Use);
        }

        foreach (var authority in Wit.Authorities)
        {
            JsonWebKey.WriteToken(writer, authority, WitBundle.Use);
        }

        writer.WriteEndArray();
        JsonWebKeySet.WriteParameters(writer, Sequence, refreshHint);
        writer.WriteEndObject();
    }

    internal static string Written(Action<Utf8JsonWriter> write)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
        {
            write(writer);
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
