using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;
using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.X509;

namespace Signet.Cli.Commands;

/// <summary><c>signet entry create|update|list|count|show|delete|apply|diff</c>.</summary>
internal static class EntryCommand
{
    public static Command Create(CliContext context) => new("entry", "Registration: which workload gets which identity")
    {
        CreateOne(context), EntryUpdateCommand.Create(context), List(context), Count(context), Show(context), Delete(context), EntryApplyCommand.Apply(context),
        EntryApplyCommand.Diff(context),
    };

    private static Command CreateOne(CliContext context)
    {
        var id = CommandValues.SpiffeId("--spiffe-id", "The identity", required: true);
        var parent = CommandValues.SpiffeId("--parent-id", "The agent whose workloads may get it (see: signet token create, signet status)", required: true);
        var selectors = CommandValues.Selectors("--selector");
        var x509Ttl = CommandValues.Duration("--x509-ttl", "The certificate's lifetime (default: the server's)");
        var jwtTtl = CommandValues.Duration("--jwt-ttl", "The token's lifetime (default: the server's)");
        var dns = new Option<string[]>("--dns") { Description = "A DNS name for the certificate; give it again for more", HelpName = "NAME" };
        var template = new TemplateOptions();
        var hint = new Option<string>("--hint") { Description = "Tells a workload with several identities which is which", HelpName = "TEXT" };
        var federatesWith = CommandValues.TrustDomains("--federates-with", "Another trust domain whose workloads it is to know; give it again for more");
        var expiresAt = new Option<DateTimeOffset?>("--expires-at") { Description = "From when on the entry no longer counts (RFC 3339)", HelpName = "TIME" };
        var isAdmin = new Option<bool>("--admin") { Description = "The workload may administer the server, as admin.grants says or in everything" };
        var downstream = new Option<bool>("--downstream") { Description = "The workload is a server below this one and may have an authority" };
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command(
            "create",
            "Register a workload. Example: signet entry create --spiffe-id spiffe://example.org/web --parent-id spiffe://example.org/spire/agent/join_token/… --selector unix:uid:1000")
        {
            id, parent, selectors, x509Ttl, jwtTtl, dns, template.Subject, template.Names, template.KeyType, hint, federatesWith, expiresAt, isAdmin, downstream, server, output,
        };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var wanted = new RegistrationEntry
            {
                Id = "",
                SpiffeId = parsed.GetValue(id)!,
                ParentId = parsed.GetValue(parent)!,
                Selectors = [.. parsed.GetValue(selectors)!],
                X509Ttl = parsed.GetValue(x509Ttl),
                JwtTtl = parsed.GetValue(jwtTtl),
                DnsNames = [.. parsed.GetValue(dns) ?? []],
                Template = template.Read(parsed),
                Hint = parsed.GetValue(hint) ?? "",
                FederatesWith = [.. parsed.GetValue(federatesWith) ?? []],
                ExpiresAt = parsed.GetValue(expiresAt),
                Admin = parsed.GetValue(isAdmin),
                Downstream = parsed.GetValue(downstream),
            };
            using var client = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var entry = await client.CreateEntryAsync(wanted, cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(() => Json(entry), answer => WriteText(answer, entry));
            return ExitCode.Done;
        });
        return command;
    }

    private static Command List(CliContext context)
    {
        var id = CommandValues.SpiffeId("--spiffe-id", "Only entries for this identity");
        var parent = CommandValues.SpiffeId("--parent-id", "Only entries below this agent");
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("list", "List entries. Example: signet entry list --output json") { id, parent, server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var client = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var entries = await client.EntriesAsync(parsed.GetValue(id), parsed.GetValue(parent), cancellationToken).ConfigureAwait(false);
            var table = new Table("id", "spiffe id", "parent id", "selectors", "ttl");
            foreach (var entry in entries)
            {
                table.Add(entry.Id, entry.SpiffeId.Uri, entry.ParentId.Uri, string.Join(' ', entry.Selectors), entry.X509Ttl is { } ttl ? DurationText.Format(ttl) : "default");
            }

            Answer.To(parsed, output).WriteList("entries", entries.Select(Json), table);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Count(CliContext context)
    {
        var id = CommandValues.SpiffeId("--spiffe-id", "Only entries for this identity");
        var parent = CommandValues.SpiffeId("--parent-id", "Only entries below this agent");
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("count", "Count entries. Example: signet entry count") { id, parent, server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var client = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var count = await client.CountEntriesAsync(parsed.GetValue(id), parsed.GetValue(parent), cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(() => new JsonObject { ["count"] = count }, answer => answer.Out.WriteLine(count));
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Show(CliContext context)
    {
        var id = new Argument<string>("id") { Description = "The entry's own id" };
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("show", "Show one entry. Example: signet entry show 3f0e…") { id, server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var client = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var entry = await client.EntryAsync(parsed.GetRequiredValue(id), cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(() => Json(entry), answer => WriteText(answer, entry));
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Delete(CliContext context)
    {
        var id = new Argument<string>("id") { Description = "The entry's own id" };
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("delete", "Remove one entry; workloads lose the identity at once. Example: signet entry delete 3f0e…") { id, server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var client = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            await client.DeleteEntryAsync(parsed.GetRequiredValue(id), cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(
                () => new JsonObject { ["id"] = parsed.GetRequiredValue(id), ["deleted"] = true }, answer => answer.Out.WriteLine($"deleted {parsed.GetRequiredValue(id)}"));
            return ExitCode.Done;
        });
        return command;
    }

    internal static JsonObject Json(RegistrationEntry entry) => new()
    {
        ["id"] = entry.Id,
        ["spiffeId"] = entry.SpiffeId.Uri,
        ["parentId"] = entry.ParentId.Uri,
        ["selectors"] = new JsonArray([.. entry.Selectors.Select(selector => JsonValue.Create(selector.ToString()))]),
        ["x509Ttl"] = entry.X509Ttl is { } x509 ? DurationText.Format(x509) : null,
        ["jwtTtl"] = entry.JwtTtl is { } jwt ? DurationText.Format(jwt) : null,
        ["dnsNames"] = new JsonArray([.. entry.DnsNames.Select(name => JsonValue.Create(name))]),
        ["keyType"] = entry.Template.KeyType?.Name(),
        ["subject"] = entry.Template.Subject,
        ["names"] = new JsonArray([.. entry.Template.Names.Select(name => JsonValue.Create(name))]),
        ["hint"] = entry.Hint,
        ["federatesWith"] = new JsonArray([.. entry.FederatesWith.Select(trustDomain => JsonValue.Create(trustDomain.Name))]),
        ["admin"] = entry.Admin,
        ["downstream"] = entry.Downstream,
        ["expiresAt"] = entry.ExpiresAt is { } end ? HumanTime.Stamp(end) : null,
        ["revision"] = entry.Revision,
        ["createdAt"] = HumanTime.Stamp(entry.CreatedAt),
    };

    internal static void WriteText(Answer answer, RegistrationEntry entry)
    {
        foreach (var (name, value) in Json(entry).Where(pair => pair.Value is not null && pair.Value.ToString() is not ("" or "[]" or "false")))
        {
            answer.Out.WriteLine($"{name,-14}{(value is JsonArray list ? string.Join(' ', list) : value)}");
        }
    }
}
