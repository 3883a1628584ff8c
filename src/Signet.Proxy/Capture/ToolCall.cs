using System.ComponentModel;
using System.Diagnostics;

namespace Signet.Proxy.Capture;

/// <summary>One run of a system program, without a shell.</summary>
/// <param name="Program">Its name; it is looked for where system programs lie, then in the search path.</param>
/// <param name="Arguments">One by one.</param>
/// <param name="Input">What it reads on its standard input.</param>
public sealed record ToolCall(string Program, IReadOnlyList<string> Arguments, string Input = "")
{
    public override string ToString() => string.Join(' ', Arguments.Prepend(Program));
}

/// <summary>What a program answered.</summary>
public sealed record ToolAnswer(int Exit, string Output, string Error);

/// <summary>Capture can't be installed, removed or read.</summary>
/// <param name="message">What failed.</param>
/// <param name="hint">What to do about it.</param>
public sealed class CaptureException(string message, string hint) : IOException(message)
{
    public string Hint { get; } = hint;
}

/// <summary>Runs system programs, each within a deadline.</summary>
public sealed class ToolRunner(TimeProvider time)
{
    /// <summary>More output than this is not read, in characters.</summary>
    private const int MaxOutput = 64 * 1024 * 1024;

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private static readonly string[] SystemFolders = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin"];

    /// <summary>Where a program lies; null when it is not installed.</summary>
    public static string? Find(string program) =>
        SystemFolders.Concat((Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Where(Path.IsPathRooted)).Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    /// <exception cref="CaptureException">The program is not installed, does not end in time, or says too much.</exception>
    public async Task<ToolAnswer> RunAsync(ToolCall call, CancellationToken cancellationToken)
    {
        var path = Find(call.Program) ?? throw new CaptureException($"{call.Program} is not installed", call.Program == "ip" ? "install the package iproute2" : "install the package iptables");
        var start = new ProcessStartInfo(path, call.Arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["LC_ALL"] = "C";
        using var deadline = new CancellationTokenSource(Deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        using var process = Start(start);
        try
        {
            var (output, error) = (ReadAsync(process.StandardOutput, both.Token), ReadAsync(process.StandardError, both.Token));
            await WriteAsync(process.StandardInput, call.Input, both.Token).ConfigureAwait(false);
            var answer = (Output: await output.ConfigureAwait(false), Error: await error.ConfigureAwait(false));
            await process.WaitForExitAsync(both.Token).ConfigureAwait(false);
            return answer is { Output: { } text, Error: { } problem }
                ? new ToolAnswer(process.ExitCode, text, problem)
                : throw new CaptureException($"{call} said more than {MaxOutput} characters", "are there that many rules? look with iptables-save");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new CaptureException($"{call} did not end within {Deadline.TotalSeconds} s", "does another program hold the lock of iptables? try again");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new CaptureException($"{start.FileName} cannot be started: {e.Message}", "check its owner and mode");
        }
    }

    private static async Task WriteAsync(StreamWriter input, string text, CancellationToken cancellationToken)
    {
        try
        {
            await input.WriteAsync(text.AsMemory(), cancellationToken).ConfigureAwait(false);
            input.Close();
        }
        catch (IOException)
        {
            // It ended without reading everything; what it says about that counts.
        }
    }

    /// <summary>Everything to the end; null when that is too much.</summary>
    private static async Task<string?> ReadAsync(StreamReader from, CancellationToken cancellationToken)
    {
        var text = new System.Text.StringBuilder();
        var buffer = new char[16 * 1024];
        while (await from.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is > 0 and var read)
        {
            text.Append(buffer, 0, text.Length <= MaxOutput ? read : 0);
        }

        return text.Length <= MaxOutput ? text.ToString() : null;
    }
}
