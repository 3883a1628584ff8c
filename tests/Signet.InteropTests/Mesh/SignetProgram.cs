using System.Diagnostics;
using Signet.Cli.Demo;

namespace Signet.InteropTests.Mesh;

/// <summary>Runs the program as a person would.</summary>
internal static class SignetProgram
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(4);

    /// <summary>The exit code, and what was printed to both outputs.</summary>
    public static async Task<(int Exit, string Output)> RunAsync(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(DemoLayout.OwnProgram, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true })!;
        using var deadline = new CancellationTokenSource(Deadline);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(deadline.Token);
        var error = process.StandardError.ReadToEndAsync(deadline.Token);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
            return (process.ExitCode, await output + await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}
