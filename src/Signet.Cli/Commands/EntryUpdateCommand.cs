using System.CommandLine;
using Signet.Cli.Output;
using Signet.Identity.X509;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Types;

namespace Signet.Cli.Commands;

/// <summary><c>signet entry update</c>: what is named on the command line changes, everything else stays.</summary>
internal static class EntryUpdateCommand
{
    public static Command Create(CliContext context)
    {
        var entryId = new Argument<string>("id") { Description = "The entry's own id" };
        var id = CommandValues.SpiffeId("--spiffe-id", "The identity");
        var parent = CommandValues.SpiffeId("--parent-id", "The agent whose workloads may get it");
        var selectors = CommandValues.Selectors("--selector", required: false);
        var x509Ttl = CommandValues.Duration("--x509-ttl", "The certificate's lifetime; 0 for the server's");
        var jwtTtl = CommandValues.Duration("--jwt-ttl", "The token's lifetime; 0 for the server's");
        var dns = new Option<string[]>("--dns") { Description = "A DNS name for the certificate; give it again for more, or once and empty for none", HelpName = "NAME" };
        var template = new TemplateOptions();
        var hint = new Option<string>("--hint") { Description = "Tells a workload with several identities which is which", HelpName = "TEXT" };
        var expiresAt = new Option<DateTimeOffset?>("--expires-at") { Description = "From when on the entry no longer counts (RFC 3339)", HelpName = "TIME" };
        var isAdmin = new Option<bool?>("--admin") { Description = "Whether the workload may administer the server", HelpName = "true|false" };
        var downstream = new Option<bool?>("--downstream") { Description = "Whether the workload is a server below this one", HelpName = "true|false" };
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("update", "Change an entry; what is not named stays. Example: signet entry update 3f0e… --x509-ttl 30m")
        {
            entryId, id, parent, selectors, x509Ttl, jwtTtl, dns, template.Subject, template.Names, template.KeyType, hint, expiresAt, isAdmin, downstream, server, output,
        };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var mask = new EntryMask
            {
                SpiffeId = IsGiven(id),
                ParentId = IsGiven(parent),
                Selectors = IsGiven(selectors),
                X509SvidTtl = IsGiven(x509Ttl),
                JwtSvidTtl = IsGiven(jwtTtl),
                DnsNames = IsGiven(dns),
                SvidSubject = IsGiven(template.Subject),
                SvidNames = IsGiven(template.Names),
                SvidKeyType = IsGiven(template.KeyType),
                Hint = IsGiven(hint),
                ExpiresAt = IsGiven(expiresAt),
                Admin = IsGiven(isAdmin),
                Downstream = IsGiven(downstream),
            };
            if (mask.Equals(new EntryMask()))
            {
                throw new CliError("nothing is to be changed", "for example: --x509-ttl 30m");
            }

            var wanted = new Entry
            {
                Id = parsed.GetRequiredValue(entryId),
                SpiffeId = parsed.GetValue(id)?.ToWire(),
                ParentId = parsed.GetValue(parent)?.ToWire(),
                X509SvidTtl = (int)(parsed.GetValue(x509Ttl)?.TotalSeconds ?? 0),
                JwtSvidTtl = (int)(parsed.GetValue(jwtTtl)?.TotalSeconds ?? 0),
                SvidSubject = template.Read(parsed).Subject,
                SvidKeyType = template.Read(parsed).KeyType?.Name() ?? "",
                Hint = parsed.GetValue(hint) ?? "",
                ExpiresAt = parsed.GetValue(expiresAt)?.ToUnixTimeSeconds() ?? 0,
                Admin = parsed.GetValue(isAdmin) ?? false,
                Downstream = parsed.GetValue(downstream) ?? false,
            };
            wanted.Selectors.AddRange((parsed.GetValue(selectors) ?? []).Select(selector => selector.ToWire()));
            wanted.DnsNames.AddRange((parsed.GetValue(dns) ?? []).Where(name => name.Length > 0));
            wanted.SvidNames.AddRange(template.Read(parsed).Names);
            using var client = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var entry = await client.UpdateEntryAsync(wanted, mask, cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(() => EntryCommand.Json(entry), answer => EntryCommand.WriteText(answer, entry));
            return ExitCode.Done;

            bool IsGiven(Option option) => parsed.GetResult(option) is { Implicit: false };
        });
        return command;
    }
}
