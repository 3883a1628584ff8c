using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;

namespace Signet.Cli.Commands;

/// <summary><c>signet x509 mint</c>: an SVID by hand, past registration.</summary>
internal static class MintCommand
{
    private static readonly TimeSpan DefaultTtl = TimeSpan.FromHours(1);

    public static Command Create(CliContext context)
    {
        var id = CommandValues.SpiffeId("--spiffe-id", "The identity", required: true);
        var ttl = CommandValues.Duration("--ttl", "Its lifetime (default: 1h)");
        var dns = new Option<string[]>("--dns") { Description = "A DNS name for the certificate; give it again for more", HelpName = "NAME" };
        var write = new Option<string>("--write") { Description = "Write svid.pem, key.pem and bundle.pem into this folder", HelpName = "DIR", Required = true };
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("mint", "Have the server sign an SVID for a key made here. Example: signet x509 mint --spiffe-id spiffe://example.org/tool --write /tmp/tool")
        {
            id, ttl, dns, write, server, output,
        };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var svid = await admin.MintAsync(parsed.GetValue(id)!, parsed.GetValue(ttl) ?? DefaultTtl, parsed.GetValue(dns) ?? [], cancellationToken).ConfigureAwait(false);
            var bundle = await admin.BundleAsync(cancellationToken).ConfigureAwait(false);
            var folder = parsed.GetRequiredValue(write);
            SvidFolder.Write(folder, svid, [bundle]);
            Answer.To(parsed, output).Write(
                () => new JsonObject { ["spiffeId"] = svid.Id.Uri, ["serial"] = svid.Leaf.SerialHex, ["notAfter"] = HumanTime.Stamp(svid.NotAfter), ["folder"] = Path.GetFullPath(folder) },
                answer => answer.Out.WriteLine($"{svid.Id}, serial {svid.Leaf.SerialHex}, until {HumanTime.Both(svid.NotAfter, context.Time.GetUtcNow())}, in {Path.GetFullPath(folder)}"));
            return ExitCode.Done;
        });
        return command;
    }
}
