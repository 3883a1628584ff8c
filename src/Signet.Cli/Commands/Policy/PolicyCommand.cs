using System.CommandLine;

namespace Signet.Cli.Commands.Policy;

/// <summary><c>signet policy</c>: what policies say, without a network.</summary>
public static class PolicyCommand
{
    public static Command Create() => new("policy", "Ask what policies say: who may do what, and whether it is mutual TLS")
    {
        CheckCommand.Create(),
        ExplainCommand.Create(),
        EffectiveCommand.Create(),
        TableCommand.Create(),
        LintCommand.Create(),
        SimulateCommand.Create(),
    };
}
