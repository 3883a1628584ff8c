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
        var format = new Option<string>("--format") { Description = "pem, or spiffe for the standard's JSON", HelpName = "pem|spiffe", DefaultValueFactory = _ => "pem" };
        format.AcceptOnlyFromAmong("pem", "spiffe");
        var server = CliContext.ServerOption();
        var show = new Command("show", "Print what relying parties must trust. Example: signet bundle show > bundle.pem") { format, server };
        CliContext.Run(show, async (parsed, cancellationToken) =>
        {
            using var admin = new AdminClient(CliContext.ServerSocket(parsed.GetValue(server)), context.Time);
            var bundle = await admin.BundleAsync(cancellationToken).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteAsync(parsed.GetValue(format) == "pem" ? bundle.ToPem() : JsonNode.Parse(bundle.ToSpiffeJson())!.ToJsonString(new() { WriteIndented = true }) + "\n").ConfigureAwait(false);
            return ExitCode.Done;
        });
        return new Command("bundle", "Trust bundles") { show };
    }
}
