using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;
using Signet.Rpc.Wire.Spire.Server.LocalAuthority;

namespace Signet.Cli.Commands.Authority;

/// <summary><c>signet authority prepare|activate|taint|revoke x509|jwt</c>: what the rule does by itself, by hand.</summary>
internal static class OrderCommand
{
    private delegate Task<AuthorityState> Order(AuthorityClient client, bool jwt, string id, CancellationToken cancellationToken);

    public static Command Prepare(CliContext context) => Create(
        context, "prepare", "Make the next authority now; one that was prepared and never used goes", "prepared", takesId: false, (client, jwt, _, stop) => client.PrepareAsync(jwt, stop));

    public static Command Activate(CliContext context) => Create(
        context, "activate", "Sign with a prepared authority from now on; the active one becomes old", "active", takesId: true, (client, jwt, id, stop) => client.ActivateAsync(jwt, id, stop));

    public static Command Taint(CliContext context) => Create(
        context, "taint", "Have everything replaced that an old authority signed, at once and everywhere", "tainted", takesId: true, (client, jwt, id, stop) => client.TaintAsync(jwt, id, stop));

    public static Command Revoke(CliContext context) => Create(
        context, "revoke", "Accept nothing any more that a tainted authority signed, and destroy its key", "revoked", takesId: true, (client, jwt, id, stop) => client.RevokeAsync(jwt, id, stop));

    private static Command Create(CliContext context, string verb, string description, string outcome, bool takesId, Order order)
    {
        var kind = new Argument<string>("KIND") { Description = "x509 for issuing authorities, jwt for keys of JWT-SVIDs" };
        kind.AcceptOnlyFromAmong("x509", "jwt");
        var id = new Option<string>("--id") { Description = "Which, as signet authority show names it", HelpName = "AUTHORITY", Required = true };
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command(verb, $"{description}. Example: signet authority {verb} x509{(takesId ? " --id 4c1f…" : "")}") { kind };
        if (takesId)
        {
            command.Options.Add(id);
        }

        command.Options.Add(server);
        command.Options.Add(output);
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var client = admin.Authorities;
            var state = await order(client, parsed.GetRequiredValue(kind) == "jwt", takesId ? parsed.GetRequiredValue(id) : "", cancellationToken).ConfigureAwait(false);
            var ends = DateTimeOffset.FromUnixTimeSeconds(state.ExpiresAt);
            Answer.To(parsed, output).Write(
                () => new JsonObject { ["id"] = state.AuthorityId, ["state"] = outcome, ["notAfter"] = HumanTime.Stamp(ends) },
                answer => answer.Out.WriteLine($"{state.AuthorityId} is {outcome}, until {HumanTime.Both(ends, context.Time.GetUtcNow())}"));
            return ExitCode.Done;
        });
        return command;
    }
}
