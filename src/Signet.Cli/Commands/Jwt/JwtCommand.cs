using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;
using Signet.Client;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;

namespace Signet.Cli.Commands.Jwt;

/// <summary><c>signet jwt</c>: JWT-SVIDs by hand.</summary>
internal static class JwtCommand
{
    public static Command Create(CliContext context) => new("jwt", "Make, look at and verify JWT-SVIDs by hand")
    {
        Mint(context), Inspect(context), Verify(context),
    };

    /// <summary><c>--audience</c>, at least one.</summary>
    public static Option<string[]> AudienceOption() => new("--audience")
    {
        Description = "Whom the token is for; give it again for more",
        HelpName = "AUDIENCE",
        Required = true,
        Arity = ArgumentArity.OneOrMore,
    };

    private static Command Mint(CliContext context)
    {
        var id = CommandValues.SpiffeId("--spiffe-id", "The identity", required: true);
        var audience = AudienceOption();
        var ttl = CommandValues.Duration("--ttl", "Its lifetime (default: the server's svid.jwtTtl)");
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("mint", "Have the server sign a JWT-SVID, past registration. Example: signet jwt mint --spiffe-id spiffe://example.org/tool --audience billing")
        {
            id, audience, ttl, server, output,
        };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var minted = await admin.MintTokenAsync(parsed.GetValue(id)!, parsed.GetValue(audience)!, parsed.GetValue(ttl), cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(
                () => new JsonObject { ["spiffeId"] = minted.Id.Uri, ["token"] = minted.Token, ["expiresAt"] = HumanTime.Stamp(minted.ExpiresAt) },
                answer => answer.Out.WriteLine(minted.Token));
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Inspect(CliContext context)
    {
        var (source, output) = (TokenArgument(), Answer.Option());
        var command = new Command("inspect", "Explain a token: header, claims, time left, and which rules for JWT-SVIDs it breaks. It verifies nothing. Example: signet jwt inspect - < token")
        {
            source, output,
        };
        CliContext.Run(command, (parsed, _) =>
        {
            if (!CompactJws.TryParse(TokenOf(parsed.GetValue(source)!), out var token, out var problem))
            {
                throw new CliError(problem, "a JWT-SVID is three parts with dots between them; give - to read it from standard input");
            }

            using (token)
            {
                var finding = JwtSvid.TryReadSubject(token, out var id, out problem) ? null : problem;
                var expires = token.TryClaimTime("exp", out var time) ? time : null;
                Answer.To(parsed, output).Write(
                    () => new JsonObject
                    {
                        ["spiffeId"] = id?.Uri,
                        ["expiresAt"] = expires is { } end ? HumanTime.Stamp(end) : null,
                        ["header"] = JsonNode.Parse(token.Header.GetRawText()),
                        ["claims"] = JsonNode.Parse(token.Claims.GetRawText()),
                        ["finding"] = finding,
                    },
                    answer =>
                    {
                        answer.Out.WriteLine(answer.Ink.Of(Printable.Of(token.ClaimText("sub") ?? "no subject"), Tone.Strong));
                        answer.Out.WriteLine($"  for        {Printable.Of(string.Join(", ", token.ClaimTexts("aud")))}");
                        answer.Out.WriteLine($"  until      {(expires is { } end ? HumanTime.Both(end, context.Time.GetUtcNow()) : "never")}");
                        answer.Out.WriteLine($"  algorithm  {Printable.Of(token.HeaderText("alg") ?? "none")}, key {Printable.Of(token.HeaderText("kid") ?? "unnamed")}");
                        answer.Out.WriteLine($"  JWT-SVID   {(finding is null ? "keeps every rule" : "no: " + finding)}");
                        foreach (var claim in token.Claims.EnumerateObject().Where(claim => claim.Name is not ("sub" or "aud" or "exp")))
                        {
                            answer.Out.WriteLine($"  {Printable.Of(claim.Name)}: {Printable.Of(claim.Value.GetRawText())}");
                        }
                    });
            }

            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }

    private static Command Verify(CliContext context)
    {
        var source = TokenArgument();
        var audience = new Option<string>("--audience") { Description = "What the verifier is called; the token must be for it", HelpName = "AUDIENCE", Required = true };
        var keys = new Option<string>("--keys") { Description = "The keys, a JWK Set; left out: those that the agent gives", HelpName = "FILE" };
        var trustDomain = new Option<string>("--trust-domain") { Description = "Whose keys are in that file", HelpName = "NAME" };
        var (socket, output) = (CliContext.SocketOption(), Answer.Option());
        var command = new Command("verify", "Say whether a JWT-SVID is believed; exit 1 when not. Example: signet jwt verify - --audience billing < token")
        {
            source, audience, keys, trustDomain, socket, output,
        };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var token = TokenOf(parsed.GetValue(source)!);
            var verdict = parsed.GetValue(keys) is { } file
                ? VerifyWith(ReadKeys(file, parsed.GetValue(trustDomain)), token, parsed.GetValue(audience)!, context)
                : await VerifyAtAgentAsync(CliContext.AgentAddress(parsed.GetValue(socket)), token, parsed.GetValue(audience)!, context, cancellationToken).ConfigureAwait(false);
            Answer.To(parsed, output).Write(
                () => new JsonObject { ["valid"] = verdict.Reason is null, ["spiffeId"] = verdict.Id, ["reason"] = verdict.Reason },
                answer => answer.Out.WriteLine(verdict.Reason is null ? $"valid: {verdict.Id}" : $"invalid: {verdict.Reason}"));
            return verdict.Reason is null ? ExitCode.Done : ExitCode.Failed;
        });
        return command;
    }

    private static (string? Id, string? Reason) VerifyWith(JwtBundle bundle, string token, string audience, CliContext context)
    {
        var verdict = JwtSvidVerifier.Verify(token, trustDomain => trustDomain == bundle.TrustDomain ? bundle : null, audience, context.Time.GetUtcNow());
        return (verdict.Id?.Uri, verdict.IsTrusted ? null : verdict.Reason);
    }

    private static async Task<(string? Id, string? Reason)> VerifyAtAgentAsync(WorkloadApiAddress address, string token, string audience, CliContext context, CancellationToken cancellationToken)
    {
        using var client = new WorkloadApiClient(address, context.Time);
        try
        {
            return ((await client.ValidateJwtAsync(audience, token, cancellationToken).ConfigureAwait(false)).Id.Uri, null);
        }
        catch (WorkloadApiException refused)
        {
            return (null, refused.Message);
        }
    }

    private static JwtBundle ReadKeys(string file, string? name)
    {
        if (!TrustDomain.TryParse(name, out var trustDomain, out var problem))
        {
            throw new CliError($"--trust-domain: {problem}", "with --keys, say whose keys they are");
        }

        try
        {
            return JwtBundle.TryParse(trustDomain, File.ReadAllText(file), out var bundle, out problem)
                ? bundle
                : throw new CliError($"{file}: {problem}", "the file is a JWK Set, whose keys have the use jwt-svid");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CliError($"{file}: {e.Message}", "check the path and its permissions");
        }
    }

    private static Argument<string> TokenArgument() => new("TOKEN") { Description = "The token; - reads it from standard input, where other users of this machine don't see it" };

    private static string TokenOf(string given) => (given == "-" ? ReadBounded(Console.In) : given).Trim();

    private static string ReadBounded(TextReader input)
    {
        var block = new char[CompactJws.MaxLength + 3];
        return new string(block, 0, input.ReadBlock(block));
    }
}
