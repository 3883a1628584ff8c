using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
using Signet.Identity.X509.Revocation;
using Signet.Rpc.Wire.Authority;

namespace Signet.Cli.Commands;

/// <summary><c>signet revoke</c> and <c>signet revocations list</c>: certificates that nobody is to accept any more, one by one.</summary>
internal static class RevocationCommand
{
    public static Command Revoke(CliContext context)
    {
        var serial = new Option<string>("--serial") { Description = "The serial number of one certificate, in hex", HelpName = "HEX" };
        var id = CommandValues.SpiffeId("--spiffe-id", "Every certificate of this ID that has not expired");
        var reason = new Option<string>("--reason") { Description = "Why", HelpName = "REASON", Required = true };
        reason.AcceptOnlyFromAmong([.. RevocationReasons.Names]);
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var revoke = new Command("revoke", "Have nobody accept a certificate any more, from the next moment on. Example: signet revoke --serial 4c1f… --reason keyCompromise") { serial, id, reason, server, output };
        revoke.Validators.Add(parsed =>
        {
            if ((parsed.GetValue(serial) is null) == (parsed.GetValue(id) is null))
            {
                parsed.AddError("name either --serial or --spiffe-id");
            }
        });
        CliContext.Run(revoke, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            Show(context, Answer.To(parsed, output), await admin.Authorities.RevokeCertificatesAsync(parsed.GetValue(serial), parsed.GetValue(id)?.Uri, parsed.GetRequiredValue(reason), cancellationToken).ConfigureAwait(false));
            return ExitCode.Done;
        });
        return revoke;
    }

    public static Command List(CliContext context)
    {
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var list = new Command("list", "Show what is revoked one by one and may not have expired yet. Example: signet revocations list") { server, output };
        CliContext.Run(list, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            Show(context, Answer.To(parsed, output), await admin.Authorities.RevocationsAsync(cancellationToken).ConfigureAwait(false));
            return ExitCode.Done;
        });
        return new Command("revocations", "Revoked certificates") { list };
    }

    private static void Show(CliContext context, Answer answer, IReadOnlyList<Revocation> revocations)
    {
        var now = context.Time.GetUtcNow();
        var table = new Table("serial", "spiffe id", "reason", "revoked", "by");
        foreach (var one in revocations)
        {
            table.Add(one.Serial, one.SpiffeId, one.Reason, HumanTime.Both(DateTimeOffset.FromUnixTimeSeconds(one.RevokedAt), now), one.RevokedBy);
        }

        answer.WriteList("revocations", revocations.Select(ToJson), table);
    }

    private static JsonObject ToJson(Revocation one) => new JsonObject
    {
        ["serial"] = one.Serial,
        ["spiffeId"] = one.SpiffeId,
        ["authorityId"] = one.AuthorityId,
        ["expiresAt"] = HumanTime.Stamp(DateTimeOffset.FromUnixTimeSeconds(one.ExpiresAt)),
        ["revokedAt"] = HumanTime.Stamp(DateTimeOffset.FromUnixTimeSeconds(one.RevokedAt)),
        ["reason"] = one.Reason,
        ["revokedBy"] = one.RevokedBy,
    };
}
