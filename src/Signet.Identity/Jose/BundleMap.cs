using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Signet.Identity.Spiffe;

namespace Signet.Identity.Jose;

/// <summary>
/// Bundles of several trust domains in one document, each under its name, as Envoy's and gRPC's SPIFFE validators read it (SPIFFE Trust Domain and
/// Bundle §5).
/// </summary>
public static class BundleMap
{
    /// <summary>The longest text that is read, in characters.</summary>
    public const int MaxLength = 16 * 1024 * 1024;

    /// <summary>How many trust domains a map may have.</summary>
    public const int MaxTrustDomains = 1000;

    private const int MaxDepth = 16;
    private const string Name = "trust_domains";

    /// <summary>Reads a map; a trust domain that stands there twice is refused (§5.1.1, §6.3), and a refresh hint means nothing. Never throws.</summary>
    public static bool TryParse(string json, [NotNullWhen(true)] out IReadOnlyList<SpiffeBundle>? bundles, out string problem)
    {
        bundles = null;
        if (json.Length > MaxLength)
        {
            problem = $"the bundle map is {json.Length} characters long; the limit is {MaxLength}";
            return false;
        }

        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
            return TryRead(document.RootElement, out bundles, out problem);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            problem = "the bundle map is not JSON, or names something twice: " + Printable.Of(e.Message);
            return false;
        }
    }

    /// <summary>The map as JSON, indented; without refresh hints, which have no meaning there (§5.1.1).</summary>
    /// <exception cref="ArgumentException">A trust domain is given twice.</exception>
    public static string Write(IReadOnlyCollection<SpiffeBundle> bundles)
    {
        if (bundles.GroupBy(bundle => bundle.TrustDomain).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"there are two bundles of {twice.Key}", nameof(bundles));
        }

        return SpiffeBundle.Written(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartObject(Name);
            foreach (var bundle in bundles)
            {
                writer.WritePropertyName(bundle.TrustDomain.Name);
                bundle.Write(writer, refreshHint: null);
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
        });
    }

    private static bool TryRead(JsonElement root, [NotNullWhen(true)] out IReadOnlyList<SpiffeBundle>? bundles, out string problem)
    {
        bundles = null;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty(Name, out var map) || map.ValueKind != JsonValueKind.Object)
        {
            problem = $"the bundle map has no object \"{Name}\"";
            return false;
        }

        var read = new Dictionary<TrustDomain, SpiffeBundle>();
        foreach (var one in map.EnumerateObject())
        {
            if (!TrustDomain.TryParse(one.Name, out var trustDomain, out problem) || !SpiffeBundle.TryParse(trustDomain, one.Value.GetRawText(), out var bundle, out problem))
            {
                return false;
            }

            // "spiffe://a" and "a" are one trust domain under two names.
            if (read.Count == MaxTrustDomains || !read.TryAdd(trustDomain, bundle.As(bundle.Sequence, refreshHint: null)))
            {
                problem = read.Count == MaxTrustDomains ? $"the bundle map has more than {MaxTrustDomains} trust domains" : $"the bundle map has {trustDomain} twice";
                return false;
            }
        }

        (bundles, problem) = ([.. read.Values], "");
        return true;
    }
}
