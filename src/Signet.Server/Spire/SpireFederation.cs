using System.Net;
using Signet.Hosting.Acme;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;
using Signet.Server.Federation;
using Signet.Server.Http;

namespace Signet.Server.Spire;

/// <summary>SPIRE's <c>federation</c> block as ours: the bundle endpoint, and the trust domains whose bundles are fetched.</summary>
internal static class SpireFederation
{
    /// <param name="section">The block.</param>
    /// <param name="own">The server's trust domain.</param>
    /// <param name="readEndPoint">Reads an address and a port, as they stand in SPIRE's files.</param>
    public static (HttpConfig? Http, FederationConfig Federation) Read(ConfigSection section, TrustDomain own, Func<ConfigSection, IPEndPoint> readEndPoint)
    {
        var endpoint = section.Section("bundle_endpoint");
        var relationships = new List<ConfiguredRelationship>();
        var others = section.Section("federates_with");
        foreach (var name in others.Keys)
        {
            if (ReadRelationship(others, name, own) is { } relationship)
            {
                relationships.Add(new ConfiguredRelationship(relationship, Bootstrap: null));
            }
        }

        var federation = new FederationConfig { ServesBundle = endpoint.IsPresent, Relationships = relationships };
        if (!endpoint.IsPresent)
        {
            return (null, federation);
        }

        var hint = endpoint.Duration("refresh_hint", RefreshInterval.Default, RefreshInterval.Shortest, RefreshInterval.Longest);
        return (ReadEndpoint(endpoint, readEndPoint(endpoint)), federation with { RefreshHint = hint });
    }

    private static HttpConfig ReadEndpoint(ConfigSection endpoint, IPEndPoint listen)
    {
        var profile = endpoint.Section("profile");
        var web = profile.Section("https_web");
        var acme = web.Section("acme") is { IsPresent: true } ordered ? ordered : endpoint.Section("acme");
        var files = web.Section("serving_cert_file");
        if (profile.Section("https_spiffe").IsPresent || (!web.IsPresent && !acme.IsPresent))
        {
            return new HttpConfig(listen, Files: null);
        }

        if (files.IsPresent)
        {
            if (files.Text("file_sync_interval") is not null)
            {
                files.Warn("file_sync_interval", "file_sync_interval has no effect: the files are followed");
            }

            return new HttpConfig(listen, new CertificateFiles(files.RequiredFilePath("cert_file_path"), files.RequiredFilePath("key_file_path")));
        }

        var name = acme.RequiredText("domain_name").ToLowerInvariant();
        if (name.Length > 0 && AcmeConfig.NameProblem(name) is { } problem)
        {
            acme.Problem("domain_name", problem);
        }

        var directory = AcmeConfig.ReadDirectory(acme, "directory_url", acme.Text("directory_url", AcmeConfig.DefaultDirectory));
        return new HttpConfig(listen, Files: null) { Acme = new AcmeConfig(directory, acme.Text("email"), [name]) { TermsAgreed = acme.Flag("tos_accepted", false) } };
    }

    private static FederationRelationship? ReadRelationship(ConfigSection others, string name, TrustDomain own)
    {
        var one = others.Section(name);
        var text = one.RequiredText("bundle_endpoint_url");
        var profiles = one.Section("bundle_endpoint_profile");
        var spiffe = profiles.Section("https_spiffe");
        EndpointProfile? profile = spiffe.IsPresent ? new EndpointProfile.HttpsSpiffe(spiffe.RequiredSpiffeId("endpoint_spiffe_id"))
            : profiles.Section("https_web").IsPresent ? new EndpointProfile.HttpsWeb()
            : null;
        if (profile is null)
        {
            one.Problem("bundle_endpoint_profile", "is missing; write https_web or https_spiffe");
        }

        if (!TrustDomain.TryParse(name, out var trustDomain, out var problem))
        {
            others.Problem(name, problem);
            return null;
        }

        if (!BundleEndpointUrl.TryParse(text, out var url, out problem))
        {
            one.Problem("bundle_endpoint_url", problem);
            return null;
        }

        if (profile is null)
        {
            return null;
        }

        var relationship = new FederationRelationship(trustDomain, url, profile) { IsStatic = true };
        if (relationship.Problem(own) is { Length: > 0 } unfit)
        {
            others.Problem(name, unfit);
        }

        return relationship;
    }
}
