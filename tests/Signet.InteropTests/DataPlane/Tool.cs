using System.Diagnostics;

namespace Signet.InteropTests.DataPlane;

/// <summary>Foreign programs with a deadline; only the own process is ever ended.</summary>
internal static class Tool
{
    /// <summary>What it printed to both outputs, whatever its exit code.</summary>
    /// <exception cref="TimeoutException">It took too long and was killed.</exception>
    public static async Task<(int Exit, string Output)> RunAsync(string program, string[] arguments, string? input = null, TimeSpan? deadline = null)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        using var patience = new CancellationTokenSource(deadline ?? TimeSpan.FromSeconds(60));
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(patience.Token);
            var error = process.StandardError.ReadToEndAsync(patience.Token);
            try
            {
                await process.StandardInput.WriteAsync(input.AsMemory(), patience.Token);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It does not want to hear more.
            }

            await process.WaitForExitAsync(patience.Token);
            return (process.ExitCode, await output + await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} took too long");
        }
    }

    /// <summary>The same, and it must succeed.</summary>
    public static async Task<string> DoAsync(string program, string[] arguments, string? input = null)
    {
        var (exit, output) = await RunAsync(program, arguments, input);
        Assert.True(exit == 0, $"{program} {string.Join(' ', arguments)}: {output}");
        return output;
    }
}
