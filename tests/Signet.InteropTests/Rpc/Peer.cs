using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Signet.InteropTests.Rpc;

/// <summary>Runs foreign programs: bounded in time, ended by handle, and missed loudly.</summary>
internal static class Peer
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private static readonly SemaphoreSlim NodeModulesGate = new(1, 1);

    /// <summary>The folder with the peers' own scripts.</summary>
    public static string Scripts => Path.Combine(Repository, "tests", "Signet.InteropTests", "peers");

    public static string Repository
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (!File.Exists(Path.Combine(folder.FullName, "Signet.slnx")))
            {
                folder = folder.Parent ?? throw new InvalidOperationException($"{AppContext.BaseDirectory} is not inside the repository");
            }

            return folder.FullName;
        }
    }

    /// <summary>Fails the test, naming what to install, when a program is not there.</summary>
    public static string Require(string path, string package)
    {
        if (!File.Exists(path))
        {
            Assert.Fail($"{path} is missing. Install it: run eng/install-peers, or apt-get install {package}");
        }

        return path;
    }

    /// <summary>Whether somebody listens at a port of the loopback.</summary>
    public static async Task<bool> ListensAsync(int port)
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Runs a program to its end and returns what it printed; fails the test when it fails.</summary>
    public static async Task<string> RunAsync(string program, string folder, params string[] arguments)
    {
        using var process = Start(program, folder, arguments);
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(patience.Token);
            var errors = process.StandardError.ReadToEndAsync(patience.Token);
            await process.WaitForExitAsync(patience.Token);
            if (process.ExitCode != 0)
            {
                Assert.Fail($"{Path.GetFileName(program)} {string.Join(' ', arguments)} ended with {process.ExitCode}:\n{await output}\n{await errors}");
            }

            return await output;
        }
        finally
        {
            Kill(process);
        }
    }

    public static Process Start(string program, string folder, params string[] arguments) => Process.Start(
        new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            Environment = { ["GRPC_ENABLE_FORK_SUPPORT"] = "0" },
        })!;

    public static void Kill(Process process)
    {
        if (!process.HasExited)
        {
            process.Kill(entireProcessTree: true);
        }
    }

    /// <summary>Installs the Node peers' packages at their locked versions, once per checkout and change of these, whoever asks first.</summary>
    public static async Task RequireNodeModulesAsync()
    {
        await NodeModulesGate.WaitAsync();
        try
        {
            await using var otherProcesses = await LockFileAsync(Path.Combine(Path.GetTempPath(), "signet-interop-npm.lock"));
            if (File.GetLastWriteTimeUtc(Path.Combine(Scripts, "node_modules", ".package-lock.json")) < File.GetLastWriteTimeUtc(Path.Combine(Scripts, "package-lock.json")))
            {
                await RunAsync(Require("/usr/bin/npm", "npm"), Scripts, "ci", "--ignore-scripts", "--no-audit", "--no-fund");
            }
        }
        finally
        {
            NodeModulesGate.Release();
        }
    }

    private static async Task<FileStream> LockFileAsync(string path)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(50), patience.Token);
            }
        }
    }
}
