using System.CommandLine;
using System.Net;
using System.Text.Json;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Policy.Explaining;
using Signet.Policy.Inputs;

namespace Signet.Cli.Commands.Policy;

/// <summary><c>signet policy explain</c>: why policies allow or deny a request, what nearly matched, and what to do.</summary>
public static class ExplainCommand
{
    public static Command Create()
    {
        var options = new ExplainOptions();
        var command = new Command("explain", "Say why policies allow or deny a request, what nearly matched, and what is missing");
        foreach (var option in options.All)
        {
            command.Add(option);
        }

        command.SetAction(parsed => PolicyOutput.Run(parsed, writer =>
        {
            var load = PolicyFiles.LoadPolicies(parsed.GetRequiredValue(options.Policies), PolicyFiles.LoadMesh(parsed.GetValue(options.Mesh)));
            if (load.HasErrors)
            {
                PolicyOutput.WriteProblems(parsed, load.Problems);
                return 1;
            }

            var requests = parsed.GetValue(options.Requests) is { } file ? PolicyFiles.Load(file, RequestFile.Read) : [options.ReadRequest(parsed)];
            var answers = requests.Select(request =>
            {
                var policy = load.Set.ForWorkload(request.Destination);
                var decision = request.Decide(policy);
                return (request.Name, Decision: decision, Explanation: Explainer.Explain(policy, request.Facts, decision));
            }).ToList();
            if (parsed.GetValue(options.Output) == "json")
            {
                PolicyOutput.WriteJson(writer, json => WriteJson(json, answers));
            }
            else
            {
                WriteText(writer, answers);
            }

            return 0;
        }));
        return command;
    }

    private static void WriteText(TextWriter writer, List<(string Name, Decision Decision, Explanation Explanation)> answers)
    {
        foreach (var (name, decision, explanation) in answers)
        {
            writer.WriteLine($"{name}: {(decision.Allowed ? "allow" : "deny")} ({decision.Verdict.Stage.Word()})");
            writer.WriteLine($"  {explanation.Summary}");
            foreach (var miss in explanation.NearMisses)
            {
                writer.WriteLine($"  near miss: {miss.Policy} rule {miss.Rule}");
                foreach (var clause in miss.Missing)
                {
                    writer.WriteLine($"    {clause}");
                }

                if (miss.LeftOut is not null)
                {
                    writer.WriteLine($"    not considered: {miss.LeftOut}");
                }
            }

            if (explanation.NextStep is not null)
            {
                writer.WriteLine($"  next step: {explanation.NextStep}");
            }
        }
    }

    private static void WriteJson(Utf8JsonWriter json, List<(string Name, Decision Decision, Explanation Explanation)> answers)
    {
        json.WriteStartArray();
        foreach (var (name, decision, explanation) in answers)
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteString("verdict", decision.Allowed ? "allow" : "deny");
            json.WriteString("stage", decision.Verdict.Stage.Word());
            json.WriteString("policy", decision.Verdict.Policy);
            json.WriteString("summary", explanation.Summary);
            json.WriteString("nextStep", explanation.NextStep);
            json.WriteStartArray("nearMisses");
            foreach (var miss in explanation.NearMisses)
            {
                json.WriteStartObject();
                json.WriteString("policy", miss.Policy);
                json.WriteNumber("rule", miss.Rule);
                json.WriteString("notConsidered", miss.LeftOut);
                json.WriteStartArray("missing");
                foreach (var clause in miss.Missing)
                {
                    json.WriteStartObject();
                    json.WriteString("field", clause.Field);
                    json.WriteBoolean("not", clause.Negated);
                    json.WriteStartArray("wanted");
                    foreach (var value in clause.Wanted)
                    {
                        json.WriteStringValue(value);
                    }

                    json.WriteEndArray();
                    json.WriteString("seen", clause.Seen);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}

/// <summary>A request from a file, or from options: the workload from a file, the rest by hand.</summary>
internal sealed class ExplainOptions
{
    public Option<string> Policies { get; } = PolicyOptions.Policies();

    public Option<string?> Mesh { get; } = PolicyOptions.Mesh();

    public Option<string> Output { get; } = PolicyOptions.Output();

    public Option<string?> Requests { get; } = new("--requests") { Description = "A list of requests, instead of the options below", HelpName = "FILE" };

    private Option<string?> Workload { get; } = new("--workload") { Description = "The called workload: namespace, labels", HelpName = "FILE" };

    private Option<int?> Port { get; } = new("--port") { Description = "The workload's port", HelpName = "N" };

    private Option<string> Protocol { get; } = new("--protocol") { Description = "What the port speaks", HelpName = "http|tcp", DefaultValueFactory = _ => "http" };

    private Option<string?> SourcePrincipal { get; } = new("--source-principal") { Description = "The caller's identity; left out means plaintext", HelpName = "TD/ns/NS/sa/SA" };

    private Option<string?> SourceIp { get; } = new("--source-ip") { Description = "The caller's address", HelpName = "IP" };

    private Option<string> Method { get; } = new("--method") { Description = "The request's method", DefaultValueFactory = _ => "GET" };

    private Option<string> Path { get; } = new("--path") { Description = "The request's path", DefaultValueFactory = _ => "/" };

    private Option<string?> Host { get; } = new("--host") { Description = "The request's host" };

    private Option<string[]> Header { get; } = new("--header") { Description = "A header, name: value; repeatable", HelpName = "NAME: VALUE", DefaultValueFactory = _ => [] };

    private Option<string?> Sni { get; } = new("--sni") { Description = "The server name of the TLS handshake" };

    public ExplainOptions() => Protocol.AcceptOnlyFromAmong("http", "tcp");

    public IEnumerable<Option> All => [Policies, Mesh, Requests, Workload, Port, Protocol, SourcePrincipal, SourceIp, Method, Path, Host, Header, Sni, Output];

    /// <exception cref="InputException">An option can't be understood.</exception>
    public WrittenRequest ReadRequest(ParseResult parsed)
    {
        if (parsed.GetValue(Workload) is not { } workload)
        {
            throw new InputException("neither --requests nor --workload is given", "name a file of requests, or the called workload and --port, --method, --path, --source-principal");
        }

        var written = PolicyFiles.Load(workload, WorkloadFile.Read);
        var facts = new RequestFacts
        {
            DestinationPort = parsed.GetValue(Port) ?? written.Ports.FirstOrDefault(),
            Protocol = parsed.GetValue(Protocol) == "tcp" ? Signet.Policy.Protocol.Tcp : Signet.Policy.Protocol.Http,
            Peer = ReadPeer(parsed.GetValue(SourcePrincipal)),
            SourceIp = ReadAddress(parsed.GetValue(SourceIp)),
            Method = parsed.GetValue(Method),
            Path = parsed.GetValue(Path),
            Host = parsed.GetValue(Host),
            Headers = [.. (parsed.GetValue(Header) ?? []).Select(ReadHeader)],
            Sni = parsed.GetValue(Sni),
        };
        facts.MutualTls = facts.Peer is not null;
        return new WrittenRequest("request", written.Workload, facts, new Dictionary<string, CustomOutcome>());
    }

    private static SpiffeId? ReadPeer(string? principal)
    {
        if (principal is null)
        {
            return null;
        }

        return SpiffeId.TryParse("spiffe://" + principal, out var peer, out var problem)
            ? peer
            : throw new InputException($"--source-principal: {problem}", "write it without scheme, for example cluster.local/ns/production/sa/order-service");
    }

    private static IPAddress? ReadAddress(string? text)
    {
        if (text is null)
        {
            return null;
        }

        return IPAddress.TryParse(text, out var address) ? address : throw new InputException($"--source-ip: \"{Printable.Of(text)}\" is not an IP address", "for example 10.0.0.7");
    }

    private static KeyValuePair<string, string> ReadHeader(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 ? new(text[..colon].Trim(), text[(colon + 1)..].Trim()) : throw new InputException($"--header: \"{Printable.Of(text)}\" has no colon", "write it like \"x-team: blue\"");
    }
}
