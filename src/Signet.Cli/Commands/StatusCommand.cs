using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;

namespace Signet.Cli.Commands;

/// <summary><c>signet status</c>: the trust domain at a glance.</summary>
internal static class StatusCommand
{
    public static Command Create(CliContext context)
    {
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("status", "Show the trust domain: anchors, agents, entries. Example: signet status") { server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var bundle = await admin.BundleAsync(cancellationToken).ConfigureAwait(false);
            var agents = await admin.AgentsAsync(cancellationToken).ConfigureAwait(false);
            var entries = await admin.EntriesAsync(null, null, cancellationToken).ConfigureAwait(false);
            var now = context.Time.GetUtcNow();
            Answer.To(parsed, output).Write(
                () => new JsonObject
                {
                    ["trustDomain"] = bundle.TrustDomain.Name,
                    ["anchors"] = new JsonArray([.. bundle.Authorities.Select(anchor => new JsonObject { ["serial"] = anchor.SerialHex, ["subject"] = anchor.Subject, ["notAfter"] = HumanTime.Stamp(anchor.NotAfter) })]),
                    ["agents"] = new JsonArray([.. agents.Select(agent => new JsonObject { ["spiffeId"] = agent.Id.Uri, ["serial"] = agent.Serial, ["notAfter"] = HumanTime.Stamp(agent.NotAfter), ["expired"] = agent.NotAfter < now, ["banned"] = agent.Banned })]),
                    ["entries"] = entries.Count,
                },
                answer =>
                {
                    answer.Out.WriteLine($"trust domain {answer.Ink.Of(bundle.TrustDomain.Name, Tone.Strong)}, {entries.Count} entries");
                    var table = new Table("what", "name", "serial", "until");
                    foreach (var anchor in bundle.Authorities)
                    {
                        table.Add("trust anchor", anchor.Subject, anchor.SerialHex, HumanTime.Both(anchor.NotAfter, now));
                    }

                    foreach (var agent in agents)
                    {
                        table.Add(agent.Banned ? "agent, banned" : "agent", agent.Id.Uri, agent.Serial, new Cell(HumanTime.Both(agent.NotAfter, now), agent.NotAfter < now ? Tone.Bad : Tone.Plain));
                    }

                    table.Write(answer.Out, answer.Ink);
                });
            return ExitCode.Done;
        });
        return command;
    }
}
