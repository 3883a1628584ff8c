using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
using Signet.Hosting;
using Signet.Hosting.Configuration;

namespace Signet.Cli.Commands.Proxy;

/// <summary><c>signet proxy certs|config|connections|listeners|upstreams|stats</c>: what a running proxy says of itself.</summary>
internal static class ProxyPages
{
    /// <summary>A certificate that is about to end is worth a look.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromMinutes(10);

    public static Command Certs(CliContext context) => ProxyVerb.Show("certs", "Show the certificates that a proxy presents and trusts", (page, answer) =>
    {
        answer.Out.WriteLine($"from {OneLine.Of(ProxyVerb.Text(page, "origin"))}, replaced {ProxyVerb.Number(page, "rotations")} times");
        WriteProblem(answer, page["problem"]);
        var table = new Table("role", "spiffe id", "serial", "issuer", "until");
        foreach (var (role, certificate) in Certificates(page))
        {
            table.Add(role, ProxyVerb.Text(certificate, "spiffeId"), ProxyVerb.Text(certificate, "serial"), ProxyVerb.Text(certificate, "issuer"), Until(certificate, context.Time.GetUtcNow()));
        }

        Write(table, "no certificates", answer);
    });

    public static Command Config() => ProxyVerb.Show("config", "Show a proxy's configuration as it is in force", (page, answer) =>
    {
        var workload = page["workload"];
        answer.Out.WriteLine($"workload {OneLine.Of($"{ProxyVerb.Text(workload, "namespace")}/{ProxyVerb.Text(workload, "serviceAccount")}")} in {OneLine.Of(ProxyVerb.Text(page, "trustDomain"))}");
        answer.Out.WriteLine();
        var ports = new Table("port", "listen", "protocol", "app", "mtls", "said by");
        foreach (var port in ProxyVerb.Items(page["inbound"]))
        {
            ports.Add(ProxyVerb.Text(port, "port"), ProxyVerb.Text(port, "listen"), ProxyVerb.Text(port, "protocol"), ProxyVerb.Text(port, "app"), Mode(port["mtls"]), ProxyVerb.Text(port["mtls"], "from"));
        }

        Write(ports, "no inbound ports", answer);
        answer.Out.WriteLine();
        var services = new Table("service", "listen", "protocol", "endpoints", "tls", "said by");
        foreach (var service in ProxyVerb.Items(page["outbound"]))
        {
            services.Add(
                $"{ProxyVerb.Text(service, "host")}:{ProxyVerb.Text(service, "port")}", ProxyVerb.Text(service, "listen"), ProxyVerb.Text(service, "protocol"), string.Join(' ', ProxyVerb.Items(service["endpoints"])),
                Mode(service["tls"]), ProxyVerb.Text(service["tls"], "from"));
        }

        Write(services, "no outbound services", answer);
        answer.Out.WriteLine();
        var policies = ProxyVerb.Items(page["policy"]?["authorizationPolicies"]).Select(policy => policy.ToString()).ToList();
        answer.Out.WriteLine(policies.Count == 0 ? "no authorization policies" : $"authorization policies: {OneLine.Of(string.Join(", ", policies))}");
        foreach (var problem in ProxyVerb.Items(page["policy"]?["problems"]))
        {
            WriteProblem(answer, problem);
        }

        answer.Out.WriteLine("everything else: signet proxy config --output json");
    });

    public static Command Connections()
    {
        Option<string?>[] filters =
        [
            ProxyVerb.Filter("--direction", "Only those to or from the workload", "", "inbound", "outbound"),
            ProxyVerb.Filter("--listener", "Only those of one listener", "NAME"),
            ProxyVerb.Filter("--protocol", "Only those that speak one protocol", "", "http", "tcp", "tunnel"),
            ProxyVerb.Filter("--peer", "Only those of a SPIFFE ID or an address; * at the end stands for anything", "ID"),
            ProxyVerb.Filter("--policy", "Only those that a policy let in", "NAMESPACE/NAME"),
            ProxyVerb.Filter("--state", "Only those that wait, or those that do not", "", "idle", "active"),
            ProxyVerb.Filter("--sort", "The oldest, youngest, busiest or by peer", "", "id", "age", "bytes", "peer"),
            ProxyVerb.Filter("--limit", "At most so many", "N"),
        ];
        return ProxyVerb.Create(
            "connections",
            "Show the connections that are open",
            async (question, cancellationToken) =>
            {
                var page = await question.Admin.GetAsync("/connections" + ProxyVerb.Query(question.Parsed, filters), cancellationToken).ConfigureAwait(false);
                question.Answer.Write(() => page, answer => WriteConnections(page, answer));
                return ExitCode.Done;
            },
            filters);
    }

    public static Command Listeners() => ProxyVerb.Show("listeners", "Show where connections come in", (page, answer) =>
    {
        var table = new Table("name", "direction", "address", "accepting", "connections", "limit");
        foreach (var listener in ProxyVerb.Items(page["listeners"]))
        {
            var accepting = ProxyVerb.IsTrue(listener, "accepting");
            table.Add(
                ProxyVerb.Text(listener, "name"), ProxyVerb.Text(listener, "direction"), ProxyVerb.Text(listener, "address"), new Cell(accepting ? "yes" : "no", accepting ? Tone.Good : Tone.Warning),
                ProxyVerb.Text(listener, "connections"), ProxyVerb.Text(listener, "limit"));
        }

        Write(table, "no listeners", answer);
    });

    public static Command Upstreams() => ProxyVerb.Show("upstreams", "Show the application, services and their endpoints", (page, answer) =>
    {
        var table = new Table("name", "kind", "endpoint", "tls", "clients", "kept", "active", "state", "last failure");
        foreach (var upstream in ProxyVerb.Items(page["upstreams"]))
        {
            var isFirst = true;
            foreach (var endpoint in ProxyVerb.Items(upstream["endpoints"]))
            {
                table.Add(
                    isFirst ? ProxyVerb.Text(upstream, "name") : "", isFirst ? ProxyVerb.Text(upstream, "kind") : "", ProxyVerb.Text(endpoint, "address"), isFirst ? Mode(upstream["tls"]) : "",
                    isFirst ? ProxyVerb.Text(upstream, "clients") : "", isFirst ? ProxyVerb.Text(upstream, "keptConnections") : "",
                    ProxyVerb.Text(endpoint, "active"), State(endpoint), ProxyVerb.Text(endpoint, "lastFailure"));
                isFirst = false;
            }
        }

        Write(table, "no upstreams", answer);
        answer.Out.WriteLine($"{ProxyVerb.Number(page, "tunnels")} tunnels to other proxies");
    });

    /// <summary>Nobody judges how the own application is doing.</summary>
    private static string State(JsonNode endpoint) =>
        endpoint["well"] is null ? "-"
        : ProxyVerb.IsTrue(endpoint, "well") ? "well"
        : ProxyVerb.Text(endpoint, "health") == "unhealthy" ? "fails its checks"
        : $"left out until {ProxyVerb.Text(endpoint, "ejectedUntil")}";

    public static Command Stats() => ProxyVerb.Show("stats", "Show a proxy's most important counters", (page, answer) =>
    {
        var table = new Table("what", "now");
        foreach (var (name, value) in page.AsObject())
        {
            var text = value switch
            {
                JsonObject parts => string.Join(", ", parts.Select(part => $"{part.Key} {part.Value}")),
                null => "-",
                _ when name is "bytesIn" or "bytesOut" or "memoryBytes" => ProxyVerb.Size(ProxyVerb.Number(page, name)),
                _ when name is "certificateSecondsLeft" => DurationText.Format(TimeSpan.FromSeconds(Math.Max(0, ProxyVerb.Number(page, name)))),
                _ => value.ToString(),
            };
            table.Add(Words(name), text);
        }

        table.Write(answer.Out, answer.Ink);
    });

    private static void WriteConnections(JsonNode page, Answer answer)
    {
        var table = new Table("id", "direction", "listener", "protocol", "source", "peer", "tls", "policy", "age", "in", "out");
        var shown = 0;
        foreach (var live in ProxyVerb.Items(page["connections"]))
        {
            shown++;
            var tls = live["tls"] is { } known ? ProxyVerb.Text(known, "version") + (ProxyVerb.IsTrue(known, "resumed") ? " resumed" : "") : "-";
            var protocol = ProxyVerb.Text(live, "protocol") + (live["tunnel"] is { } tunnel ? $" in {tunnel}" : "") + (ProxyVerb.IsTrue(live, "idle") ? ", idle" : "");
            table.Add(
                ProxyVerb.Text(live, "id"), ProxyVerb.Text(live, "direction"), ProxyVerb.Text(live, "listener"), protocol, ProxyVerb.Text(live, "source"),
                ProxyVerb.Principal(ProxyVerb.Text(live, "peer")), tls, ProxyVerb.Text(live, "policy"), Age(live), ProxyVerb.Size(ProxyVerb.Number(live, "bytesIn")), ProxyVerb.Size(ProxyVerb.Number(live, "bytesOut")));
        }

        Write(table, "no connections", answer);
        if (ProxyVerb.Number(page, "total") is var total && total > shown)
        {
            answer.Out.WriteLine($"{shown} of {total}; --limit shows more");
        }
    }

    private static IEnumerable<(string Role, JsonNode Certificate)> Certificates(JsonNode page)
    {
        foreach (var certificate in ProxyVerb.Items(page["svids"]).SelectMany(svid => ProxyVerb.Items(svid["chain"])))
        {
            yield return ("presented", certificate);
        }

        foreach (var bundle in ProxyVerb.Items(page["bundles"]))
        {
            foreach (var certificate in ProxyVerb.Items(bundle["authorities"]))
            {
                yield return ($"trusted for {bundle["trustDomain"]}", certificate);
            }
        }
    }

    private static Cell Until(JsonNode certificate, DateTimeOffset now)
    {
        if (!DateTimeOffset.TryParse(ProxyVerb.Text(certificate, "notAfter"), CultureInfo.InvariantCulture, out var end))
        {
            return "-";
        }

        return new Cell(HumanTime.Both(end, now), end <= now ? Tone.Bad : end - now < Soon ? Tone.Warning : Tone.Plain);
    }

    private static string Age(JsonNode live) => live["ageSeconds"] is JsonValue value && value.TryGetValue<double>(out var seconds) ? DurationText.Format(TimeSpan.FromSeconds(Math.Floor(seconds))) : "-";

    private static Cell Mode(JsonNode? tls)
    {
        var mode = ProxyVerb.Text(tls, "mode");
        return new Cell(mode, mode is "DISABLE" ? Tone.Warning : mode is "STRICT" or "ISTIO_MUTUAL" ? Tone.Good : Tone.Plain);
    }

    private static void WriteProblem(Answer answer, JsonNode? problem)
    {
        if (problem is not null)
        {
            answer.Out.WriteLine(answer.Ink.Of($"problem: {OneLine.Of(problem.ToString())}", Tone.Bad));
        }
    }

    private static void Write(Table table, string orElse, Answer answer)
    {
        if (table.IsEmpty)
        {
            answer.Out.WriteLine(orElse);
        }
        else
        {
            table.Write(answer.Out, answer.Ink);
        }
    }

    /// <summary><c>certificateSecondsLeft</c> is "certificate left" to people: its value brings its unit along.</summary>
    private static string Words(string name) => string.Concat(name.Select(c => char.IsAsciiLetterUpper(c) ? $" {char.ToLowerInvariant(c)}" : c.ToString()))
        .Replace(" seconds", "", StringComparison.Ordinal).Replace(" bytes", "", StringComparison.Ordinal);
}
