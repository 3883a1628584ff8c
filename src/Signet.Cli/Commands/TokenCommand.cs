using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;

namespace Signet.Cli.Commands;

/// <summary><c>signet token create</c>.</summary>
internal static class TokenCommand
{
    private static readonly TimeSpan DefaultTtl = TimeSpan.FromMinutes(10);

    public static Command Create(CliContext context)
    {
        var id = CommandValues.SpiffeId("--spiffe-id", "A further ID for the agent, under which entries can be registered");
        var ttl = CommandValues.Duration("--ttl", "How long the token is good (default: 10m)");
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var create = new Command("create", "Make a token that lets one agent join once. Example: signet token create --ttl 5m") { id, ttl, server, output };
        CliContext.Run(create, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var token = await admin.CreateTokenAsync(parsed.GetValue(ttl) ?? DefaultTtl, parsed.GetValue(id), cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(
                () => new JsonObject { ["token"] = token.Token, ["spiffeId"] = token.ParentId.Uri, ["expiresAt"] = HumanTime.Stamp(token.ExpiresAt) },
                answer =>
                {
                    answer.Out.WriteLine($"token       {token.Token}");
                    answer.Out.WriteLine($"agent       {token.AgentId}");
                    answer.Out.WriteLine($"parent id   {token.ParentId}");
                    answer.Out.WriteLine($"good until  {HumanTime.Both(token.ExpiresAt, context.Time.GetUtcNow())}");
                });
            return ExitCode.Done;
        });
        return new Command("token", "Tokens with which agents join") { create };
    }
}
