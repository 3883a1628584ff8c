using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Output;

namespace Signet.Cli.Commands;

/// <summary><c>signet proxy certs|config</c>: what a running proxy says of itself.</summary>
internal static class ProxyAdminCommand
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    public static Command Certs(CliContext context)
    {
        var (admin, output) = (AdminOption(), Answer.Option());
        var command = new Command("certs", "Show the certificates that a proxy presents and trusts. Example: signet proxy certs --admin 127.0.0.1:15000") { admin, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var certs = await AskAsync(parsed.GetValue(admin)!, "/certs", cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(() => certs, answer =>
            {
                var table = new Table("role", "spiffe id", "serial", "issuer", "until");
                foreach (var (role, certificate) in Rows(certs))
                {
                    var until = certificate["notAfter"] is { } end ? HumanTime.Both(DateTimeOffset.Parse(end.ToString(), System.Globalization.CultureInfo.InvariantCulture), context.Time.GetUtcNow()) : "-";
                    table.Add(role, Text(certificate, "spiffeId"), Text(certificate, "serial"), Text(certificate, "issuer"), until);
                }

                table.Write(answer.Out, answer.Ink);
            });
            return ExitCode.Done;
        });
        return command;
    }

    public static Command Config()
    {
        var (admin, output) = (AdminOption(), Answer.Option());
        var command = new Command("config", "Show a proxy's configuration as it is in force. Example: signet proxy config --admin 127.0.0.1:15000") { admin, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var config = await AskAsync(parsed.GetValue(admin)!, "/config", cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(() => config, answer => answer.Out.WriteLine(config.ToJsonString(new() { WriteIndented = true })));
            return ExitCode.Done;
        });
        return command;
    }

    private static Option<string> AdminOption() => new("--admin") { Description = "The proxy's admin endpoint", HelpName = "HOST:PORT", DefaultValueFactory = _ => "127.0.0.1:15000" };

    private static IEnumerable<(string Role, JsonNode Certificate)> Rows(JsonNode certs)
    {
        foreach (var certificate in certs["svids"]?.AsArray().SelectMany(svid => svid?["chain"]?.AsArray() ?? []).OfType<JsonNode>() ?? [])
        {
            yield return ("presented", certificate);
        }

        foreach (var bundle in certs["bundles"]?.AsArray().OfType<JsonNode>() ?? [])
        {
            foreach (var certificate in bundle["authorities"]?.AsArray().OfType<JsonNode>() ?? [])
            {
                yield return ($"trusted for {bundle["trustDomain"]}", certificate);
            }
        }
    }

    private static string Text(JsonNode node, string key) => node[key]?.ToString() ?? "-";

    private static async Task<JsonNode> AskAsync(string endPoint, string path, CancellationToken cancellationToken)
    {
        using var http = new HttpClient { Timeout = Timeout };
        try
        {
            var text = await http.GetStringAsync(new Uri($"http://{endPoint}{path}"), cancellationToken).ConfigureAwait(false);
            return JsonNode.Parse(text) ?? throw new CliError($"the proxy at {endPoint} answered nothing", "is it a signet proxy's admin endpoint?");
        }
        catch (Exception e) when (e is HttpRequestException or UriFormatException)
        {
            throw new CliError($"the proxy's admin endpoint {endPoint} does not answer: {e.Message}", "name it with --admin; the proxy's configuration says where it is under admin");
        }
    }
}
