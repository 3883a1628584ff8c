using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Signet.Cli.Demo;

/// <summary>A process of the demo: started with its output in a file, ended by its own number, never anybody else's.</summary>
internal sealed partial class DemoProcess : IAsyncDisposable
{
    private const int SigTerm = 15;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Process _process;
    private bool _isDisposed;
    private readonly StreamWriter _log;

    private DemoProcess(string name, Process process, StreamWriter log)
    {
        Name = name;
        LogFile = ((FileStream)log.BaseStream).Name;
        _process = process;
        _log = log;
    }

    public string Name { get; }

    /// <summary>Where its standard output and error go.</summary>
    public string LogFile { get; }

    public int Pid => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    public static DemoProcess Start(string name, string program, IEnumerable<string> arguments, string logFile)
    {
        var log = new StreamWriter(new FileStream(logFile, FileMode.Create, FileAccess.Write, FileShare.ReadWrite)) { AutoFlush = true };
        var process = new Process
        {
            StartInfo = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true },
        };
        process.OutputDataReceived += (_, line) => Write(log, line.Data);
        process.ErrorDataReceived += (_, line) => Write(log, line.Data);
        process.Start();
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return new DemoProcess(name, process, log);
    }

    /// <summary>Asks it to end and waits; one that does not is killed, and that is told.</summary>
    /// <returns>Whether it ended by itself with exit code 0.</returns>
    public async Task<bool> StopAsync()
    {
        if (!_process.HasExited)
        {
            Signal(_process.Id, SigTerm);
            using var deadline = new CancellationTokenSource(Patience);
            await _process.WaitForExitAsync(deadline.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync().ConfigureAwait(false);
            return false;
        }

        return _process.ExitCode == 0;
    }

    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        await StopAsync().ConfigureAwait(false);
        _process.Dispose();
        await _log.DisposeAsync().ConfigureAwait(false);
    }

    private static void Write(StreamWriter log, string? line)
    {
        if (line is not null)
        {
            lock (log)
            {
                log.WriteLine(line);
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Signal(int pid, int signal);
}
