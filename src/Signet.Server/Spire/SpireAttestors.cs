using System.Text.RegularExpressions;
using Signet.Hosting.Configuration;
using Signet.Identity.X509;
using Signet.Server.Attestation;

namespace Signet.Server.Spire;

/// <summary>
/// SPIRE's node attestors as ours. What can't be taken over as it stands admits no node, and the operator is told: nodes that stay outside are
/// noticed, nodes that should have are not.
/// </summary>
internal static partial class SpireAttestors
{
    /// <summary>The configuration with one more attestor in it, if the plugin can be one.</summary>
    public static AttestationConfig With(AttestationConfig config, SpirePlugin plugin)
    {
        switch (plugin.Name)
        {
            case "join_token":
                plugin.Data.Ignore([.. plugin.Data.Keys]);
                return config;
            case "x509pop" when ReadX509Pop(plugin) is { } x509Pop:
                return config with { X509Pop = x509Pop };
            case "k8s_psat":
                return config with { K8sPsat = ReadClusters(plugin) };
            case "http_challenge" when ReadHttpChallenge(plugin) is { } httpChallenge:
                return config with { HttpChallenge = httpChallenge };
            case "sshpop":
                return config with { SshPop = ReadSshPop(plugin) };
            case "tpm_devid":
                return config with { TpmDevId = new TpmDevIdConfig { DevIdCaBundles = RequiredFile(plugin, "devid_ca_path"), EndorsementCaBundles = RequiredFile(plugin, "endorsement_ca_path") } };
            case "x509pop" or "http_challenge":
                return config;
            default:
                plugin.Warn("agents can't attest like this here and are refused; see docs/reference/attestation.md for how they can");
                return config;
        }
    }

    private static SshPopConfig ReadSshPop(SpirePlugin plugin)
    {
        var data = plugin.Data;
        var config = new SshPopConfig
        {
            Authorities = SshPopConfig.ReadKeys(data, "cert_authorities"),
            AuthorityFiles = data.FilePath("cert_authorities_path") is { } path ? [path] : [],
            AgentName = SshPopConfig.ReadName(data, "agent_path_template", Translate),
            CanonicalDomain = data.Text("canonical_domain"),
        };
        if (data.Flag("verify_client_ip", false))
        {
            data.Warn("verify_client_ip", "certificates with critical options, source-address among them, are refused whoever shows them");
        }

        config.Check(data, "cert_authorities");
        return config;
    }

    private static IReadOnlyList<string> RequiredFile(SpirePlugin plugin, string key)
    {
        if (plugin.Data.FilePath(key) is { } path)
        {
            return [path];
        }

        plugin.Data.Problem(key, "is missing; name the PEM file whose authorities are believed");
        return [];
    }

    private static X509PopConfig? ReadX509Pop(SpirePlugin plugin)
    {
        var data = plugin.Data;
        if (data.Text("mode", "external_pki") != "external_pki")
        {
            plugin.Warn("SVIDs can't be exchanged for agents' here, and agents that try are refused");
            data.Ignore([.. data.Keys]);
            return null;
        }

        var name = AgentName.ByFingerprint;
        if (data.Text("agent_path_template") is { } template && !AgentName.TryParse(Translate(template), out name, out _))
        {
            data.Problem("agent_path_template", "this template can't be translated, and agents would have other IDs; use {{ .PluginName }}/ and then {{ .Fingerprint }}, {{ .SerialNumberHex }} or {{ .Subject.CommonName }}");
        }

        IReadOnlyList<string> bundles = data.FilePath("ca_bundle_path") is { } one ? [one] : data.FilePaths("ca_bundle_paths");
        if (bundles.Count == 0)
        {
            data.Problem("ca_bundle_path", "is missing; name the PEM file whose authorities are believed");
        }

        // SPIRE looks at no extended key usage.
        return new X509PopConfig { CaBundles = bundles, AgentName = name ?? AgentName.ByFingerprint, Usage = CertificateUsage.Any };
    }

    /// <summary>What comes after the attestor's name, in our way of writing; something that is no template when there is more to it.</summary>
    private static string Translate(string template) => !PluginName().IsMatch(template) ? "" : Placeholder().Replace(PluginName().Replace(template, ""), match => match.Groups[1].Value switch
    {
        "Fingerprint" => "{fingerprint}",
        "SerialNumberHex" => "{serialNumber}",
        "Subject.CommonName" => "{commonName}",
        "KeyId" => "{keyId}",
        "Hostname" => "{hostname}",
        _ => "{}",
    });

    private static Dictionary<string, K8sClusterConfig> ReadClusters(SpirePlugin plugin)
    {
        var found = new Dictionary<string, K8sClusterConfig>(StringComparer.Ordinal);
        var clusters = plugin.Data.Section("clusters");
        foreach (var name in clusters.Keys)
        {
            var cluster = clusters.Section(name);
            if (cluster.Text("kube_config_file", "") is { Length: > 0 })
            {
                clusters.Warn(name, $"pods of cluster {name} are refused: kube_config_file is not understood; write server, caFile and tokenFile under attestation.k8sPsat in server.yaml");
                continue;
            }

            var audiences = cluster.Texts("audience");
            found[name] = K8sClusterConfig.Own with
            {
                ServiceAccounts = cluster.Texts("service_account_allow_list").ToHashSet(StringComparer.Ordinal),
                Audiences = audiences.Count > 0 ? audiences : K8sClusterConfig.DefaultAudiences,
                NodeLabels = cluster.Texts("allowed_node_label_keys"),
                PodLabels = cluster.Texts("allowed_pod_label_keys"),
            };
        }

        return found;
    }

    private static HttpChallengeConfig? ReadHttpChallenge(SpirePlugin plugin)
    {
        var data = plugin.Data;
        var patterns = new List<Regex>();
        foreach (var text in data.Texts("allowed_dns_patterns"))
        {
            if (HttpChallengeConfig.TryReadPattern(text, out var pattern, out var problem))
            {
                patterns.Add(pattern);
            }
            else
            {
                data.Problem("allowed_dns_patterns", problem);
            }
        }

        int? port = data.Integer("required_port", 1, 65535);
        if (!data.Flag("allow_non_root_ports", true) && port is null)
        {
            port = HttpChallengeConfig.HttpPort;
            data.Warn("allow_non_root_ports", $"nodes must answer on port {port}, since other ports below 1024 can't be allowed together; write required_port to name one");
        }

        var tofu = data.Flag("tofu", true);
        if (patterns.Count == 0)
        {
            plugin.Warn("without allowed_dns_patterns it would admit whatever host asks; nodes are refused until there is one");
            return null;
        }

        var config = new HttpChallengeConfig { AllowedDnsPatterns = patterns, Port = port, Tofu = tofu };
        if (!config.IsTofuRight)
        {
            data.Problem("tofu", "can be false only with a required_port below 1024: on others every user of a host could prove to be the node, at any time");
        }

        data.Warn("allowed_dns_patterns", "nodes whose addresses are not public are refused; if there are any, describe this attestor in server.yaml, with allowedNetworks");
        return config;
    }

    [GeneratedRegex(@"^/?(\{\{\s*\.PluginName\s*\}\}|x509pop|sshpop)/")]
    private static partial Regex PluginName();

    [GeneratedRegex(@"\{\{\s*\.([A-Za-z.]+)\s*\}\}")]
    private static partial Regex Placeholder();
}
