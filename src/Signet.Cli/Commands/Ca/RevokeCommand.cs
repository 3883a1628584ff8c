using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Authority.Ceremony;
using Signet.Cli.Output;
using Signet.Identity.X509.Revocation;

namespace Signet.Cli.Commands.Ca;

/// <summary><c>signet ca revoke</c>: beside the offline anchor, the list that ends an issuing authority.</summary>
internal static class RevokeCommand
{
    public static Command Create(CliContext context)
    {
        var certificates = new Option<string[]>("--certificate") { Description = "An issuing authority to revoke, PEM; can be given more than once", HelpName = "FILE", Required = true, AllowMultipleArgumentsPerToken = false };
        var anchor = new Option<string>("--anchor") { Description = "The folder with anchor.crt and anchor.key", HelpName = "DIR", Required = true };
        var previous = new Option<string>("--previous") { Description = "The list before this one; what it revokes stays revoked", HelpName = "FILE" };
        var file = new Option<string>("--out") { Description = "Where the list goes", HelpName = "FILE", Required = true };
        var (passphrase, output) = (CeremonyCommands.Passphrase(), Answer.Option());
        var command = new Command("revoke", "Revoke issuing authorities with an offline anchor. Example: signet ca revoke --certificate issuer.crt --anchor /media/root --out anchor.crl")
        {
            certificates, anchor, previous, file, passphrase, output,
        };
        CliContext.Run(command, (parsed, _) =>
        {
            var place = parsed.GetRequiredValue(anchor);
            using var key = CeremonyCommands.AnchorKey(place, parsed.GetValue(passphrase));
            var before = parsed.GetValue(previous) is { } path ? Previous(path) : null;
            var list = OfflineRoot.TryRevoke(
                CeremonyCommands.Certificate(Path.Combine(place, "anchor.crt")), key, [.. parsed.GetRequiredValue(certificates).Select(CeremonyCommands.Certificate)], before, context.Time.GetUtcNow(), out var signed, out var problem)
                ? signed
                : throw new CliError(problem, "give --certificate the issuer.crt that signet ca sign made with this anchor");
            var target = parsed.GetRequiredValue(file);
            CeremonyCommands.WriteNew(target, list.ToPem());
            Answer.To(parsed, output).Write(
                () => new JsonObject
                {
                    ["number"] = list.NumberHex,
                    ["revoked"] = new JsonArray([.. list.Revoked.Keys.Order(StringComparer.Ordinal).Select(serial => JsonValue.Create(serial))]),
                    ["nextUpdate"] = HumanTime.Stamp(list.NextUpdate),
                    ["file"] = Path.GetFullPath(target),
                },
                answer => answer.Out.WriteLine($"{list.Count} revoked, good until {HumanTime.Stamp(list.NextUpdate)}, in {Path.GetFullPath(target)}; put it beside the issuing authority's files on the server, as anchor.crl"));
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }

    private static CertificateRevocationList Previous(string path) => CertificateRevocationList.TryReadPem(CeremonyCommands.Read(path), out var lists, out var problem)
        ? lists.Count == 1 ? lists[0] : throw new CliError($"{path} holds {lists.Count} lists", "give --previous the list of this anchor alone")
        : throw new CliError($"{path}: {problem}", "give --previous the file that signet ca revoke made before");
}
