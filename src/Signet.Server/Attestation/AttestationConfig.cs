using Signet.Hosting.Configuration;
using Signet.Identity.X509;

namespace Signet.Server.Attestation;

/// <summary>How nodes may prove themselves, besides by join token. What is null is not open to any node.</summary>
public sealed record AttestationConfig
{
    public X509PopConfig? X509Pop { get; init; }

    public HttpChallengeConfig? HttpChallenge { get; init; }

    public SshPopConfig? SshPop { get; init; }

    public TpmDevIdConfig? TpmDevId { get; init; }

    /// <summary>Clusters by name; none when pods may not attest.</summary>
    public IReadOnlyDictionary<string, K8sClusterConfig> K8sPsat { get; init; } = new Dictionary<string, K8sClusterConfig>();

    /// <summary>Reads the section <c>attestation</c>.</summary>
    public static AttestationConfig Read(ConfigSection section)
    {
        section.Section("joinToken");
        return new AttestationConfig
        {
            X509Pop = section.Section("x509pop") is { IsPresent: true } x509Pop ? X509PopConfig.Read(x509Pop) : null,
            SshPop = section.Section("sshpop") is { IsPresent: true } sshPop ? SshPopConfig.Read(sshPop) : null,
            TpmDevId = section.Section("tpmDevid") is { IsPresent: true } tpmDevId ? TpmDevIdConfig.Read(tpmDevId) : null,
            HttpChallenge = section.Section("httpChallenge") is { IsPresent: true } httpChallenge ? HttpChallengeConfig.Read(httpChallenge) : null,
            K8sPsat = section.Section("k8sPsat") is { IsPresent: true } k8sPsat ? K8sClusterConfig.ReadAll(k8sPsat) : new Dictionary<string, K8sClusterConfig>(),
        };
    }
}

/// <summary>Which certificates prove a node.</summary>
public sealed record X509PopConfig
{
    /// <summary>PEM files with the authorities that are believed; followed while the server runs.</summary>
    public required IReadOnlyList<string> CaBundles { get; init; }

    /// <summary>How agents are named.</summary>
    public AgentName AgentName { get; init; } = AgentName.ByFingerprint;

    /// <summary>What an extended key usage must allow, when a certificate has one.</summary>
    public CertificateUsage Usage { get; init; } = CertificateUsage.Client;

    internal static X509PopConfig Read(ConfigSection section)
    {
        var name = AgentName.ByFingerprint;
        if (section.Text("agentName") is { } template && !AgentName.TryParse(template, out name, out var problem))
        {
            section.Problem("agentName", problem);
        }

        var bundles = section.FilePaths("caBundles");
        if (bundles.Count == 0)
        {
            section.Problem("caBundles", "is missing; name the PEM files whose authorities are believed, such as [ca.pem]");
        }

        return new X509PopConfig
        {
            CaBundles = bundles,
            AgentName = name ?? AgentName.ByFingerprint,
            Usage = section.Choice("usage", CertificateUsage.Client, ("client", CertificateUsage.Client), ("server", CertificateUsage.Server), ("any", CertificateUsage.Any)),
        };
    }
}

/// <summary>Which devices with a TPM prove themselves.</summary>
public sealed record TpmDevIdConfig
{
    /// <summary>PEM files with the authorities that certify devices; followed while the server runs.</summary>
    public required IReadOnlyList<string> DevIdCaBundles { get; init; }

    /// <summary>PEM files with the makers' authorities, and those between them and TPMs; followed while the server runs.</summary>
    public required IReadOnlyList<string> EndorsementCaBundles { get; init; }

    internal static TpmDevIdConfig Read(ConfigSection section) => new() { DevIdCaBundles = Bundles(section, "devIdCaBundles"), EndorsementCaBundles = Bundles(section, "endorsementCaBundles") };

    private static IReadOnlyList<string> Bundles(ConfigSection section, string key)
    {
        var bundles = section.FilePaths(key);
        if (bundles.Count == 0)
        {
            section.Problem(key, "is missing; name the PEM files whose authorities are believed, such as [ca.pem]");
        }

        return bundles;
    }
}
