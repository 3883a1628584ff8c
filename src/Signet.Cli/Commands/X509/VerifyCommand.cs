using System.CommandLine;
using System.Text.Json;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;

namespace Signet.Cli.Commands.X509;

/// <summary><c>signet x509 verify</c>: path validation by the code that the data plane uses.</summary>
public static class VerifyCommand
{
    private static readonly Option<string?> Leaf = new("--leaf") { Description = "The certificate to verify; what follows it in the file counts as intermediates.", HelpName = "FILE" };
    private static readonly Option<string[]> Intermediates = new("--intermediates") { Description = "Certificates that may lie between, in any order.", HelpName = "FILE" };
    private static readonly Option<string[]> Roots = new("--roots") { Description = "The trusted authorities.", HelpName = "FILE" };
    private static readonly Option<string?> At = new("--at") { Description = "The time at which the path must be valid (RFC 3339); default now.", HelpName = "TIME" };
    private static readonly Option<string?> Profile = new("--profile") { Description = "spiffe (default), webpki, or rfc5280 for private authorities that keep no profile.", HelpName = "PROFILE" };
    private static readonly Option<string?> SpiffeIdOption = new("--spiffe-id") { Description = "The SPIFFE ID that the leaf must carry.", HelpName = "ID" };
    private static readonly Option<string?> Dns = new("--dns") { Description = "The host name that the leaf must carry.", HelpName = "NAME" };
    private static readonly Option<string?> Ip = new("--ip") { Description = "The address that the leaf must carry.", HelpName = "ADDRESS" };
    private static readonly Option<string?> Usage = new("--usage") { Description = "server or client; default any, for webpki server.", HelpName = "USAGE" };
    private static readonly Option<int?> MaxChain = new("--max-chain") { Description = $"How many intermediates there may be; default {PathRequest.DefaultMaxIntermediates}.", HelpName = "N" };
    private static readonly Option<string[]> Crl = new("--crl") { Description = "Revocation lists. With one, every certificate below the root must be spoken for.", HelpName = "FILE" };
    private static readonly Option<string?> Batch = new("--batch") { Description = "Judge many: '-' reads a JSON object a line and answers each with one.", HelpName = "-" };
    private static readonly Option<string> Output = new("--output") { Description = "text or json.", DefaultValueFactory = _ => "text" };

    public static Command Create(TimeProvider clock)
    {
        var command = new Command("verify", """
            Verify a certificate against trusted authorities (RFC 5280). Prints "valid", or "invalid: " and the reason; exit code 0 or 1.

            Example: signet x509 verify --leaf svid.pem --roots bundle.pem --spiffe-id spiffe://example.org/orders --usage client
            """)
        {
            Leaf, Intermediates, Roots, At, Profile, SpiffeIdOption, Dns, Ip, Usage, MaxChain, Crl, Batch, Output,
        };
        Output.AcceptOnlyFromAmong("text", "json");
        Batch.AcceptOnlyFromAmong("-");
        command.Validators.Add(result =>
        {
            if (result.GetResult(Batch) is null && (result.GetResult(Leaf) is null || result.GetResult(Roots) is null))
            {
                result.AddError("--leaf and --roots are needed, or --batch -");
            }
        });
        command.SetAction(parsed => parsed.GetValue(Batch) is not null
            ? VerifyBatch.Run(Console.In, parsed.InvocationConfiguration.Output, clock)
            : Run(parsed, clock));
        return command;
    }

    private static int Run(ParseResult parsed, TimeProvider clock)
    {
        var error = parsed.InvocationConfiguration.Error;
        var question = new VerifyQuestion
        {
            At = parsed.GetValue(At),
            Profile = parsed.GetValue(Profile),
            SpiffeId = parsed.GetValue(SpiffeIdOption),
            Dns = parsed.GetValue(Dns),
            Ip = parsed.GetValue(Ip),
            Usage = parsed.GetValue(Usage),
            MaxChain = parsed.GetValue(MaxChain),
        };
        if (!CertificateFiles.TryReadCertificates(parsed.GetValue(Leaf)!, out var chain, out var problem)
            || !TryReadAll<Certificate>(parsed.GetValue(Intermediates), CertificateFiles.TryReadCertificates, out var intermediates, out problem)
            || !TryReadAll<Certificate>(parsed.GetValue(Roots), CertificateFiles.TryReadCertificates, out var roots, out problem)
            || !TryReadAll<CertificateRevocationList>(parsed.GetValue(Crl), CertificateFiles.TryReadRevocationLists, out var lists, out problem))
        {
            error.WriteLine("error: " + problem);
            error.WriteLine("hint: certificates are PEM (\"CERTIFICATE\") or DER, revocation lists PEM (\"X509 CRL\") or DER");
            return 1;
        }

        if (!question.TryMake(chain, intermediates, roots, lists, clock.GetUtcNow(), out var request, out problem))
        {
            error.WriteLine("error: " + problem);
            error.WriteLine("hint: see signet x509 verify --help");
            return 2;
        }

        var verdict = PathValidator.Validate(request);
        Write(parsed.InvocationConfiguration.Output, verdict, parsed.GetValue(Output) == "json");
        return verdict.IsValid ? 0 : 1;
    }

    private static void Write(TextWriter output, PathVerdict verdict, bool isJson)
    {
        if (isJson)
        {
            output.WriteLine(JsonSerializer.Serialize(new
            {
                valid = verdict.IsValid,
                reason = verdict.IsValid ? null : verdict.Problem.Word(),
                detail = verdict.IsValid ? null : verdict.Reason,
                expiresAt = verdict.IsValid ? verdict.ExpiresAt : (DateTimeOffset?)null,
                path = verdict.Path.Select(c => new { subject = c.Subject, serial = c.SerialHex, fingerprint = c.Fingerprint }),
            }, CertificateReport.Json));
        }
        else
        {
            output.WriteLine(verdict.IsValid ? "valid" : $"invalid: {verdict.Problem.Word()}: {verdict.Reason}");
        }
    }

    private delegate bool Reader<T>(string path, out IReadOnlyList<T> items, out string problem);

    private static bool TryReadAll<T>(string[]? paths, Reader<T> read, out List<T> all, out string problem)
    {
        all = [];
        problem = "";
        foreach (var path in paths ?? [])
        {
            if (!read(path, out var items, out problem))
            {
                return false;
            }

            all.AddRange(items);
        }

        return true;
    }
}
