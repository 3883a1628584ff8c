using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Spire.Server.Agent;

namespace Signet.Cli.Commands;

/// <summary><c>signet agent list|show|count|ban|evict|purge</c>: the server's view of its agents, beside <c>signet agent run</c> and what an agent says of itself.</summary>
internal static class AgentVerbs
{
    private static readonly TimeSpan DefaultAge = TimeSpan.FromDays(30);

    public static IEnumerable<Command> Create(CliContext context) => [List(context), Show(context), Count(context), Ban(context), Evict(context), Purge(context), .. AgentStateVerbs.Create(context)];

    private static Command List(CliContext context)
    {
        var filter = new AgentFilter();
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("list", "List attested agents. Example: signet agent list --banned true") { filter.Attestor, filter.Banned, filter.CanReattest, filter.ExpiresBefore, server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var agents = await admin.AgentsAsync(filter.ForList(parsed), cancellationToken).ConfigureAwait(false);
            var now = context.Time.GetUtcNow();
            var table = new Table("spiffe id", "attestor", "serial", "until", "state");
            foreach (var agent in agents)
            {
                var state = agent.Banned ? new Cell("banned", Tone.Bad) : agent.NotAfter < now ? new Cell("expired", Tone.Warning) : new Cell("active", Tone.Good);
                table.Add(agent.Id.Uri, agent.Attestor, agent.Serial, HumanTime.Both(agent.NotAfter, now), state);
            }

            Answer.To(parsed, output).WriteList("agents", agents.Select(Json), table);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Show(CliContext context)
    {
        var id = Id();
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("show", "Show one agent. Example: signet agent show spiffe://example.org/spire/agent/join_token/…") { id, server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var agent = await admin.AgentAsync(parsed.GetValue(id)!, cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(() => Json(agent), answer =>
            {
                foreach (var (name, value) in Json(agent))
                {
                    answer.Out.WriteLine($"{name,-14}{(value is JsonArray list ? string.Join(' ', list) : value)}");
                }
            });
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Count(CliContext context)
    {
        var filter = new AgentFilter();
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("count", "Count attested agents. Example: signet agent count --attestor join_token") { filter.Attestor, filter.Banned, filter.CanReattest, filter.ExpiresBefore, server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var count = await admin.CountAgentsAsync(filter.ForCount(parsed), cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(() => new JsonObject { ["count"] = count }, answer => answer.Out.WriteLine(count));
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Ban(CliContext context) => Act(
        context, "ban", "banned", "Shut an agent out at once and keep it out until it is evicted", (admin, id, cancellationToken) => admin.BanAgentAsync(id, cancellationToken));

    private static Command Evict(CliContext context) => Act(
        context, "evict", "evicted", "Forget an agent, and its ban; it must attest again", (admin, id, cancellationToken) => admin.EvictAgentAsync(id, cancellationToken));

    private static Command Purge(CliContext context)
    {
        var age = CommandValues.Duration("--expired-for", "How long ago an agent must have expired (default: 30d)");
        var all = new Option<bool>("--include-tofu") { Description = "Also those that could attest only once, such as by join token; they can never come back under their ID" };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only say which would be evicted" };
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("purge", "Evict agents that expired long ago; banned ones stay banned. Example: signet agent purge --expired-for 7d") { age, all, dryRun, server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var filter = new ListAgentsRequest.Types.Filter
            {
                ByBanned = false,
                ByCanReattest = parsed.GetValue(all) ? null : true,
                ByExpiresBefore = HumanTime.Stamp(context.Time.GetUtcNow() - (parsed.GetValue(age) ?? DefaultAge)),
            };
            var agents = await admin.AgentsAsync(filter, cancellationToken).ConfigureAwait(false);
            foreach (var agent in parsed.GetValue(dryRun) ? [] : agents)
            {
                await admin.EvictAgentAsync(agent.Id, cancellationToken).ConfigureAwait(false);
            }

            var table = new Table("spiffe id", "attestor", "expired");
            foreach (var agent in agents)
            {
                table.Add(agent.Id.Uri, agent.Attestor, HumanTime.Both(agent.NotAfter, context.Time.GetUtcNow()));
            }

            Answer.To(parsed, output).WriteList("agents", agents.Select(Json), table);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Act(CliContext context, string verb, string done, string description, Func<AdminClient, SpiffeId, CancellationToken, Task> act)
    {
        var id = Id();
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command(verb, $"{description}. Example: signet agent {verb} spiffe://example.org/spire/agent/join_token/…") { id, server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            await act(admin, parsed.GetValue(id)!, cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(
                () => new JsonObject { ["spiffeId"] = parsed.GetValue(id)!.Uri, [done] = true }, answer => answer.Out.WriteLine($"{done} {parsed.GetValue(id)}"));
            return ExitCode.Done;
        });
        return command;
    }

    private static Argument<SpiffeId?> Id() => new("id")
    {
        Description = "The agent's SPIFFE ID",
        CustomParser = result =>
        {
            if (SpiffeId.TryParse(result.Tokens[0].Value, out var id, out var problem))
            {
                return id;
            }

            result.AddError(problem);
            return null;
        },
    };

    private static JsonObject Json(ListedAgent agent) => new()
    {
        ["spiffeId"] = agent.Id.Uri,
        ["attestor"] = agent.Attestor,
        ["serial"] = agent.Serial,
        ["notAfter"] = HumanTime.Stamp(agent.NotAfter),
        ["banned"] = agent.Banned,
        ["canReattest"] = agent.CanReattest,
        ["selectors"] = new JsonArray([.. agent.Selectors.Select(selector => JsonValue.Create(selector))]),
    };

    /// <summary>The options that list and count share.</summary>
    private sealed class AgentFilter
    {
        public Option<string> Attestor { get; } = new("--attestor") { Description = "Only agents that attested like this, such as join_token", HelpName = "TYPE" };

        public Option<bool?> Banned { get; } = new("--banned") { Description = "Only banned ones, or only others", HelpName = "true|false" };

        public Option<bool?> CanReattest { get; } = new("--can-reattest") { Description = "Only agents that can attest again, or only others", HelpName = "true|false" };

        public Option<DateTimeOffset?> ExpiresBefore { get; } = new("--expires-before") { Description = "Only agents whose certificate ends before this time (RFC 3339)", HelpName = "TIME" };

        public ListAgentsRequest.Types.Filter ForList(ParseResult parsed) => new()
        {
            ByAttestationType = parsed.GetValue(Attestor) ?? "",
            ByBanned = parsed.GetValue(Banned),
            ByCanReattest = parsed.GetValue(CanReattest),
            ByExpiresBefore = parsed.GetValue(ExpiresBefore) is { } time ? HumanTime.Stamp(time) : "",
        };

        public CountAgentsRequest.Types.Filter ForCount(ParseResult parsed) => new()
        {
            ByAttestationType = parsed.GetValue(Attestor) ?? "",
            ByBanned = parsed.GetValue(Banned),
            ByCanReattest = parsed.GetValue(CanReattest),
            ByExpiresBefore = parsed.GetValue(ExpiresBefore) is { } time ? HumanTime.Stamp(time) : "",
        };
    }
}
