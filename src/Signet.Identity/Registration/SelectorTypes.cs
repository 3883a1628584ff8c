using System.Collections.Frozen;
using System.Globalization;
using Signet.Identity.Spiffe;

namespace Signet.Identity.Registration;

/// <summary>
/// The selectors that attestors of this and of SPIRE's family produce, by type and key. A selector that no attestor can ever produce
/// matches nothing for ever, so it is better refused when the entry is written. Immutable.
/// </summary>
public static class SelectorTypes
{
    private const string Anything = "";

    private static readonly FrozenDictionary<string, string[]> Keys = new Dictionary<string, string[]>(StringComparer.Ordinal)
    {
        // Of workloads.
        ["unix"] = ["uid", "user", "gid", "group", "supplementary_gid", "supplementary_group", "path", "sha256"],
        ["systemd"] = ["id", "fragment_path"],
        ["docker"] = ["label", "env", "image_id", "image_config_digest", "image-signature"],
        ["containerd"] = ["namespace", "image", "label"],
        ["k8s"] =
        [
            "ns", "ns-label", "sa", "container-name", "container-image", "node-name", "pod-label", "pod-owner", "pod-owner-uid", "pod-uid", "pod-name", "pod-image", "pod-image-count",
            "pod-init-image", "pod-init-image-count", "image-signature", "sigstore-validation", "image-attestations",
        ],
        ["slurm"] = ["jobid", "user", "uid", "gid"],
        ["token"] = [Anything],
        ["windows"] = ["user_sid", "user_name", "group_sid", "group_name", "path", "sha256"],

        // Of nodes.
        ["spiffe_id"] = [Anything],
        ["join_token"] = [Anything],
        ["x509pop"] = ["subject", "ca", "san", "serialnumber"],
        ["sshpop"] = ["hostname", "key_id", "ca"],
        ["http_challenge"] = ["hostname"],
        ["tpm_devid"] = ["subject", "issuer", "ca"],
        ["k8s_psat"] = ["cluster", "agent_ns", "agent_sa", "agent_pod_name", "agent_pod_uid", "agent_pod_label", "agent_node_name", "agent_node_uid", "agent_node_label", "agent_node_ip"],
        ["aws_iid"] = [Anything],
        ["azure_imds"] = [Anything],
        ["azure_msi"] = [Anything],
        ["gcp_iit"] = [Anything],
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>Why no attestor can produce the selector; null when one may.</summary>
    /// <param name="selector">The selector.</param>
    /// <param name="others">Further types, of attestors of somebody's own.</param>
    public static string? Problem(Selector selector, IReadOnlySet<string> others)
    {
        if (others.Contains(selector.Type))
        {
            return null;
        }

        if (!Keys.TryGetValue(selector.Type, out var keys))
        {
            return $"selector {Shown(selector)}: no attestor finds selectors of type \"{Printable.Of(selector.Type)}\"; "
                + (NearestWord.To(selector.Type, Keys.Keys.Concat(others)) is { } near ? $"did you mean \"{near}\"?" : $"known types: {string.Join(", ", Keys.Keys.Order(StringComparer.Ordinal))}");
        }

        if (keys is [Anything])
        {
            return null;
        }

        var colon = selector.Value.IndexOf(':', StringComparison.Ordinal);
        var key = colon < 0 ? selector.Value : selector.Value[..colon];
        if (!keys.Contains(key, StringComparer.Ordinal))
        {
            return $"selector {Shown(selector)}: {selector.Type} has no key \"{Printable.Of(key)}\"; "
                + (NearestWord.To(key, keys) is { } near ? $"did you mean \"{near}\"?" : $"known keys: {string.Join(", ", keys)}");
        }

        var value = colon < 0 ? "" : selector.Value[(colon + 1)..];
        return value.Length == 0 ? $"selector {Shown(selector)} has no value; write {selector.Type}:{key}:VALUE" : ValueProblem(selector, key, value);
    }

    // What can be said without asking the machine on which it will be looked for.
    private static string? ValueProblem(Selector selector, string key, string value) => (selector.Type, key) switch
    {
        ("unix", "uid" or "gid" or "supplementary_gid") when !uint.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out _) =>
            $"selector {Shown(selector)}: \"{Printable.Of(value)}\" is not a number; for a name write unix:{(key == "uid" ? "user" : key == "gid" ? "group" : "supplementary_group")}:{Printable.Of(value)}",
        ("unix", "path") when value[0] != '/' => $"selector {Shown(selector)}: a path is absolute, such as unix:path:/usr/bin/{Printable.Of(value)}",
        ("unix", "sha256") when value.Length != 64 || !value.All(char.IsAsciiHexDigitLower) => $"selector {Shown(selector)}: a digest is 64 lower-case hexadecimal digits, as sha256sum prints it",
        _ => null,
    };

    private static string Shown(Selector selector) => Printable.Of(selector.ToString());
}
