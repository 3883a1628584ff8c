using System.CommandLine;
using System.Text;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;
using Signet.Hosting.Configuration;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using DeleteMode = Signet.Rpc.Wire.Spire.Server.Bundle.BatchDeleteFederatedBundleRequest.Types.Mode;

namespace Signet.Cli.Commands;

/// <summary><c>signet bundle show|list|set|delete|count</c>.</summary>
internal static class BundleCommand
{
    public static Command Create(CliContext context) => new("bundle", "Trust bundles: whom relying parties believe")
    {
        Show(context), List(context), Set(context), Delete(context), Count(context),
    };

    private static Command Show(CliContext context)
    {
        var trustDomain = CommandValues.TrustDomain("trust-domain", "Another trust domain's (default: the server's own)", required: false);
        var format = new Option<string>("--format") { Description = "pem, spiffe for the standard's JSON with all keys, or jwks for the keys of JWT-SVIDs", HelpName = "pem|spiffe|jwks", DefaultValueFactory = _ => "pem" };
        format.AcceptOnlyFromAmong("pem", "spiffe", "jwks");
        var server = CliContext.ServerOption();
        var command = new Command("show", "Print what relying parties must trust. Example: signet bundle show > bundle.pem") { trustDomain, format, server };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var bundle = parsed.GetValue(trustDomain) is { } other
                ? await admin.FederatedBundleAsync(other, cancellationToken).ConfigureAwait(false)
                : await admin.OwnBundleAsync(cancellationToken).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteAsync(parsed.GetValue(format) switch
            {
                "pem" => bundle.X509.ToPem(),
                "jwks" => bundle.Jwt.ToJson() + "\n",
                _ => bundle.ToJson() + "\n",
            }).ConfigureAwait(false);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command List(CliContext context)
    {
        var isMap = new Option<bool>("--map") { Description = "Print all bundles, the own one too, as one SPIFFE bundle map, which Envoy and gRPC read" };
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("list", "List the bundles of all trust domains that are known here. Example: signet bundle list") { isMap, server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var own = await admin.OwnBundleAsync(cancellationToken).ConfigureAwait(false);
            SpiffeBundle[] bundles = [own, .. await admin.FederatedBundlesAsync(cancellationToken).ConfigureAwait(false)];
            if (parsed.GetValue(isMap))
            {
                await parsed.InvocationConfiguration.Output.WriteAsync(BundleMap.Write(bundles) + "\n").ConfigureAwait(false);
                return ExitCode.Done;
            }

            var table = new Table("trust domain", "sequence", "authorities", "jwt keys", "refresh");
            foreach (var bundle in bundles)
            {
                table.Add(
                    bundle.TrustDomain.Name + (bundle == own ? " (own)" : ""),
                    bundle.Sequence?.ToString(System.Globalization.CultureInfo.InvariantCulture),
                    $"{bundle.X509.Authorities.Count}",
                    $"{bundle.Jwt.Authorities.Count}",
                    bundle.RefreshHint is { } hint ? DurationText.Format(hint) : null);
            }

            Answer.To(parsed, output).WriteList("bundles", bundles.Select(Json), table);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Set(CliContext context)
    {
        var trustDomain = CommandValues.TrustDomain("trust-domain", "Whose bundle it is");
        var file = new Argument<string>("file") { Description = "PEM certificates or the SPIFFE bundle format; - reads standard input" };
        var server = CliContext.ServerOption();
        var command = new Command("set", "Trust another trust domain by the bundle in a file, in place of what was known of it. Example: signet bundle set other.example other.pem") { trustDomain, file, server };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var bundle = await ReadAsync(parsed.GetRequiredValue(trustDomain)!, parsed.GetRequiredValue(file), cancellationToken).ConfigureAwait(false);
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            await admin.SetBundleAsync(bundle, cancellationToken).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync($"set {bundle.TrustDomain}: {bundle.X509.Authorities.Count} authorities, {bundle.Jwt.Authorities.Count} JWT keys").ConfigureAwait(false);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Delete(CliContext context)
    {
        var trustDomain = CommandValues.TrustDomain("trust-domain", "Whose bundle to forget");
        var mode = new Option<string>("--mode")
        {
            Description = "What becomes of entries that federate with it: restrict refuses while there are any, dissociate takes the trust domain out of them, delete deletes them",
            HelpName = "restrict|dissociate|delete",
            DefaultValueFactory = _ => "restrict",
        };
        mode.AcceptOnlyFromAmong("restrict", "dissociate", "delete");
        var server = CliContext.ServerOption();
        var command = new Command("delete", "No longer trust another trust domain. Example: signet bundle delete other.example --mode dissociate") { trustDomain, mode, server };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var gone = parsed.GetRequiredValue(trustDomain)!;
            await admin.DeleteBundleAsync(gone, Enum.Parse<DeleteMode>(parsed.GetValue(mode)!, ignoreCase: true), cancellationToken).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync($"deleted the bundle of {gone}").ConfigureAwait(false);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Count(CliContext context)
    {
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("count", "Count the bundles that are known here, the own one too. Example: signet bundle count") { server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var count = await admin.CountBundlesAsync(cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(() => new JsonObject { ["count"] = count }, answer => answer.Out.WriteLine(count));
            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>Reads a bundle that an operator has in a file, or on standard input.</summary>
    /// <exception cref="CliError">It is not one.</exception>
    internal static async Task<SpiffeBundle> ReadAsync(TrustDomain trustDomain, string file, CancellationToken cancellationToken)
    {
        string text;
        try
        {
            text = file == "-" ? await Console.In.ReadToEndAsync(cancellationToken).ConfigureAwait(false) : await File.ReadAllTextAsync(file, Encoding.UTF8, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CliError($"{file} can't be read: {e.Message}", "write the path of a PEM file or of a SPIFFE bundle");
        }

        return SpiffeBundle.TryReadAny(trustDomain, text, out var bundle, out var problem)
            ? bundle
            : throw new CliError($"{file}: {problem}", "on the other server: signet bundle show --format spiffe > bundle.json");
    }

    private static JsonObject Json(SpiffeBundle bundle) => new()
    {
        ["trustDomain"] = bundle.TrustDomain.Name,
        ["sequence"] = bundle.Sequence,
        ["refreshHint"] = bundle.RefreshHint is { } hint ? DurationText.Format(hint) : null,
        ["x509Authorities"] = bundle.X509.Authorities.Count,
        ["jwtKeys"] = bundle.Jwt.Authorities.Count,
    };
}
