using System.CommandLine;
using Grpc.Core;
using Signet.Agent;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Cli.Clients;
using Signet.Cli.Output;
using Signet.Client;
using Signet.Hosting;
using Signet.Proxy.Capture;
using Signet.Server.Audit;
using Signet.Server.Storage;

namespace Signet.Cli;

/// <summary>What Main hands to every command: the clock, chance, and where the server and the agent are to be found.</summary>
internal sealed record CliContext(TimeProvider Time, Func<double> Chance)
{
    private const string ServerVariable = "SIGNET_SERVER_SOCKET";
    private const string AddressVariable = "SIGNET_SERVER_ADDRESS";
    private const string ServerName = "--server", SvidName = "--svid";

    /// <summary>The option of everything that lies in the file system by default.</summary>
    public static Option<string> HomeOption() => new("--home") { Description = "The folder under which sockets and state lie (default: the system's for root, ~/.signet for everybody else)", HelpName = "DIR" };

    /// <summary>The option of commands that speak to the server; <see cref="Run"/> adds the one that says as whom.</summary>
    public static Option<string> ServerOption() => new(ServerName)
    {
        Description = $"The server: its admin socket, or HOST:PORT to speak to it over the network (default: ${ServerVariable}, then ${AddressVariable}, then the usual place)",
        HelpName = "SOCKET|HOST:PORT",
    };

    /// <summary>The option of commands that speak to the agent.</summary>
    public static Option<string> SocketOption() => new("--socket") { Description = $"The agent's socket (default: ${WorkloadApiAddress.Variable}, then the usual place)", HelpName = "SOCKET" };

    /// <summary>The usual places for this user.</summary>
    /// <exception cref="CliError">There are none.</exception>
    public static Places PlacesOf(string? home) =>
        Places.TryChoose(home, Environment.IsPrivilegedProcess, Environment.GetEnvironmentVariable("HOME"), out var places, out var problem)
            ? places
            : throw new CliError(problem, "for example: --home /tmp/signet");

    /// <summary>Speaks to the server that the command line, the environment or else the usual place names.</summary>
    /// <exception cref="CliError">There is no such place, or no identity to show there.</exception>
    public async Task<AdminClient> AdminAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        var server = parsed.GetValue<string>(ServerName) ?? Environment.GetEnvironmentVariable(ServerVariable) ?? Environment.GetEnvironmentVariable(AddressVariable) ?? PlacesOf(null).ServerSocket;
        return new AdminClient(await AdminChannel.OpenAsync(server, parsed.GetValue<string>(SvidName), Time, cancellationToken).ConfigureAwait(false), Time);
    }

    /// <summary>The agent's address: the option, then the environment, then the usual place.</summary>
    /// <exception cref="CliError">What is given there is not an address.</exception>
    public static WorkloadApiAddress AgentAddress(string? option)
    {
        var text = option ?? Environment.GetEnvironmentVariable(WorkloadApiAddress.Variable) ?? PlacesOf(null).AgentSocket;
        return WorkloadApiAddress.TryParse(text, out var address, out var problem) ? address : throw new CliError(problem, "for example: --socket unix:/run/signet/agent.sock");
    }

    /// <summary>Gives a command its body; what it throws reaches the person as <c>error:</c> and <c>hint:</c>.</summary>
    public static void Run(Command command, Func<ParseResult, CancellationToken, Task<int>> body)
    {
        if (command.Options.Any(option => option.Name == ServerName))
        {
            command.Options.Add(new Option<string>(SvidName)
            {
                Description = "Over the network: where svid.pem, key.pem and bundle.pem lie that say who asks (default: the agent is asked)",
                HelpName = "DIR",
            });
        }

        command.SetAction((parsed, cancellationToken) => Failures.ReportAsync(parsed.InvocationConfiguration.Error, async () =>
        {
            try
            {
                return await body(parsed, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (Explain(e) is { } explained)
            {
                throw explained;
            }
        }));
    }

    private static CliError? Explain(Exception failure) => failure switch
    {
        RpcException { StatusCode: StatusCode.Unavailable } e => new CliError(
            e.Status.Detail, "is it running? start it with: signet server run or signet agent run; another place: --server, --socket"),
        RpcException { StatusCode: StatusCode.PermissionDenied } e => new CliError(e.Status.Detail, "ask an operator of this server, or run as the user that runs it"),
        RpcException { StatusCode: StatusCode.DeadlineExceeded } => new CliError("no answer in time", "is it overloaded or suspended? its log says what it does"),
        RpcException e => new CliError($"{e.StatusCode}: {e.Status.Detail}", "change what the message names and try again"),
        StoreException e => new CliError(e.Message, e.Problem switch
        {
            StoreProblem.Full => "nothing was lost; free space and start again",
            StoreProblem.Damaged => "restore it from a backup; to found a new trust domain, move it away together with dataDir/keys",
            _ => "check the path under dataDir and its owner",
        }),
        AuditException e => new CliError(e.Message, "a server that cannot record what it does does nothing"),
        KeyManagerException e => new CliError(e.Message, "the server's own keys lie under dataDir/keys; where others come from stands under upstream"),
        IssuanceException e => new CliError(e.Message, "is this machine's clock right?"),
        CaptureException e => new CliError(e.Message, e.Hint),
        AgentStartException e => new CliError(e.Message, "on the server: signet bundle show > bundle.pem; signet token create"),
        _ => null,
    };
}
