using Signet.Identity.Spiffe;
using Signet.Policy.Objects;

namespace Signet.Policy.Reading;

internal static class DestinationRuleReader
{
    public static readonly string[] SpecFields = ["host", "trafficPolicy", "subsets", "exportTo", "workloadSelector"];

    /// <summary>The most subsets, and the most ports with settings of their own.</summary>
    private const int MaxEntries = 1024;

    private static readonly string[] PortFields = ["tls", .. TrafficReader.Fields];

    public static PolicyObject Read(Header header, Fields spec, ReadingContext context)
    {
        var problems = context.Problems;
        var host = spec.Text("host");
        if (string.IsNullOrEmpty(host) || host.Length > HostName.MaxLength || host.LastIndexOf('*') > 0)
        {
            problems.Error(spec.LineOf("host"), PolicyCodes.BadValue, $"spec.host is \"{Printable.Of(host ?? "")}\"; a host was expected, with at most one '*', at its beginning");
            host = "*";
        }

        var selector = context.Selector(spec, "workloadSelector");
        var subsets = new Dictionary<string, TrafficPolicy?>(StringComparer.Ordinal);
        foreach (var item in Limited(spec, "subsets", problems))
        {
            var subset = Fields.Open(item, "spec.subsets", problems, "name", "labels", "trafficPolicy");
            var name = subset?.Text("name");
            if (string.IsNullOrEmpty(name))
            {
                problems.Error(item.Line, PolicyCodes.BadValue, "a subset has no name");
                continue;
            }

            subset!.TextMap("labels");
            subsets.TryAdd(name, ReadPolicy(subset, selector.Count > 0, problems));
        }

        return new DestinationRule
        {
            Namespace = header.Namespace,
            Name = header.Name,
            File = header.File,
            Line = header.Line,
            Created = header.Created,
            Host = HostName.Complete(host, header.Namespace),
            ExportTo = [.. spec.Texts("exportTo").Select(item => item.Value)],
            HasWorkloadSelector = selector.Count > 0,
            Selector = selector,
            TrafficPolicy = ReadPolicy(spec, selector.Count > 0, problems),
            Subsets = subsets,
        };
    }

    private static TrafficPolicy? ReadPolicy(Fields owner, bool hasSelector, ProblemList problems)
    {
        if (owner.Open("trafficPolicy", ["portLevelSettings", .. PortFields]) is not { } policy)
        {
            return null;
        }

        var ports = new Dictionary<int, PortTraffic>();
        foreach (var item in Limited(policy, "portLevelSettings", problems))
        {
            var entry = Fields.Open(item, policy.PathOf("portLevelSettings"), problems, ["port", .. PortFields]);
            if (entry?.Open("port", "number")?.Number("number", 1, 65535) is not { } number)
            {
                problems.Error(item.Line, PolicyCodes.BadValue, $"{policy.PathOf("portLevelSettings")} has an entry without port.number");
                continue;
            }

            ports.TryAdd(number, TrafficReader.Read(entry, ReadTls(entry, hasSelector, problems), problems));
        }

        return new TrafficPolicy(TrafficReader.Read(policy, ReadTls(policy, hasSelector, problems), problems), ports);
    }

    private static ClientTlsSettings? ReadTls(Fields owner, bool hasSelector, ProblemList problems)
    {
        if (owner.Open("tls", "mode", "clientCertificate", "privateKey", "caCertificates", "subjectAltNames", "sni", "credentialName", "insecureSkipVerify", "caCrl") is not { } tls)
        {
            return null;
        }

        var settings = new ClientTlsSettings
        {
            Line = tls.Line,
            ClientCertificate = tls.Text("clientCertificate"),
            PrivateKey = tls.Text("privateKey"),
            CaCertificates = tls.Text("caCertificates"),
            CaCrl = tls.Text("caCrl"),
            CredentialName = tls.Text("credentialName"),
            SubjectAltNames = [.. tls.Texts("subjectAltNames").Select(item => item.Value)],
            Sni = tls.Text("sni"),
            InsecureSkipVerify = tls.Flag("insecureSkipVerify"),
            Mode = tls.Word("mode", "DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL") switch
            {
                "SIMPLE" => ClientTlsMode.Simple,
                "MUTUAL" => ClientTlsMode.Mutual,
                "ISTIO_MUTUAL" => ClientTlsMode.IstioMutual,
                _ => ClientTlsMode.Disable,
            },
        };
        if (!tls.Has("mode"))
        {
            problems.Error(tls.Line, PolicyCodes.TlsWithoutMode, $"{owner.PathOf("tls")} has no mode, which would mean plaintext", "write mode: ISTIO_MUTUAL, or mode: DISABLE if plaintext is meant");
        }

        CheckCombination(settings, owner.PathOf("tls"), hasSelector, problems);
        return settings;
    }

    private static void CheckCombination(ClientTlsSettings tls, string path, bool hasSelector, ProblemList problems)
    {
        var hasFiles = tls.ClientCertificate is not null || tls.PrivateKey is not null || tls.CaCertificates is not null || tls.CaCrl is not null;
        if (tls.CredentialName is not null && !hasSelector)
        {
            problems.Error(tls.Line, PolicyCodes.CredentialIgnored, $"{path}.credentialName would be ignored: a sidecar honours it only in a rule with a workloadSelector", "add spec.workloadSelector, or name files");
        }

        if (tls is { CredentialName: not null, Mode: ClientTlsMode.Simple or ClientTlsMode.Mutual } && hasSelector)
        {
            problems.Warning(tls.Line, PolicyCodes.Unsupported, $"{path}.credentialName needs a store of credentials, which a Signet proxy does not have: its clients don't connect", "name files");
        }

        if (tls.CredentialName is not null && hasFiles)
        {
            problems.Error(tls.Line, PolicyCodes.BadValue, $"{path} has both credentialName and files", "keep one of them");
        }

        if (tls.Mode == ClientTlsMode.Mutual && tls.CredentialName is null && (tls.ClientCertificate is null || tls.PrivateKey is null))
        {
            problems.Error(tls.Line, PolicyCodes.BadValue, $"{path} has mode MUTUAL without a certificate", "give clientCertificate and privateKey, or credentialName, or use ISTIO_MUTUAL");
        }

        if (tls.InsecureSkipVerify && (tls.CaCertificates is not null || tls.SubjectAltNames.Count > 0))
        {
            problems.Error(tls.Line, PolicyCodes.BadValue, $"{path} has insecureSkipVerify together with caCertificates or subjectAltNames, which it would make meaningless", "remove insecureSkipVerify");
        }

        if (tls.InsecureSkipVerify && tls.Mode is not (ClientTlsMode.Simple or ClientTlsMode.Mutual))
        {
            problems.Error(tls.Line, PolicyCodes.BadValue, $"{path}.insecureSkipVerify only goes with SIMPLE and MUTUAL", "remove insecureSkipVerify");
        }

        if (tls.Mode is ClientTlsMode.IstioMutual or ClientTlsMode.Disable && (hasFiles || tls.CredentialName is not null))
        {
            problems.Warning(tls.Line, PolicyCodes.FieldWithoutEffect, $"{path} names certificates, which mode {tls.Mode.Word()} does not use", "remove them");
        }

        if (tls.Mode == ClientTlsMode.Simple && tls.ClientCertificate is not null)
        {
            problems.Warning(tls.Line, PolicyCodes.FieldWithoutEffect, $"{path} names a client certificate, which mode SIMPLE does not present", "use MUTUAL");
        }
    }

    private static IEnumerable<Yaml.YamlNode> Limited(Fields owner, string key, ProblemList problems)
    {
        var items = owner.Items(key);
        if (items.Count > MaxEntries)
        {
            problems.Error(owner.LineOf(key), PolicyCodes.BadValue, $"{owner.PathOf(key)} has {items.Count} entries; the limit is {MaxEntries}");
        }

        return items.Take(MaxEntries);
    }
}
