using System.CommandLine;
using Signet.Cli.Output;
using Signet.Policy;

namespace Signet.Cli.Commands.Policy;

/// <summary>How the policy commands run: what can't be read or understood ends them with one <c>error:</c> per problem, and its hint.</summary>
internal static class PolicyRun
{
    public static Command Runs(this Command command, Func<ParseResult, int> body)
    {
        command.SetAction(parsed =>
        {
            try
            {
                return body(parsed);
            }
            catch (InputException bad)
            {
                foreach (var problem in bad.Problems.Where(problem => problem.Severity == PolicySeverity.Error))
                {
                    Failures.Write(parsed.InvocationConfiguration.Error, problem.File.Length == 0 ? problem.Message : problem.ToString(), problem.Hint);
                }

                return ExitCode.Failed;
            }
        });
        return command;
    }
}
