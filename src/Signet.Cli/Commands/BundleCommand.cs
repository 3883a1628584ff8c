using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;

namespace Signet.Cli.Commands;

/// <summary><c>signet bundle show</c>.</summary>
internal static class BundleCommand
{
    public static Command Create(CliContext context)
    {
        var format = new Option<string>("--format") { Description = "pem, spiffe for the standard's JSON of the same authorities, or jwks for the keys of JWT-SVIDs", HelpName = "pem|spiffe|jwks", DefaultValueFactory = _ => "pem" };
        format.AcceptOnlyFromAmong("pem", "spiffe", "jwks");
        var server = CliContext.ServerOption();
        var show = new Command("show", "Print what relying parties must trust. Example: signet bundle show > bundle.pem") { format, server };
        CliContext.Run(show, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var (bundle, jwtBundle) = await admin.BundlesAsync(cancellationToken).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteAsync(parsed.GetValue(format) switch
            {
                "pem" => bundle.ToPem(),
                "jwks" => jwtBundle.ToJson() + "\n",
                _ => JsonNode.Parse(bundle.ToSpiffeJson())!.ToJsonString(new() { WriteIndented = true }) + "\n",
            }).ConfigureAwait(false);
            return ExitCode.Done;
        });
        return new Command("bundle", "Trust bundles") { show };
    }
}
