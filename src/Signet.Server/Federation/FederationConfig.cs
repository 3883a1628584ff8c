using System.Text;
using Signet.Hosting.Configuration;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Server.Federation;

/// <summary>A relationship as the configuration file has it, with the bundle to begin with.</summary>
public sealed record ConfiguredRelationship(FederationRelationship Relationship, SpiffeBundle? Bootstrap);

/// <summary>The key <c>federation</c> of server.yaml, checked.</summary>
public sealed record FederationConfig
{
    /// <summary>The largest file of certificates or of a bundle, in bytes.</summary>
    public const int MaxFileBytes = 1024 * 1024;

    /// <summary>Whether the own bundle is served over HTTP.</summary>
    public bool ServesBundle { get; init; }

    /// <summary>What readers of the own bundle are told.</summary>
    public TimeSpan RefreshHint { get; init; } = RefreshInterval.Default;

    public IReadOnlyList<ConfiguredRelationship> Relationships { get; init; } = [];

    /// <summary>The only authorities that are believed of endpoints of the web profile; null for the machine's.</summary>
    public IReadOnlyList<Certificate>? WebRoots { get; init; }

    /// <summary>Reads the section; problems are collected by it.</summary>
    /// <param name="federation">The section.</param>
    /// <param name="own">The server's trust domain.</param>
    /// <param name="presentsWebCertificate">Whether the HTTP listener presents a certificate from files, instead of the server's own SVID.</param>
    public static FederationConfig Read(ConfigSection federation, TrustDomain own, bool presentsWebCertificate)
    {
        var endpoint = federation.Section("bundleEndpoint");
        var profile = presentsWebCertificate ? "https_web" : "https_spiffe";
        if (endpoint.Choice("profile", profile, "https_web", "https_spiffe") != profile)
        {
            endpoint.Problem("profile", presentsWebCertificate
                ? "https_spiffe presents the server's own SVID; leave out http.certificate and http.key, and acme"
                : "https_web needs a certificate of the web; write http: {certificate: FILE, key: FILE}, or acme: {names: [HOST], termsAgreed: true} here");
        }

        var relationships = new List<ConfiguredRelationship>();
        foreach (var one in federation.Sections("trustDomains"))
        {
            if (ReadRelationship(one, own) is not { } read)
            {
                continue;
            }

            if (relationships.Any(other => other.Relationship.TrustDomain == read.Relationship.TrustDomain))
            {
                one.Problem("name", $"{read.Relationship.TrustDomain} stands there twice");
            }

            relationships.Add(read);
        }

        return new FederationConfig
        {
            ServesBundle = endpoint.IsPresent,
            RefreshHint = endpoint.Duration("refreshHint", RefreshInterval.Default, RefreshInterval.Shortest, RefreshInterval.Longest),
            Relationships = relationships,
            WebRoots = ReadFile(federation, "roots") is { } pem ? ReadRoots(federation, pem) : null,
        };
    }

    private static ConfiguredRelationship? ReadRelationship(ConfigSection section, TrustDomain own)
    {
        var trustDomain = section.RequiredTrustDomain("name");
        var profile = ReadProfile(section);
        var text = section.RequiredText("url");
        var bootstrap = ReadFile(section, "bootstrap") is { } file ? ReadBundle(section, trustDomain, file) : null;
        if (text.Length == 0)
        {
            return null;
        }

        if (!BundleEndpointUrl.TryParse(text, out var url, out var problem))
        {
            section.Problem("url", problem);
            return null;
        }

        var relationship = new FederationRelationship(trustDomain, url, profile) { IsStatic = true };
        if (relationship.Problem(own) is { Length: > 0 } unfit)
        {
            section.Problem("name", unfit);
        }

        if (bootstrap is not null && !relationship.IsSelfServing)
        {
            section.Problem("bootstrap", "has no use here: only an endpoint that is recognised by the very bundle it serves needs a first one; leave it out");
        }

        return new ConfiguredRelationship(relationship, bootstrap);
    }

    // Never inferred from the URL (Federation §7.2).
    private static EndpointProfile ReadProfile(ConfigSection section)
    {
        var id = section.SpiffeId("endpointSpiffeId");
        var isSpiffe = section.RequiredText("profile") switch
        {
            "https_spiffe" => true,
            "https_web" or "" => false,
            var other => Refused(other),
        };
        if (isSpiffe && id is null)
        {
            section.Problem("endpointSpiffeId", "is missing; write the SPIFFE ID that the endpoint presents, such as spiffe://other.example/spire/server");
        }

        if (!isSpiffe && id is not null)
        {
            section.Problem("endpointSpiffeId", "has no use with profile https_web; leave it out, or write profile: https_spiffe");
        }

        return isSpiffe && id is not null ? new EndpointProfile.HttpsSpiffe(id) : new EndpointProfile.HttpsWeb();

        bool Refused(string other)
        {
            section.Problem("profile", $"\"{Printable.Of(other)}\" is not one of https_web, https_spiffe");
            return false;
        }
    }

    private static SpiffeBundle? ReadBundle(ConfigSection section, TrustDomain trustDomain, string text)
    {
        if (SpiffeBundle.TryReadAny(trustDomain, text, out var bundle, out var problem))
        {
            return bundle;
        }

        section.Problem("bootstrap", problem);
        return null;
    }

    private static IReadOnlyList<Certificate>? ReadRoots(ConfigSection section, string pem)
    {
        if (Pem.TryReadCertificates(pem, out var roots, out var problem))
        {
            return roots;
        }

        section.Problem("roots", problem);
        return null;
    }

    private static string? ReadFile(ConfigSection section, string key)
    {
        if (section.FilePath(key) is not { } path)
        {
            return null;
        }

        try
        {
            if (new FileInfo(path).Length <= MaxFileBytes)
            {
                return File.ReadAllText(path, Encoding.UTF8);
            }

            section.Problem(key, $"file {Printable.Of(path)} is larger than {SizeText.Format(MaxFileBytes)}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            section.Problem(key, $"file {Printable.Of(path)} can't be read: {Printable.Of(e.Message)}");
        }

        return null;
    }
}
