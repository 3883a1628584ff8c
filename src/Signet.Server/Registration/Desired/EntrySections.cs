using System.Collections.Immutable;
using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Server.Registration.Desired;

/// <summary>Entries as people write them, in three dialects. What is wrong is reported by the section; then there is no entry.</summary>
internal static class EntrySections
{
    /// <summary>One of <c>entries:</c>, as configuration writes it or, with <c>spiffe_id</c>, as SPIRE's <c>-data</c> files do.</summary>
    public static RegistrationEntry? Read(ConfigSection section) => section.Shape("spiffe_id") == ConfigShape.Absent ? ReadOwn(section) : ReadSpires(section);

    /// <summary>The spec of a ClusterStaticEntry.</summary>
    public static RegistrationEntry? ReadStatic(ConfigSection spec)
    {
        spec.Ignore("className");
        return Make(spec, "spiffeID", "parentID", Selectors(spec)) is not { } entry ? null : entry with
        {
            X509Ttl = Ttl(spec, "x509SVIDTTL"),
            JwtTtl = Ttl(spec, "jwtSVIDTTL"),
            DnsNames = [.. spec.Texts("dnsNames")],
            FederatesWith = TrustDomains(spec, "federatesWith"),
            Hint = spec.Text("hint", ""),
            Admin = spec.Flag("admin", false),
            Downstream = spec.Flag("downstream", false),
        };
    }

    public static ImmutableArray<TrustDomain> TrustDomains(ConfigSection section, string key)
    {
        var read = ImmutableArray.CreateBuilder<TrustDomain>();
        foreach (var text in section.Texts(key))
        {
            if (TrustDomain.TryParse(text, out var trustDomain, out var problem))
            {
                read.Add(trustDomain);
            }
            else
            {
                section.Problem(key, problem);
            }
        }

        return read.ToImmutable();
    }

    /// <summary>A lifetime, where zero is Kubernetes' way of saying none.</summary>
    public static TimeSpan? Ttl(ConfigSection section, string key) => section.Duration(key) is { } ttl && ttl > TimeSpan.Zero ? ttl : null;

    private static RegistrationEntry? ReadOwn(ConfigSection section) =>
        Make(section, "spiffeId", "parentId", Selectors(section)) is not { } entry ? null : entry with
        {
            X509Ttl = section.Duration("x509Ttl"),
            JwtTtl = section.Duration("jwtTtl"),
            DnsNames = [.. section.Texts("dnsNames")],
            FederatesWith = TrustDomains(section, "federatesWith"),
            Hint = section.Text("hint", ""),
            Admin = section.Flag("admin", false),
            Downstream = section.Flag("downstream", false),
            ExpiresAt = Time(section, "expiresAt"),
            Template = Template(section),
        };

    private static SvidTemplate Template(ConfigSection section)
    {
        KeyType? keyType = null;
        if (section.Text("keyType") is { } name)
        {
            if (KeyTypes.TryParse(name, out var known, out var problem))
            {
                keyType = known;
            }
            else
            {
                section.Problem("keyType", problem);
            }
        }

        var template = new SvidTemplate { KeyType = keyType, Subject = section.Text("subject", ""), Names = [.. section.Texts("names")] };
        return template.IsNone ? SvidTemplate.None : template;
    }

    private static RegistrationEntry? ReadSpires(ConfigSection section)
    {
        var selectors = section.Sections("selectors").Select(one => $"{one.RequiredText("type")}:{one.RequiredText("value")}").ToArray();
        section.Ignore("entry_id", "revision_number", "created_at");
        if (section.Flag("store_svid", false))
        {
            section.Problem("store_svid", "is not supported: SVIDs are not put into secret stores of clouds; leave it out");
        }

        return Make(section, "spiffe_id", "parent_id", Parsed(section, selectors)) is not { } entry ? null : entry with
        {
            X509Ttl = Seconds(section, "x509_svid_ttl") ?? Seconds(section, "ttl"),
            JwtTtl = Seconds(section, "jwt_svid_ttl"),
            DnsNames = [.. section.Texts("dns_names")],
            FederatesWith = TrustDomains(section, "federates_with"),
            Hint = section.Text("hint", ""),
            Admin = section.Flag("admin", false),
            Downstream = section.Flag("downstream", false),
            ExpiresAt = section.Integer("expires_at", min: 0) is { } at and > 0 ? DateTimeOffset.FromUnixTimeSeconds(at) : null,
        };
    }

    private static RegistrationEntry? Make(ConfigSection section, string idKey, string parentKey, ImmutableArray<Selector>? selectors)
    {
        var (id, parent) = (section.RequiredSpiffeId(idKey), section.RequiredSpiffeId(parentKey));
        return selectors is { } known ? new RegistrationEntry { Id = "", SpiffeId = id, ParentId = parent, Selectors = known } : null;
    }

    private static ImmutableArray<Selector>? Selectors(ConfigSection section) => Parsed(section, section.Texts("selectors"));

    private static ImmutableArray<Selector>? Parsed(ConfigSection section, IReadOnlyList<string> texts)
    {
        var read = ImmutableArray.CreateBuilder<Selector>(texts.Count);
        foreach (var text in texts)
        {
            if (Selector.TryParse(text, out var selector, out var problem))
            {
                read.Add(selector);
            }
            else
            {
                section.Problem("selectors", problem);
            }
        }

        if (texts.Count == 0)
        {
            section.Problem("selectors", "is missing or empty; without one every workload would match");
        }

        return read.Count == texts.Count && texts.Count > 0 ? read.ToImmutable() : null;
    }

    private static TimeSpan? Seconds(ConfigSection section, string key) => section.Integer(key, min: 0) is { } seconds and > 0 ? TimeSpan.FromSeconds(seconds) : null;

    private static DateTimeOffset? Time(ConfigSection section, string key)
    {
        if (section.Text(key) is not { } text)
        {
            return null;
        }

        if (DateTimeOffset.TryParseExact(text, "yyyy-MM-dd'T'HH:mm:ssK", System.Globalization.CultureInfo.InvariantCulture, System.Globalization.DateTimeStyles.AssumeUniversal, out var time))
        {
            return time;
        }

        section.Problem(key, $"\"{Printable.Of(text)}\" is not a time; write it as RFC 3339 has it, such as 2030-01-31T12:00:00Z");
        return null;
    }
}
