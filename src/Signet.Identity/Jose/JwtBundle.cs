using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Signet.Identity.Spiffe;

namespace Signet.Identity.Jose;

/// <summary>
/// The keys that sign JWT-SVIDs of one trust domain, and nothing else (Workload API §6.2.2; JWT-SVID §6). No keys means that no token of that trust
/// domain is believed. Immutable, thread-safe; equal when the content is.
/// </summary>
public sealed class JwtBundle : IEquatable<JwtBundle>
{
    /// <summary>How many keys a bundle may have.</summary>
    public const int MaxAuthorities = 100;

    /// <summary>The longest text that is read, in characters.</summary>
    public const int MaxLength = 1024 * 1024;

    private const int MaxDepth = 16;
    internal const string Use = "jwt-svid";

    private JwtBundle(TrustDomain trustDomain, IReadOnlyList<JwtAuthority> authorities) => (TrustDomain, Authorities) = (trustDomain, authorities);

    public TrustDomain TrustDomain { get; }

    /// <summary>No two with the same key ID.</summary>
    public IReadOnlyList<JwtAuthority> Authorities { get; }

    /// <summary>No keys: no token of the trust domain is believed.</summary>
    public static JwtBundle Empty(TrustDomain trustDomain) => new(trustDomain, []);

    /// <summary>A bundle of these keys. Never throws.</summary>
    public static bool TryCreate(TrustDomain trustDomain, IReadOnlyList<JwtAuthority> authorities, [NotNullWhen(true)] out JwtBundle? bundle, out string problem)
    {
        bundle = null;
        if (authorities.Count > MaxAuthorities)
        {
            problem = $"the JWT bundle of {trustDomain} has {authorities.Count} keys; the limit is {MaxAuthorities}";
            return false;
        }

        if (authorities.GroupBy(authority => authority.KeyId, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            problem = $"the JWT bundle of {trustDomain} has the key ID \"{Printable.Of(twice.Key)}\" twice";
            return false;
        }

        (bundle, problem) = (new JwtBundle(trustDomain, authorities), "");
        return true;
    }

    /// <summary>Reads a JWK Set, taking what is for JWT-SVIDs and ignoring the rest (JWT-SVID §6.2). Never throws.</summary>
    public static bool TryParse(TrustDomain trustDomain, string json, [NotNullWhen(true)] out JwtBundle? bundle, out string problem)
    {
        bundle = null;
        if (json.Length > MaxLength)
        {
            problem = $"the JWT bundle of {trustDomain} is {json.Length} characters long; the limit is {MaxLength}";
            return false;
        }

        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("keys", out var keys) || keys.ValueKind != JsonValueKind.Array)
            {
                problem = $"the JWT bundle of {trustDomain} has no array \"keys\"";
                return false;
            }

            var authorities = new List<JwtAuthority>();
            foreach (var jwk in keys.EnumerateArray().Where(jwk => jwk.ValueKind == JsonValueKind.Object && JwsKey.Text(jwk, "use") == Use).Take(MaxAuthorities + 1))
            {
                JwtAuthority? authority = null;
                if (!JwsKey.TryRead(jwk, out var key, out problem) || (key is not null && !JwtAuthority.TryCreate(key, null, out authority, out problem)))
                {
                    problem = $"the JWT bundle of {trustDomain}: {problem}";
                    return false;
                }

                if (authority is not null)
                {
                    authorities.Add(authority);
                }
            }

            return TryCreate(trustDomain, authorities, out bundle, out problem);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            problem = $"the JWT bundle of {trustDomain} is not JSON";
            return false;
        }
    }

    /// <summary>A JWK Set with the public keys, each with <c>kid</c> and <c>use</c> jwt-svid (JWT-SVID §6.1).</summary>
    public string ToJson() => ToJson(JsonWebKey.WriteJwt);

    /// <summary>A JWK Set for readers outside SPIFFE, such as clouds that take JWT-SVIDs as OpenID Connect tokens: <c>use</c> is sig, and <c>alg</c> is set.</summary>
    /// <param name="wished">The algorithm that the keys sign with, where it goes with them.</param>
    public string ToWebJson(JwsAlgorithm? wished = null) => ToJson((writer, authority) => JsonWebKey.WriteWeb(writer, authority, wished));

    public bool Equals(JwtBundle? other) => other is not null && TrustDomain == other.TrustDomain && Authorities.SequenceEqual(other.Authorities);

    public override bool Equals(object? obj) => Equals(obj as JwtBundle);

    public override int GetHashCode() => HashCode.Combine(TrustDomain, Authorities.Count);

    public override string ToString() => $"{TrustDomain} ({Authorities.Count} JWT keys)";

    private string ToJson(Action<Utf8JsonWriter, JwtAuthority> writeKey) => SpiffeBundle.Written(writer =>
    {
        writer.WriteStartObject();
        writer.WriteStartArray("keys");
        foreach (var authority in Authorities)
        {
            writeKey(writer, authority);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    });
}
