using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Configuration;
using Signet.Hosting.Files;

namespace Signet.Helper;

/// <summary>Tells others that the files have changed: runs a program, without a shell and bounded in time and output, or signals a process.</summary>
internal sealed partial class HookRunner(ChangeHook hook, TimeProvider time, ILogger log)
{
    private const int MaxOutputChars = 16 * 1024;

    /// <summary>A program that it started and left behind may hold its output open.</summary>
    private static readonly TimeSpan OutputGrace = TimeSpan.FromSeconds(1);

    /// <summary>Does it once.</summary>
    /// <returns>Why it did not work; null when it did.</returns>
    public async Task<string?> RunAsync(CancellationToken cancellationToken)
    {
        var (what, problem) = hook switch
        {
            ChangeHook.Command command => (command.Arguments[0], await RunAsync(command, cancellationToken).ConfigureAwait(false)),
            ChangeHook.Signal signal => ($"signal {signal.Number} by {signal.PidFile}", Send(signal)),
            _ => throw new UnreachableException(),
        };
        if (problem is null)
        {
            log.HookDone(what);
        }

        return problem;
    }

    private async Task<string?> RunAsync(ChangeHook.Command command, CancellationToken cancellationToken)
    {
        var program = command.Arguments[0];
        Process? started;
        try
        {
            started = Process.Start(new ProcessStartInfo(program, command.Arguments.Skip(1))
            {
                UseShellExecute = false,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            });
        }
        catch (Exception e) when (e is Win32Exception or IOException or UnauthorizedAccessException)
        {
            return $"{program} can't be started: {e.Message}";
        }

        using var process = started!;
        process.StandardInput.Close();
        using var timeout = new CancellationTokenSource(command.Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        var output = Task.WhenAll(LogAsync(program, process.StandardOutput), LogAsync(program, process.StandardError));
        try
        {
            await process.WaitForExitAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            cancellationToken.ThrowIfCancellationRequested();
            return $"{program} did not end within {DurationText.Format(command.Timeout)} and was killed";
        }
        finally
        {
            await output.WaitAsync(OutputGrace, time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return process.ExitCode == 0 ? null : $"{program} ended with exit code {process.ExitCode}; what it wrote is above";
    }

    private async Task LogAsync(string program, StreamReader output)
    {
        var block = new char[MaxOutputChars];
        var length = await output.ReadBlockAsync(block).ConfigureAwait(false);
        foreach (var line in new string(block, 0, length).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            log.HookOutput(program, line);
        }

        // Whatever else it writes is read and forgotten, so that it never waits for a reader.
        while (await output.ReadAsync(block).ConfigureAwait(false) > 0)
        {
        }
    }

    /// <summary>Only a process of the user whose the file is gets the signal: who can write the file can reach no more than he could anyway.</summary>
    private static string? Send(ChangeHook.Signal signal)
    {
        try
        {
            var (text, owner) = SmallFile.Read(signal.PidFile);
            if (!int.TryParse(text.Split('\n')[0].Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var pid) || pid <= 1)
            {
                return $"{signal.PidFile} does not begin with the number of a process";
            }

            return SmallFile.OwnerOf($"/proc/{pid}") is not { } user ? $"process {pid} of {signal.PidFile} does not run"
                : user != owner ? $"process {pid} belongs to user {user}, but {signal.PidFile} to user {owner}; it may be a stale file, so nothing was signalled"
                : Kill(pid, signal.Number) != 0 ? $"process {pid} can't be signalled: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}"
                : null;
        }
        catch (PlaceException e)
        {
            return e.Message;
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);
}
