using Signet.Policy.Objects;

namespace Signet.Policy.Linting;

internal static class DestinationLint
{
    private const string ServiceSuffix = ".svc.cluster.local";

    public static void Run(LintRun run)
    {
        var all = run.Objects<DestinationRule>();
        foreach (var rule in all)
        {
            run.CheckSelector(rule, reachesAllNamespaces: false);
            foreach (var tls in SettingsOf(rule))
            {
                CheckVerification(run, rule, tls);
                CheckServerSide(run, rule, tls);
            }
        }

        CheckShadows(run, all);
        CheckSameHost(run, all);
        CheckServices(run, all);
    }

    private static IEnumerable<ClientTlsSettings> SettingsOf(DestinationRule rule) =>
        rule.Subsets.Values.Append(rule.TrafficPolicy).OfType<TrafficPolicy>().SelectMany(policy => policy.Ports.Values.Append(policy.General)).Select(traffic => traffic.Tls).OfType<ClientTlsSettings>();

    private static void CheckVerification(LintRun run, DestinationRule rule, ClientTlsSettings tls)
    {
        if (tls.InsecureSkipVerify)
        {
            run.Warning(rule, tls.Line, LintCodes.SkipsVerification, $"DestinationRule {rule.Id} believes any certificate (insecureSkipVerify): whoever sits between can read and change everything", "remove it and give caCertificates");
        }
        else if (tls.Mode is ClientTlsMode.Simple or ClientTlsMode.Mutual && tls.CaCertificates is null && tls.CredentialName is null && tls.SubjectAltNames.Count == 0)
        {
            run.Warning(rule, tls.Line, LintCodes.NoCertificateCheck, $"DestinationRule {rule.Id} takes a certificate of any authority that the operating system trusts", "give caCertificates, or subjectAltNames");
        }
    }

    // What holds for the host's whole namespace is known without knowing its workloads; of a service that is known, CheckServices says more.
    private static void CheckServerSide(LintRun run, DestinationRule rule, ClientTlsSettings tls)
    {
        if (run.Services?.Any(service => HostName.Complete(service.Host, service.Namespace) == rule.Host) == true || !rule.Host.EndsWith(ServiceSuffix, StringComparison.Ordinal) || rule.Host[..^ServiceSuffix.Length].Split('.') is not [_, var ns])
        {
            return;
        }

        var server = run.Set.MtlsFor(new Workload(ns, null, new Dictionary<string, string>()), 0);
        if (server.Mode == MtlsMode.Strict && tls.Mode != ClientTlsMode.IstioMutual)
        {
            run.Warning(rule, tls.Line, LintCodes.PlaintextToStrict, $"DestinationRule {rule.Id} makes clients use {tls.Mode.Word()} toward {rule.Host}, which {server.From} makes STRICT", "use ISTIO_MUTUAL, or leave tls out");
        }
        else if (server.Mode == MtlsMode.Disable && tls.Mode == ClientTlsMode.IstioMutual)
        {
            run.Warning(rule, tls.Line, LintCodes.TlsToDisabled, $"DestinationRule {rule.Id} makes clients use ISTIO_MUTUAL toward {rule.Host}, where {server.From} makes ports DISABLE", "make the server PERMISSIVE, or use DISABLE here");
        }
    }

    // The client's namespace is asked first: a rule there, however general, hides the one in the service's own namespace.
    private static void CheckShadows(LintRun run, List<DestinationRule> all)
    {
        var root = run.Set.Mesh.RootNamespace;
        var hiding = all.Where(rule => rule.IsLocal && rule.Namespace != root && !rule.Host.EndsWith("." + rule.Namespace + ServiceSuffix, StringComparison.Ordinal)).ToList();
        foreach (var hidden in all.Where(rule => rule.Namespace == root || rule.Host.EndsWith("." + rule.Namespace + ServiceSuffix, StringComparison.Ordinal)))
        {
            var by = hiding.Find(rule => rule.Namespace != hidden.Namespace && hidden.IsExportedTo(rule.Namespace) && HostName.Covers(rule.Host, hidden.Host));
            if (by is not null)
            {
                run.Warning(by, by.Line, LintCodes.ShadowedRule, $"for clients in {by.Namespace}, DestinationRule {by.Id} ({by.Host}) hides {hidden.Id} ({hidden.Host}) completely, TLS included", "repeat what the hidden rule says, or narrow the host");
            }
        }
    }

    private static void CheckSameHost(LintRun run, List<DestinationRule> all)
    {
        foreach (var same in all.Where(rule => rule is { TrafficPolicy: not null, HasWorkloadSelector: false }).GroupBy(rule => (rule.Namespace, rule.Host)))
        {
            var oldestFirst = same.Order(Comparer<DestinationRule>.Create(PolicyObject.ByAge)).ToList();
            foreach (var younger in oldestFirst.Skip(1))
            {
                run.Warning(younger, younger.Line, LintCodes.TwoForOneHost, $"the trafficPolicy of DestinationRule {younger.Id} has no effect: {oldestFirst[0].Id} is for the same host and older", "merge them into one");
            }
        }
    }

    private static void CheckServices(LintRun run, List<DestinationRule> all)
    {
        if (run.Services is null)
        {
            return;
        }

        var objects = run.Set.Objects.Where(one => one.Unreadable is null).ToLookup(one => one.Id, StringComparer.Ordinal);
        foreach (var row in TruthTable.Of(run.Set, run.Services).Where(row => row.Verdict == TableVerdict.Conflict && row.Client.Refusal is null))
        {
            PolicyObject? source = all.Find(rule => rule.Id == row.Client.From);
            source ??= objects[row.Server.From ?? ""].OfType<PeerAuthentication>().FirstOrDefault();
            if (source is not null)
            {
                var strict = row.Server.Mode == MtlsMode.Strict;
                run.Error(
                    source,
                    source.Line,
                    strict ? LintCodes.PlaintextToStrict : LintCodes.TlsToDisabled,
                    $"{row.Name} can't connect: the server ({row.Server.From ?? "no sidecar"}) {(strict ? "asks for mutual TLS" : "takes no mutual TLS")} and the client uses {row.Client.Mode.Word()}: {row.Client.Reason}",
                    strict ? "use ISTIO_MUTUAL, or give the client an identity" : "make the server PERMISSIVE, or the client DISABLE");
            }
        }
    }
}
