using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Types;

namespace Signet.Cli.Commands;

/// <summary><c>signet federation create|list|show|update|refresh|delete</c>.</summary>
internal static class FederationCommand
{
    public static Command Create(CliContext context) => new("federation", "Other trust domains, and where their bundles are fetched from")
    {
        CreateOne(context), List(context), Show(context), Update(context), Refresh(context), Delete(context),
    };

    private static Command CreateOne(CliContext context)
    {
        var trustDomain = CommandValues.TrustDomain("trust-domain", "Whose workloads are to be known here");
        var endpoint = new EndpointOptions(isNew: true);
        var server = CliContext.ServerOption();
        var command = new Command(
            "create",
            "Fetch another trust domain's bundle from now on. Example: signet federation create other.example --url https://other.example:8443/bundle --profile https_spiffe --endpoint-spiffe-id spiffe://other.example/spire/server --bootstrap other.pem")
        {
            trustDomain, server,
        };
        endpoint.AddTo(command);
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var wanted = new FederationRelationship { TrustDomain = parsed.GetRequiredValue(trustDomain)!.Name };
            await endpoint.FillAsync(parsed, wanted, cancellationToken).ConfigureAwait(false);
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            await admin.CreateRelationshipAsync(wanted, cancellationToken).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync($"created {wanted.TrustDomain}; see how it goes with: signet federation refresh {wanted.TrustDomain}").ConfigureAwait(false);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command List(CliContext context)
    {
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("list", "List relationships, those of the configuration file too. Example: signet federation list") { server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var relationships = await admin.RelationshipsAsync(cancellationToken).ConfigureAwait(false);
            var bundles = (await admin.FederatedBundlesAsync(cancellationToken).ConfigureAwait(false)).ToDictionary(bundle => bundle.TrustDomain);
            var table = new Table("trust domain", "url", "profile", "endpoint", "made by", "bundle");
            foreach (var one in relationships)
            {
                var bundle = bundles.GetValueOrDefault(one.TrustDomain);
                table.Add(
                    one.TrustDomain.Name, one.Url, one.Profile, one.EndpointId, one.IsStatic ? "configuration" : "operator",
                    new Cell(bundle is null ? "none yet" : $"sequence {bundle.Sequence}", bundle is null ? Tone.Bad : Tone.Plain));
            }

            Answer.To(parsed, output).WriteList("relationships", relationships.Select(Json), table);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Show(CliContext context)
    {
        var trustDomain = CommandValues.TrustDomain("trust-domain", "With whom");
        var (server, output) = (CliContext.ServerOption(), Answer.Option());
        var command = new Command("show", "Show one relationship. Example: signet federation show other.example") { trustDomain, server, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var name = parsed.GetRequiredValue(trustDomain)!;
            var found = (await admin.RelationshipsAsync(cancellationToken).ConfigureAwait(false)).FirstOrDefault(one => one.TrustDomain == name)
                ?? throw new CliError($"there is no relationship with {name}", "see: signet federation list");
            Answer.To(parsed, output).Write(() => Json(found), answer =>
            {
                foreach (var (key, value) in Json(found).Where(pair => pair.Value is not null))
                {
                    answer.Out.WriteLine($"{key,-18}{value}");
                }
            });
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Update(CliContext context)
    {
        var trustDomain = CommandValues.TrustDomain("trust-domain", "With whom");
        var endpoint = new EndpointOptions(isNew: false);
        var server = CliContext.ServerOption();
        var command = new Command("update", "Change where a bundle is fetched from, or how that place is recognised. Example: signet federation update other.example --url https://new.other.example/bundle") { trustDomain, server };
        endpoint.AddTo(command);
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var wanted = new FederationRelationship { TrustDomain = parsed.GetRequiredValue(trustDomain)!.Name };
            var mask = await endpoint.FillAsync(parsed, wanted, cancellationToken).ConfigureAwait(false);
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            await admin.UpdateRelationshipAsync(wanted, mask, cancellationToken).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync($"updated {wanted.TrustDomain}").ConfigureAwait(false);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Refresh(CliContext context)
    {
        var trustDomain = CommandValues.TrustDomain("trust-domain", "Whose bundle");
        var server = CliContext.ServerOption();
        var command = new Command("refresh", "Fetch a bundle now and say why when it does not work. Example: signet federation refresh other.example") { trustDomain, server };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var name = parsed.GetRequiredValue(trustDomain)!;
            await admin.RefreshAsync(name, cancellationToken).ConfigureAwait(false);
            var bundle = await admin.FederatedBundleAsync(name, cancellationToken).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(
                $"the bundle of {name} is fresh: sequence {bundle.Sequence}, {bundle.X509.Authorities.Count} authorities, {bundle.Jwt.Authorities.Count} JWT keys").ConfigureAwait(false);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Delete(CliContext context)
    {
        var trustDomain = CommandValues.TrustDomain("trust-domain", "With whom");
        var server = CliContext.ServerOption();
        var command = new Command("delete", "No longer fetch a bundle; the one that was fetched stays until signet bundle delete. Example: signet federation delete other.example") { trustDomain, server };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var gone = parsed.GetRequiredValue(trustDomain)!;
            await admin.DeleteRelationshipAsync(gone, cancellationToken).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync($"deleted the relationship with {gone}").ConfigureAwait(false);
            return ExitCode.Done;
        });
        return command;
    }

    private static JsonObject Json(ListedRelationship one) => new()
    {
        ["trustDomain"] = one.TrustDomain.Name,
        ["url"] = one.Url,
        ["profile"] = one.Profile,
        ["endpointSpiffeId"] = one.EndpointId,
        ["madeBy"] = one.IsStatic ? "configuration" : "operator",
    };

    /// <summary>The options that say where a bundle is and how that place is recognised.</summary>
    private sealed class EndpointOptions(bool isNew)
    {
        private readonly Option<string> _url = new("--url") { Description = "The bundle endpoint, https", HelpName = "URL", Required = isNew };
        private readonly Option<string> _profile = ProfileOption(isNew);
        private readonly Option<Identity.Spiffe.SpiffeId?> _endpointId = CommandValues.SpiffeId("--endpoint-spiffe-id", "Whom the endpoint must be, with https_spiffe");
        private readonly Option<string> _bootstrap = new("--bootstrap") { Description = "The first bundle, for an endpoint that is of the trust domain whose bundle it serves", HelpName = "FILE" };

        public void AddTo(Command command)
        {
            command.Options.Add(_url);
            command.Options.Add(_profile);
            command.Options.Add(_endpointId);
            command.Options.Add(_bootstrap);
        }

        /// <summary>Writes what was given into a relationship.</summary>
        /// <returns>Which parts of it were given.</returns>
        public async Task<FederationRelationshipMask> FillAsync(ParseResult parsed, FederationRelationship wanted, CancellationToken cancellationToken)
        {
            var mask = new FederationRelationshipMask { BundleEndpointUrl = parsed.GetValue(_url) is not null, BundleEndpointProfile = parsed.GetValue(_profile) is not null };
            var (id, bootstrap) = (parsed.GetValue(_endpointId), parsed.GetValue(_bootstrap));
            if (parsed.GetValue(_profile) != "https_spiffe" && (id is not null || bootstrap is not null))
            {
                throw new CliError("--endpoint-spiffe-id and --bootstrap go with --profile https_spiffe", "add --profile https_spiffe, or leave them out");
            }

            wanted.BundleEndpointUrl = parsed.GetValue(_url) ?? "";
            switch (parsed.GetValue(_profile))
            {
                case "https_web":
                    wanted.HttpsWeb = new HTTPSWebProfile();
                    break;
                case "https_spiffe":
                    wanted.HttpsSpiffe = new HTTPSSPIFFEProfile
                    {
                        EndpointSpiffeId = id?.Uri ?? throw new CliError("--profile https_spiffe needs --endpoint-spiffe-id", $"for a Signet or SPIRE server: spiffe://{wanted.TrustDomain}/spire/server"),
                    };
                    if (bootstrap is not null)
                    {
                        wanted.HttpsSpiffe.BootstrapBundle =
                            (await BundleCommand.ReadAsync(Identity.Spiffe.TrustDomain.Parse(wanted.TrustDomain), bootstrap, cancellationToken).ConfigureAwait(false)).ToWire();
                    }

                    break;
            }

            return mask;
        }

        private static Option<string> ProfileOption(bool isNew)
        {
            var profile = new Option<string>("--profile") { Description = "How the endpoint proves itself: a certificate of the web for its host, or an SVID", HelpName = "https_web|https_spiffe", Required = isNew };
            profile.AcceptOnlyFromAmong("https_web", "https_spiffe");
            return profile;
        }
    }
}
