using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;
using Signet.Rpc.Wire.Authority;
using Stage = Signet.Rpc.Wire.Authority.RotationStatus.Types.Stage;

namespace Signet.Cli.Commands.Authority;

/// <summary>
/// <c>signet authority rotate --anchor</c>. The server advances the rotation by itself; this command begins and follows it, and may be interrupted
/// and run again at any time.
/// </summary>
internal static class RotateCommand
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    public static Command Create(CliContext context)
    {
        var anchor = new Option<bool>("--anchor") { Description = "The trust anchor; issuing authorities and JWT keys rotate by themselves", Required = true };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only say whom the rotation would wait for" };
        var status = new Option<bool>("--status") { Description = "Only say how far the newest rotation is and whom it waits for" };
        var abort = new Option<bool>("--abort") { Description = "Give the rotation up" };
        var force = new Option<bool>("--force") { Description = "Don't wait for those who are behind in the present stage: they may be cut off" };
        var reason = new Option<string>("--reason") { Description = "Why nobody is to be waited for; goes into the log", HelpName = "TEXT" };
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("rotate", "Replace the trust anchor without hurting anybody: publish, wait for everybody, sign, wait, drop. Example: signet authority rotate --anchor")
        {
            anchor, dryRun, status, abort, force, reason, server, output,
        };
        command.Validators.Add(parsed =>
        {
            // A flag is never missing to the parser, even one that is required.
            if (!parsed.GetValue(anchor))
            {
                parsed.AddError("say what is to be rotated: --anchor; issuing authorities and JWT keys rotate by themselves");
            }

            if (new[] { dryRun, status, abort, force }.Count(option => parsed.GetValue(option)) > 1)
            {
                parsed.AddError("--dry-run, --status, --abort and --force exclude each other");
            }

            if (parsed.GetValue(force) != parsed.GetValue(reason) is not null)
            {
                parsed.AddError("--force and --reason TEXT go together");
            }
        });
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var client = admin.Authorities;
            var answer = Answer.To(parsed, output);
            if (parsed.GetValue(dryRun))
            {
                Write(answer, await client.StartAsync(dryRun: true, cancellationToken).ConfigureAwait(false), context, isDryRun: true);
                return ExitCode.Done;
            }

            if (parsed.GetValue(status))
            {
                Write(answer, await client.StatusAsync(cancellationToken).ConfigureAwait(false), context);
                return ExitCode.Done;
            }

            if (parsed.GetValue(abort))
            {
                Write(answer, await client.AbortAsync(cancellationToken).ConfigureAwait(false), context);
                return ExitCode.Done;
            }

            if (parsed.GetValue(force))
            {
                Write(answer, await client.ForceAsync(parsed.GetValue(reason)!, cancellationToken).ConfigureAwait(false), context);
                return ExitCode.Done;
            }

            var now = await client.StatusAsync(cancellationToken).ConfigureAwait(false);
            return await FollowAsync(client, answer, IsUnderWay(now) ? now : await client.StartAsync(dryRun: false, cancellationToken).ConfigureAwait(false), context, cancellationToken).ConfigureAwait(false);
        });
        return command;
    }

    private static async Task<int> FollowAsync(AuthorityClient client, Answer answer, RotationStatus now, CliContext context, CancellationToken cancellationToken)
    {
        var told = "";
        while (IsUnderWay(now))
        {
            var line = Line(now);
            if (line != told)
            {
                // The answer for scripts is the end; what happens on the way is for people.
                answer.Error.WriteLine(line);
                told = line;
            }

            await Task.Delay(LookEvery, context.Time, cancellationToken).ConfigureAwait(false);
            now = await client.StatusAsync(cancellationToken).ConfigureAwait(false);
        }

        Write(answer, now, context);
        return now.Stage == Stage.Done ? ExitCode.Done : ExitCode.Failed;
    }

    private static bool IsUnderWay(RotationStatus status) => status.Stage is Stage.Announced or Stage.Replacing;

    private static string Line(RotationStatus status) => Hosting.OneLine.Of(
        $"{Explain(status.Stage)}{(status.LaggardCount > 0 ? $"; waits for {status.LaggardCount}: {status.Laggards[0].Who}: {status.Laggards[0].Why}{(status.LaggardCount > 1 ? " …" : "")}" : "")}");

    private static string Explain(Stage stage) => stage switch
    {
        Stage.None => "the anchor has never been rotated",
        Stage.Announced => "announced: the new anchor is published and signs nothing until everybody has it",
        Stage.Replacing => "replacing: the new anchor signs; what chains to the old one is being replaced",
        Stage.Done => "done: the old anchor is gone",
        _ => "aborted",
    };

    private static void Write(Answer answer, RotationStatus status, CliContext context, bool isDryRun = false) => answer.Write(
        () => new JsonObject
        {
            ["stage"] = status.Stage.ToString().ToLowerInvariant(),
            ["startedAt"] = Stamp(status.StartedAt),
            ["startedBy"] = status.StartedBy,
            ["stageSince"] = Stamp(status.StageSince),
            ["forcedBecause"] = status.ForcedBecause.Length > 0 ? status.ForcedBecause : null,
            ["bundleSequence"] = status.BundleSequence,
            ["anchors"] = new JsonArray([.. status.Anchors.Select(anchor => new JsonObject { ["id"] = anchor.Id, ["state"] = anchor.State, ["notAfter"] = Stamp(anchor.ExpiresAt) })]),
            ["agents"] = status.AgentCount,
            ["fetched"] = status.FetchedCount,
            ["laggardCount"] = status.LaggardCount,
            ["laggards"] = new JsonArray([.. status.Laggards.Select(laggard => new JsonObject { ["who"] = laggard.Who, ["why"] = laggard.Why })]),
        },
        _ =>
        {
            var now = context.Time.GetUtcNow();
            answer.Out.WriteLine(isDryRun
                ? $"nothing was changed; a new anchor would be published to {status.AgentCount} agents and their clients, and sign once all of them have it"
                : Explain(status.Stage));
            if (status.StartedAt > 0 && !isDryRun)
            {
                answer.Out.WriteLine(Hosting.OneLine.Of($"begun {HumanTime.Both(Time(status.StartedAt), now)} by {status.StartedBy}; in this stage since {HumanTime.Both(Time(status.StageSince), now)}"));
            }

            if (status.ForcedBecause.Length > 0)
            {
                answer.Out.WriteLine(Hosting.OneLine.Of($"does not wait in this stage: {status.ForcedBecause}"));
            }

            var anchors = new Table("anchor", "state", "until");
            foreach (var anchor in status.Anchors)
            {
                anchors.Add(anchor.Id, anchor.State, HumanTime.Both(Time(anchor.ExpiresAt), now));
            }

            anchors.Write(answer.Out, answer.Ink);
            if (status.FetchedCount > 0)
            {
                answer.Out.WriteLine($"{status.FetchedCount} of {status.AgentCount} agents acknowledge nothing: they have fetched the newest bundle and come back since; what their clients have is not known");
            }

            if (status.LaggardCount > 0)
            {
                answer.Out.WriteLine(isDryRun ? $"of them {status.LaggardCount} have not even the bundle of now:" : $"waits for {status.LaggardCount}:");
                var laggards = new Table("who", "why");
                foreach (var laggard in status.Laggards)
                {
                    laggards.Add(new Cell(laggard.Who, Tone.Bad), laggard.Why);
                }

                laggards.Write(answer.Out, answer.Ink);
            }
        });

    private static string? Stamp(long seconds) => seconds > 0 ? HumanTime.Stamp(Time(seconds)) : null;

    private static DateTimeOffset Time(long seconds) => DateTimeOffset.FromUnixTimeSeconds(seconds);
}
