using System.CommandLine;

namespace Signet.Cli.Commands.X509;

/// <summary><c>signet x509</c>: certificates by hand.</summary>
public static class X509Command
{
    public static Command Create(TimeProvider clock) => new("x509", "Look at and verify certificates by hand.")
    {
        InspectCommand.Create(clock),
        VerifyCommand.Create(clock),
    };
}
