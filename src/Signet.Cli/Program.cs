using System.CommandLine;
using Signet.Cli;
using Signet.Cli.Commands;
using Signet.Cli.Commands.Authority;
using Signet.Cli.Commands.Ca;
using Signet.Cli.Commands.Capture;
using Signet.Cli.Commands.Jwt;
using Signet.Cli.Commands.Policy;
using Signet.Cli.Commands.X509;

// The one place that hands out the wall clock and chance.
#pragma warning disable RS0030
var context = new CliContext(TimeProvider.System, Random.Shared.NextDouble);
#pragma warning restore RS0030

var x509 = X509Command.Create(context.Time);
x509.Subcommands.Add(MintCommand.Create(context));
var root = new RootCommand("Gives every service an identity and makes every connection between services mutual TLS.")
{
    DemoCommand.Create(context),
    DemoCommand.Service(context),
    RoleCommand.Server(context),
    RoleCommand.Agent(context),
    RoleCommand.Proxy(context),
    RoleCommand.Helper(context),
    CaptureCommand.Create(context),
    TokenCommand.Create(context),
    EntryCommand.Create(context),
    BundleCommand.Create(context),
    FederationCommand.Create(context),
    AuditCommand.Create(context),
    AuthorityCommand.Create(context),
    RevocationCommand.Revoke(context),
    RevocationCommand.List(context),
    CaCommand.Create(context),
    FetchCommand.Create(context),
    JwtCommand.Create(context),
    WatchCommand.Create(context),
    x509,
    PolicyCommand.Create(),
    StatusCommand.Create(context),
    ExplainIdentityCommand.Create(context),
};

var parsed = root.Parse(args);

// A role drains for up to half a minute after it was told to end; the command line must not cut it short.
var invocation = new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromMinutes(2) };
var exit = await parsed.InvokeAsync(invocation).ConfigureAwait(false);
return parsed.Errors.Count > 0 ? Signet.Cli.Output.ExitCode.Usage : exit;
