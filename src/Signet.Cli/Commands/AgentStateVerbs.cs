using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Grpc.Core;
using Signet.Cli.Output;
using Signet.Rpc;
using Signet.Rpc.Wire.AgentState;
using HeldIdentity = Signet.Rpc.Wire.AgentState.Identity;
using SocketClient = Signet.Rpc.Wire.AgentState.Client;

namespace Signet.Cli.Commands;

/// <summary><c>signet agent status|clients|config|cache</c>: what the agent on this machine says of itself, over its socket.</summary>
internal static class AgentStateVerbs
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    public static IEnumerable<Command> Create(CliContext context) =>
    [
        Verb(context, "status", "Show whether the agent on this machine is in touch with its server, and what it holds", StatusJson, WriteStatus, state => state.ServerProblem.Length == 0),
        Verb(context, "clients", "List who is on the agent's socket", state => List("clients", state.Clients.Select(Json), state.ClientCount), WriteClients),
        Verb(context, "config", "Show the configuration that proxies get from this agent, and what each made of it", ConfigJson, WriteConfig, state => state.Configuration.Problem.Length == 0 && state.Configuration.Proxies.All(proxy => proxy.Refused == 0)),
        Verb(context, "cache", "List the identities that the agent holds for its workloads, those that end first at the top", state => List("identities", state.Identities.Select(Json), state.IdentityCount), WriteCache),
    ];

    private static Command Verb(CliContext context, string name, string about, Func<ShowResponse, JsonObject> json, Action<Answer, ShowResponse, DateTimeOffset> write, Func<ShowResponse, bool>? isGood = null)
    {
        var limit = new Option<uint>("--limit") { Description = "How many to list at most (default: 1000)", HelpName = "N" };
        var (socket, output) = (CliContext.SocketOption(), Answer.Option());
        var more = isGood is null ? "" : "; exit code 1 when something is wrong";
        var command = new Command(name, $"{about}{more}. Root and the agent's own user may ask. Example: signet agent {name}") { limit, socket, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var state = await AskAsync(context, parsed.GetValue(socket), parsed.GetValue(limit), cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(() => json(state), answer => write(answer, state, context.Time.GetUtcNow()));
            return isGood?.Invoke(state) == false ? ExitCode.Failed : ExitCode.Done;
        });
        return command;
    }

    private static async Task<ShowResponse> AskAsync(CliContext context, string? socket, uint limit, CancellationToken cancellationToken)
    {
        using var channel = GrpcChannel.ForUnixSocket(CliContext.AgentAddress(socket).Path, context.Time);
        var options = new CallOptions(null, (context.Time.GetUtcNow() + Timeout).UtcDateTime, cancellationToken);
        return await new AgentState.AgentStateClient(channel).ShowAsync(new ShowRequest { Limit = limit }, options).ResponseAsync.ConfigureAwait(false);
    }

    private static JsonObject List(string noun, IEnumerable<JsonObject> items, uint total) => new() { [noun] = new JsonArray([.. items]), ["total"] = total, ["nextPage"] = null };

    private static JsonObject StatusJson(ShowResponse state) => new()
    {
        ["trustDomain"] = state.TrustDomain,
        ["server"] = state.Server,
        ["problem"] = Null(state.ServerProblem),
        ["spiffeId"] = Null(state.SpiffeId),
        ["serial"] = Null(state.Serial),
        ["notAfter"] = Time(state.NotAfter),
        ["renewAt"] = Time(state.RenewAt),
        ["revision"] = state.Revision,
        ["bundleSequence"] = state.BundleSequence,
        ["trustDomains"] = new JsonArray([.. state.TrustDomains.Select(name => JsonValue.Create(name))]),
        ["entries"] = state.Entries,
        ["identities"] = state.IdentityCount,
        ["clients"] = state.ClientCount,
        ["configuration"] = new JsonObject { ["revision"] = state.Configuration.Revision, ["problem"] = Null(state.Configuration.Problem), ["documents"] = state.Configuration.DocumentCount, ["proxies"] = state.Configuration.Proxies.Count },
        ["pods"] = state.Pods is null ? null : new JsonObject { ["count"] = state.Pods.Count, ["problem"] = Null(state.Pods.Problem) },
    };

    private static void WriteStatus(Answer answer, ShowResponse state, DateTimeOffset now)
    {
        Line(answer, "server", $"{state.Server}  {(state.ServerProblem.Length == 0 ? answer.Ink.Of("connected", Tone.Good) : answer.Ink.Of(state.ServerProblem, Tone.Bad))}");
        Line(answer, "own id", state.SpiffeId.Length > 0 ? $"{state.SpiffeId}  until {HumanTime.Both(At(state.NotAfter), now)}, renewed {HumanTime.Both(At(state.RenewAt), now)}" : answer.Ink.Of("not joined yet", Tone.Bad));
        Line(answer, "revision", state.Revision == 0 ? answer.Ink.Of("nothing heard yet", Tone.Bad) : $"{state.Revision}, bundle {state.BundleSequence}, trusts {string.Join(' ', state.TrustDomains)}");
        Line(answer, "identities", $"{state.IdentityCount} of {state.Entries} entries");
        Line(answer, "clients", state.ClientCount.ToString(CultureInfo.InvariantCulture));
        Line(answer, "config", $"{(state.Configuration.Revision == 0 ? "none" : $"revision {state.Configuration.Revision}, {state.Configuration.DocumentCount} documents")} for {state.Configuration.Proxies.Count} proxies{Remark(answer, state.Configuration.Problem)}");
        if (state.Pods is { } pods)
        {
            Line(answer, "pods", $"{pods.Count}{Remark(answer, pods.Problem)}");
        }
    }

    private static JsonObject Json(SocketClient client) => new() { ["name"] = client.Name, ["pid"] = client.Pid, ["behind"] = client.IsBehind };

    private static void WriteClients(Answer answer, ShowResponse state, DateTimeOffset now)
    {
        var table = new Table("client", "newest bundle");
        foreach (var client in state.Clients)
        {
            table.Add(client.Name, client.IsBehind ? new Cell("not yet", Tone.Warning) : new Cell("applied", Tone.Good));
        }

        Write(answer, table, "clients", state.Clients.Count, state.ClientCount);
    }

    private static JsonObject ConfigJson(ShowResponse state) => new()
    {
        ["revision"] = state.Configuration.Revision,
        ["problem"] = Null(state.Configuration.Problem),
        ["documents"] = new JsonArray([.. state.Configuration.Documents.Select(one => new JsonObject { ["name"] = one.Name, ["everywhere"] = one.Everywhere, ["size"] = one.Size })]),
        ["total"] = state.Configuration.DocumentCount,
        ["proxies"] = new JsonArray([.. state.Configuration.Proxies.Select(proxy => new JsonObject
        {
            ["name"] = proxy.Name,
            ["since"] = Time(proxy.Since),
            ["sent"] = proxy.Sent,
            ["acknowledged"] = proxy.Acknowledged,
            ["refused"] = proxy.Refused == 0 ? null : proxy.Refused,
            ["problem"] = Null(proxy.Problem),
        })]),
    };

    private static void WriteConfig(Answer answer, ShowResponse state, DateTimeOffset now)
    {
        var config = state.Configuration;
        answer.Out.WriteLine(config.Revision == 0 ? $"no configuration{Remark(answer, config.Problem)}" : $"revision {config.Revision}{Remark(answer, config.Problem)}");
        var documents = new Table("document", "concerns", "size");
        foreach (var one in config.Documents)
        {
            documents.Add(one.Name, one.Everywhere ? "every namespace" : "its namespace", $"{one.Size}");
        }

        Write(answer, documents, "documents", config.Documents.Count, config.DocumentCount);
        var proxies = new Table("proxy", "since", "sent", "applied", "state");
        foreach (var proxy in config.Proxies)
        {
            var verdict = proxy.Refused > 0 ? new Cell($"refused {proxy.Refused}: {proxy.Problem}", Tone.Bad) : proxy.Acknowledged < proxy.Sent ? new Cell("not answered yet", Tone.Warning) : new Cell("in force", Tone.Good);
            proxies.Add(proxy.Name, HumanTime.Both(At(proxy.Since), now), $"{proxy.Sent}", $"{proxy.Acknowledged}", verdict);
        }

        Write(answer, proxies, "proxies", config.Proxies.Count, (uint)config.Proxies.Count);
    }

    private static JsonObject Json(HeldIdentity one) => new() { ["spiffeId"] = one.SpiffeId, ["entry"] = one.Entry, ["serial"] = one.Serial, ["notAfter"] = Time(one.NotAfter), ["renewAt"] = Time(one.RenewAt) };

    private static void WriteCache(Answer answer, ShowResponse state, DateTimeOffset now)
    {
        var table = new Table("spiffe id", "entry", "serial", "until", "renewed");
        foreach (var one in state.Identities)
        {
            table.Add(one.SpiffeId, one.Entry, one.Serial, HumanTime.Both(At(one.NotAfter), now), HumanTime.Both(At(one.RenewAt), now));
        }

        Write(answer, table, "identities", state.Identities.Count, state.IdentityCount);
    }

    private static void Write(Answer answer, Table table, string noun, int listed, uint total)
    {
        if (table.IsEmpty)
        {
            answer.Out.WriteLine($"no {noun}");
            return;
        }

        table.Write(answer.Out, answer.Ink);
        if (listed < total)
        {
            answer.Out.WriteLine($"{listed} of {total} {noun}; see --limit");
        }
    }

    private static void Line(Answer answer, string name, string value) => answer.Out.WriteLine($"{name,-12}{value}");

    private static string Remark(Answer answer, string problem) => problem.Length > 0 ? $"  {answer.Ink.Of(problem, Tone.Warning)}" : "";

    private static DateTimeOffset At(long seconds) => DateTimeOffset.FromUnixTimeSeconds(seconds);

    private static string? Time(long seconds) => seconds == 0 ? null : HumanTime.Stamp(At(seconds));

    private static string? Null(string text) => text.Length > 0 ? text : null;
}
