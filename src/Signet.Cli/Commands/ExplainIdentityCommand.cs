using System.CommandLine;
using System.Text.Json.Nodes;
using Grpc.Core;
using Signet.Cli.Clients;
using Signet.Cli.Output;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Explain;

namespace Signet.Cli.Commands;

/// <summary><c>signet explain</c>: why a workload gets an identity, or does not.</summary>
internal static class ExplainIdentityCommand
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    public static Command Create(CliContext context)
    {
        var pid = new Option<int?>("--pid") { Description = "A process on this machine; its agent is asked", HelpName = "PID" };
        var selectors = CommandValues.Selectors("--selectors");
        selectors.Required = false;
        selectors.AllowMultipleArgumentsPerToken = true;
        selectors.Description = "What is known of a workload, as TYPE:KEY:VALUE …; the server is asked";
        var agent = CommandValues.SpiffeId("--agent", "With --selectors: only what this agent may serve");
        var (socket, server, output) = (CliContext.SocketOption(), CliContext.ServerOption(), Answer.Option());
        var command = new Command("explain", "Explain why a workload gets an identity, or does not; exit code 1 when it gets none. Example: signet explain --pid 4711")
        {
            pid, selectors, agent, socket, server, output,
        };
        command.Validators.Add(result =>
        {
            if (result.GetResult(pid) is null == result.GetResult(selectors) is null)
            {
                result.AddError("either --pid or --selectors is needed");
            }
        });
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var told = parsed.GetValue(pid) is { } process
                ? await AskAgentAsync(context, parsed.GetValue(socket), process, cancellationToken).ConfigureAwait(false)
                : await AskServerAsync(context, parsed, parsed.GetValue(selectors)!, parsed.GetValue(agent), cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(() => Json(told), answer => Write(answer, told, context.Time.GetUtcNow()));
            return told.Identities.Count > 0 ? ExitCode.Done : ExitCode.Failed;
        });
        return command;
    }

    private static async Task<Told> AskServerAsync(CliContext context, ParseResult parsed, Selector[] selectors, SpiffeId? agent, CancellationToken cancellationToken)
    {
        using var client = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
        var explanation = await client.ExplainAsync(selectors, agent, cancellationToken).ConfigureAwait(false);
        return new Told(
            selectors,
            [.. explanation.Matches.Select(entry => new ToldIdentity(entry, null, entry.Template.KeyType?.Name() ?? "", ""))],
            explanation.NearMisses,
            [.. selectors.Select(selector => SelectorTypes.Problem(selector, new HashSet<string>())).OfType<string>()]);
    }

    private static async Task<Told> AskAgentAsync(CliContext context, string? socket, int pid, CancellationToken cancellationToken)
    {
        if (CliContext.AgentAddress(socket).Path is not { } path)
        {
            throw new CliError("explain needs the agent's Unix socket", "for example: --socket unix:/run/signet/agent.sock");
        }

        using var channel = GrpcChannel.ForUnixSocket(path, context.Time);
        var options = new CallOptions(null, (context.Time.GetUtcNow() + Timeout).UtcDateTime, cancellationToken);
        var response = await new Explain.ExplainClient(channel).WorkloadAsync(new WorkloadRequest { Pid = pid }, options).ResponseAsync.ConfigureAwait(false);
        var remarks = new List<string>();
        if (response.AttestationProblem.Length > 0)
        {
            remarks.Add($"the process could not be attested, so it gets nothing: {response.AttestationProblem}");
        }

        remarks.AddRange(response.Notes);
        if (response.ServerProblem.Length > 0)
        {
            remarks.Add($"the agent is not in touch with its server: {response.ServerProblem}");
        }

        if (response.Entries == 0)
        {
            remarks.Add("the agent has no entry to serve: none has it as its parent; see: signet entry list");
        }

        return new Told(
            [.. response.Selectors.Select(wire => new Selector(wire.Type, wire.Value))],
            response.AttestationProblem.Length > 0 ? [] : [.. response.Matches.Select(match => new ToldIdentity(Read(match.Entry), match.NotAfter > 0 ? DateTimeOffset.FromUnixTimeSeconds(match.NotAfter) : null, match.KeyType, match.Problem))],
            [.. response.NearMisses.Select(Read)],
            remarks);
    }

    private static RegistrationEntry Read(Rpc.Wire.Spire.Types.Entry wire) =>
        SpireMapping.TryRead(wire, out var entry, out var problem) ? entry : throw new RpcException(new Status(StatusCode.Internal, problem));

    private static EntryNearMiss Read(Rpc.Wire.Registration.NearMiss wire) =>
        ExplanationMapping.TryRead(wire, out var miss, out var problem) ? miss : throw new RpcException(new Status(StatusCode.Internal, problem));

    private static JsonObject Json(Told told) => new()
    {
        ["selectors"] = Json(told.Selectors),
        ["identities"] = new JsonArray([.. told.Identities.Select(one => new JsonObject
        {
            ["spiffeId"] = one.Entry.SpiffeId.Uri,
            ["entry"] = one.Entry.Id,
            ["notAfter"] = one.NotAfter is { } end ? HumanTime.Stamp(end) : null,
            ["keyType"] = one.KeyType.Length > 0 ? one.KeyType : null,
            ["problem"] = one.Problem.Length > 0 ? one.Problem : null,
        })]),
        ["nearMisses"] = new JsonArray([.. told.NearMisses.Select(miss => new JsonObject
        {
            ["spiffeId"] = miss.Entry.SpiffeId.Uri,
            ["entry"] = miss.Entry.Id,
            ["missing"] = Json(miss.Missing),
            ["reasons"] = new JsonArray([.. miss.Reasons.Select(reason => JsonValue.Create(reason))]),
        })]),
        ["remarks"] = new JsonArray([.. told.Remarks.Select(remark => JsonValue.Create(remark))]),
    };

    private static JsonArray Json(IEnumerable<Selector> selectors) => new([.. selectors.Select(selector => JsonValue.Create(selector.ToString()))]);

    private static void Write(Answer answer, Told told, DateTimeOffset now)
    {
        answer.Out.WriteLine("the workload has " + string.Join(' ', told.Selectors));
        foreach (var one in told.Identities)
        {
            answer.Out.WriteLine(answer.Ink.Of($"it gets {one.Entry.SpiffeId}", Tone.Good) + $"  entry {one.Entry.Id}{(one.KeyType.Length > 0 ? $", key {one.KeyType}" : "")}{(one.NotAfter is { } end ? $", certificate until {HumanTime.Both(end, now)}" : "")}");
            if (one.Problem.Length > 0)
            {
                answer.Out.WriteLine("    " + answer.Ink.Of(one.Problem, Tone.Bad));
            }
        }

        if (told.Identities.Count == 0)
        {
            answer.Out.WriteLine(answer.Ink.Of("it gets no identity", Tone.Bad));
        }

        foreach (var remark in told.Remarks)
        {
            answer.Out.WriteLine(answer.Ink.Of(remark, Tone.Warning));
        }

        foreach (var miss in told.NearMisses)
        {
            answer.Out.WriteLine($"it does not get {miss.Entry.SpiffeId}  entry {miss.Entry.Id}");
            foreach (var reason in miss.Reasons)
            {
                answer.Out.WriteLine($"    {reason}");
            }
        }

        if (told.Identities.Count == 0 && told.NearMisses.Count == 0)
        {
            answer.Out.WriteLine("no entry comes near; register one: signet entry create");
        }
    }

    private sealed record ToldIdentity(RegistrationEntry Entry, DateTimeOffset? NotAfter, string KeyType, string Problem);

    private sealed record Told(IReadOnlyList<Selector> Selectors, IReadOnlyList<ToldIdentity> Identities, IReadOnlyList<EntryNearMiss> NearMisses, IReadOnlyList<string> Remarks);
}
