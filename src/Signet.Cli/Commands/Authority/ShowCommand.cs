using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;

namespace Signet.Cli.Commands.Authority;

/// <summary><c>signet authority show</c>.</summary>
internal static class ShowCommand
{
    public static Command Create(CliContext context)
    {
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("show", "Show every authority that is not gone: anchors, issuing authorities, JWT keys. Example: signet authority show") { server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var client = admin.Authorities;
            var authorities = await client.ListAsync(cancellationToken).ConfigureAwait(false);
            var now = context.Time.GetUtcNow();
            var table = new Table("tier", "authority", "state", "until", "below");
            foreach (var one in authorities)
            {
                var ends = DateTimeOffset.FromUnixTimeSeconds(one.ExpiresAt);
                table.Add(one.Tier, one.Id, new Cell(one.State, Of(one.State)), new Cell(HumanTime.Both(ends, now), ends < now ? Tone.Bad : Tone.Plain), one.Anchor);
            }

            Answer.To(parsed, output).WriteList(
                "authorities",
                authorities.Select(one => new JsonObject
                {
                    ["id"] = one.Id,
                    ["tier"] = one.Tier,
                    ["state"] = one.State,
                    ["notBefore"] = HumanTime.Stamp(DateTimeOffset.FromUnixTimeSeconds(one.BeginsAt)),
                    ["notAfter"] = HumanTime.Stamp(DateTimeOffset.FromUnixTimeSeconds(one.ExpiresAt)),
                    ["anchor"] = one.Anchor.Length > 0 ? one.Anchor : null,
                }),
                table);
            return ExitCode.Done;
        });
        return command;
    }

    private static Tone Of(string state) => state switch
    {
        "active" => Tone.Good,
        "tainted" or "revoked" => Tone.Bad,
        _ => Tone.Plain,
    };
}
