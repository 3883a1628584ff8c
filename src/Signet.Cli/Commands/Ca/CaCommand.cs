using System.CommandLine;
using Signet.Cli.Commands.X509;

namespace Signet.Cli.Commands.Ca;

/// <summary><c>signet ca</c>: the trust anchor kept off the server.</summary>
internal static class CaCommand
{
    public static Command Create(CliContext context) => new("ca", "A trust anchor whose key is kept off the server")
    {
        CeremonyCommands.Init(context),
        CeremonyCommands.Request(),
        CeremonyCommands.Sign(context),
        RevokeCommand.Create(context),
        InspectCommand.Create(context.Time),
    };
}
