using System.CommandLine;

namespace Signet.Cli.Commands.Authority;

/// <summary><c>signet authority</c>: the keys that sign, and their rotation.</summary>
internal static class AuthorityCommand
{
    public static Command Create(CliContext context) => new("authority", "The authorities that sign, and their rotation")
    {
        ShowCommand.Create(context),
        OrderCommand.Prepare(context),
        OrderCommand.Activate(context),
        OrderCommand.Taint(context),
        OrderCommand.Revoke(context),
        RotateCommand.Create(context),
    };
}
