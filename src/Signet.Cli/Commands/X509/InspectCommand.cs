using System.CommandLine;
using System.Text.Json;

namespace Signet.Cli.Commands.X509;

/// <summary><c>signet x509 inspect</c>: explains the certificates of a file to people and scripts. It trusts and verifies nothing.</summary>
public static class InspectCommand
{
    private static readonly Argument<string> Source = new("FILE") { Description = "Certificates, PEM or DER; '-' is standard input." };
    private static readonly Option<string> Output = new("--output") { Description = "text or json.", DefaultValueFactory = _ => "text" };

    public static Command Create(TimeProvider clock)
    {
        var command = new Command("inspect", """
            Explain a certificate chain: roles, SPIFFE IDs, time left, keys, usages, and which rules for SVIDs it breaks.

            Example: signet x509 inspect svid.pem
            """)
        {
            Source, Output,
        };
        Output.AcceptOnlyFromAmong("text", "json");
        command.SetAction(parsed => Run(parsed, clock.GetUtcNow()));
        return command;
    }

    private static int Run(ParseResult parsed, DateTimeOffset now)
    {
        var output = parsed.InvocationConfiguration.Output;
        if (!CertificateFiles.TryReadCertificates(parsed.GetValue(Source)!, out var certificates, out var problem))
        {
            parsed.InvocationConfiguration.Error.WriteLine("error: " + problem);
            parsed.InvocationConfiguration.Error.WriteLine("hint: certificates are PEM (\"CERTIFICATE\") or DER");
            return 1;
        }

        var reports = certificates.Select(c => CertificateReport.Of(c, now)).ToArray();
        if (parsed.GetValue(Output) == "json")
        {
            output.WriteLine(JsonSerializer.Serialize(new { certificates = reports }, CertificateReport.Json));
            return 0;
        }

        for (var i = 0; i < reports.Length; i++)
        {
            if (i > 0)
            {
                output.WriteLine();
            }

            reports[i].WriteTo(output, i + 1, now);
        }

        return 0;
    }
}
