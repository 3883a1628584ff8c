using System.CommandLine;
using System.Text.Json.Nodes;
using Grpc.Core;
using Signet.Cli.Clients;
using Signet.Cli.Commands.Jwt;
using Signet.Cli.Output;
using Signet.Client;
using Signet.Identity.Jose;
using Signet.Identity.X509;

namespace Signet.Cli.Commands;

/// <summary><c>signet fetch x509|jwt|bundles</c>: a Workload API client at hand.</summary>
internal static class FetchCommand
{
    private const string NoEntry = "is there an entry whose selectors this process has? see: signet explain --pid PID; signet entry list";

    private static readonly TimeSpan DefaultPatience = TimeSpan.FromSeconds(10);

    public static Command Create(CliContext context)
    {
        var write = new Option<string>("--write") { Description = "Write svid.pem, key.pem and bundle.pem into this folder", HelpName = "DIR" };
        var timeout = CommandValues.Duration("--timeout", "How long to wait for an identity (default: 10s)");
        var (socket, output) = (CliContext.SocketOption(), Answer.Option());
        var x509 = new Command("x509", "Get this process's X.509-SVIDs. Example: signet fetch x509 --write /tmp/me") { write, timeout, socket, output };
        CliContext.Run(x509, async (parsed, cancellationToken) =>
        {
            var address = CliContext.AgentAddress(parsed.GetValue(socket));
            await using var source = new X509Source(address, context.Time);
            var patience = parsed.GetValue(timeout) ?? DefaultPatience;
            X509Context identity;
            try
            {
                identity = await source.WaitAsync(cancellationToken).WaitAsync(patience, context.Time, cancellationToken).ConfigureAwait(false);
            }
            catch (TimeoutException)
            {
                throw new CliError(
                    source.Problem ?? $"{address} gave no identity in time",
                    $"is the agent running? {NoEntry}");
            }

            if (parsed.GetValue(write) is { } folder)
            {
                SvidFolder.Write(folder, identity.Default, identity.Bundles.All);
            }

            Answer.To(parsed, output).Write(() => Json(identity), answer => WriteText(answer, identity, context.Time.GetUtcNow()));
            return ExitCode.Done;
        });
        return new Command("fetch", "Get an identity from the agent") { x509, Jwt(context), Bundles(context) };
    }

    private static Command Jwt(CliContext context)
    {
        var audience = JwtCommand.AudienceOption();
        var id = CommandValues.SpiffeId("--spiffe-id", "Of this identity only (default: of all that this process has)");
        var (socket, output) = (CliContext.SocketOption(), Answer.Option());
        var command = new Command("jwt", "Get this process's JWT-SVIDs for an audience. Example: signet fetch jwt --audience billing") { audience, id, socket, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var client = new WorkloadApiClient(CliContext.AgentAddress(parsed.GetValue(socket)), context.Time);
            var fetched = await AskAsync(client.FetchJwtAsync(parsed.GetValue(audience)!, parsed.GetValue(id), cancellationToken)).ConfigureAwait(false);

            Answer.To(parsed, output).Write(
                () => new JsonObject
                {
                    ["svids"] = new JsonArray([.. fetched.Select(svid => new JsonObject
                    {
                        ["spiffeId"] = svid.Id.Uri,
                        ["token"] = svid.Token,
                        ["expiresAt"] = HumanTime.Stamp(svid.ExpiresAt),
                        ["hint"] = svid.Hint,
                    })]),
                },
                answer =>
                {
                    foreach (var svid in fetched)
                    {
                        answer.Out.WriteLine($"{answer.Ink.Of(svid.Id.Uri, Tone.Strong)}  until {HumanTime.Both(svid.ExpiresAt, context.Time.GetUtcNow())}");
                        answer.Out.WriteLine(svid.Token);
                    }
                });
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Bundles(CliContext context)
    {
        var write = new Option<string>("--write") { Description = "Write DOMAIN.pem and DOMAIN.jwks of each trust domain into this folder, and all together as bundles.json, a SPIFFE bundle map", HelpName = "DIR" };
        var (socket, output) = (CliContext.SocketOption(), Answer.Option());
        var command = new Command("bundles", "Get the trust bundles that this process may use. Example: signet fetch bundles --write /tmp/bundles") { write, socket, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var client = new WorkloadApiClient(CliContext.AgentAddress(parsed.GetValue(socket)), context.Time);
            var bundles = await AskAsync(client.FetchBundlesAsync(cancellationToken)).ConfigureAwait(false);

            if (parsed.GetValue(write) is { } folder)
            {
                SvidFolder.Write(folder, bundles);
            }

            var table = new Table("trust domain", "authorities", "jwt keys");
            foreach (var bundle in bundles)
            {
                table.Add(bundle.TrustDomain.Name, $"{bundle.X509.Authorities.Count}", $"{bundle.Jwt.Authorities.Count}");
            }

            Answer.To(parsed, output).WriteList(
                "bundles",
                bundles.Select(bundle => new JsonObject
                {
                    ["trustDomain"] = bundle.TrustDomain.Name,
                    ["x509Authorities"] = bundle.X509.Authorities.Count,
                    ["jwtKeys"] = bundle.Jwt.Authorities.Count,
                    ["pem"] = bundle.X509.ToPem(),
                    ["jwks"] = JsonNode.Parse(bundle.Jwt.ToJson()),
                }),
                table);
            return ExitCode.Done;
        });
        return command;
    }

    private static async Task<T> AskAsync<T>(Task<T> answer)
    {
        try
        {
            return await answer.ConfigureAwait(false);
        }
        catch (WorkloadApiException e)
        {
            throw new CliError(e.Message, "is that the agent's socket? see: signet fetch x509");
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.PermissionDenied)
        {
            throw new CliError(e.Status.Detail, NoEntry);
        }
    }

    private static JsonObject Json(X509Context identity) => new()
    {
        ["svids"] = new JsonArray([.. identity.Svids.Select(svid => new JsonObject
        {
            ["spiffeId"] = svid.Id.Uri,
            ["serial"] = svid.Leaf.SerialHex,
            ["issuer"] = svid.Leaf.Issuer,
            ["keyType"] = KeyTypes.NameOf(svid.Leaf),
            ["notBefore"] = HumanTime.Stamp(svid.NotBefore),
            ["notAfter"] = HumanTime.Stamp(svid.NotAfter),
            ["hint"] = svid.Hint,
        })]),
        ["bundles"] = new JsonArray([.. identity.Bundles.All.Select(bundle => new JsonObject
        {
            ["trustDomain"] = bundle.TrustDomain.Name,
            ["authorities"] = bundle.Authorities.Count,
        })]),
    };

    private static void WriteText(Answer answer, X509Context identity, DateTimeOffset now)
    {
        foreach (var svid in identity.Svids)
        {
            answer.Out.WriteLine(answer.Ink.Of(svid.Id.Uri, Tone.Strong));
            answer.Out.WriteLine($"  serial  {svid.Leaf.SerialHex}");
            answer.Out.WriteLine($"  issuer  {svid.Leaf.Issuer}");
            answer.Out.WriteLine($"  key     {KeyTypes.NameOf(svid.Leaf)}");
            answer.Out.WriteLine($"  until   {HumanTime.Both(svid.NotAfter, now)}");
            if (svid.Hint is { } hint)
            {
                answer.Out.WriteLine($"  hint    {hint}");
            }
        }

        foreach (var bundle in identity.Bundles.All)
        {
            answer.Out.WriteLine($"trusts {bundle.Authorities.Count} authorities of {bundle.TrustDomain}");
        }
    }
}
