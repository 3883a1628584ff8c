using Signet.Hosting;
using Signet.Hosting.Configuration;

namespace Signet.Cli.Output;

/// <summary>A command can't do what it was asked to. Ends it with exit code 1 and two lines, <c>error: …</c> and <c>hint: …</c>.</summary>
/// <param name="message">What is wrong, naming the thing and its value.</param>
/// <param name="hint">What to do about it.</param>
public sealed class CliError(string message, string hint) : Exception(message)
{
    public string Hint { get; } = hint;
}

/// <summary>Exit codes: the same for every command.</summary>
public static class ExitCode
{
    /// <summary>It is done, or the answer is yes.</summary>
    public const int Done = 0;

    /// <summary>The answer is no, or it failed.</summary>
    public const int Failed = 1;

    /// <summary>The command line can't be understood.</summary>
    public const int Usage = 2;
}

/// <summary>How failures reach a person: never a stack trace.</summary>
public static class Failures
{
    /// <summary>Runs a command's body and writes what it throws to <paramref name="error"/>.</summary>
    /// <returns>The body's exit code, or <see cref="ExitCode.Failed"/>.</returns>
    public static async Task<int> ReportAsync(TextWriter error, Func<Task<int>> body)
    {
        try
        {
            return await body().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Write(error, e);
            return ExitCode.Failed;
        }
    }

    /// <summary>One <c>error:</c> per problem, each with its <c>hint:</c> when there is one.</summary>
    public static void Write(TextWriter error, Exception e)
    {
        switch (e)
        {
            case CliError expected:
                Write(error, expected.Message, expected.Hint);
                break;
            case ConfigException config:
                foreach (var problem in config.Problems)
                {
                    Write(error, problem.ToString(), null);
                }

                break;
            case OperationCanceledException:
                Write(error, "interrupted before it was done", null);
                break;
            case IOException or UnauthorizedAccessException:
                Write(error, e.Message, null);
                break;
            default:
                Write(error, $"{e.GetType().Name}: {e.Message}", "this should not happen; please report it with the command that you ran");
                break;
        }
    }

    /// <summary>An error and what to do about it.</summary>
    public static void Write(TextWriter error, string message, string? hint)
    {
        error.WriteLine($"error: {OneLine.Of(message)}");
        if (hint is not null)
        {
            error.WriteLine($"hint: {OneLine.Of(hint)}");
        }
    }
}
