using System.Diagnostics;
using Signet.Cli.Clients;
using Signet.Cli.Demo;
using Signet.Client;
using Signet.InteropTests.Rpc;
using Signet.Testing;

namespace Signet.InteropTests.Capture;

/// <summary>A host of its own: a network namespace with a proxy under a user of its own, and applications under another that know nothing of it.</summary>
internal sealed class Host : IAsyncDisposable
{
    public const int ProxyUid = 61337;
    private const int AppUid = 62000;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly string _folder;
    private readonly List<DemoProcess> _processes = [];

    public Host(string name, string @namespace, string folder)
    {
        (Name, Namespace, _folder) = (name, @namespace, folder);
        Directory.CreateDirectory(File("policy"));
    }

    public string Name { get; }

    public string Namespace { get; }

    public string AccessLog => System.IO.File.Exists(File("access.log")) ? System.IO.File.ReadAllText(File("access.log")) : "";

    public string File(string name) => Path.Combine(_folder, name);

    public void SetPolicy(string text)
    {
        System.IO.File.WriteAllText(File("policy.new"), text);
        System.IO.File.Move(File("policy.new"), Path.Combine(File("policy"), "policy.yaml"), overwrite: true);
    }

    /// <summary>Runs a program of root's in the namespace; it must end well.</summary>
    public async Task<string> RunAsync(string program, params string[] arguments)
    {
        var (exit, output) = await TryRunAsync(program, arguments);
        Assert.True(exit == 0, $"{program} {string.Join(' ', arguments)} in {Name}: {output}");
        return output;
    }

    /// <inheritdoc cref="RunAsync"/>
    public Task<(int Exit, string Output)> TryRunAsync(string program, params string[] arguments) => ExecAsync("ip", ["netns", "exec", Namespace, program, .. arguments]);

    public Task<(int Exit, string Output)> CaptureAsync(params string[] arguments) => TryRunAsync(DemoLayout.OwnProgram, ["capture", .. arguments]);

    /// <summary>Asks as an application would; the answer's body, or "failed" and why.</summary>
    public async Task<string> AskAsync(string uri, int uid = AppUid)
    {
        var (exit, output) = await TryRunAsync("setpriv", [.. As(uid), "curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--globoff", "--write-out", " %{http_code}", uri]);
        return exit == 0 ? output : $"failed {exit}: {output}";
    }

    /// <summary>Asks as a program that is not captured.</summary>
    public Task<string> AskAroundAsync(string uri) => AskAsync(uri, ProxyUid);

    /// <summary>Python's own web server, serving one file.</summary>
    public async Task StartAppAsync(int port, string content)
    {
        var folder = File($"app-{port}");
        Directory.CreateDirectory(folder);
        await System.IO.File.WriteAllTextAsync(Path.Combine(folder, "index.html"), content);
        Start($"app-{port}", ["setpriv", .. As(AppUid), PythonStubs.Python, "-m", "http.server", port.ToString(), "--bind", "::", "--directory", folder]);
        await Eventually.IsTrueAsync(async () => (await AskAsync($"http://127.0.0.1:{port}/")).EndsWith(" 200", StringComparison.Ordinal), $"the application at {Name}:{port}");
    }

    public async Task StartProxyAsync(X509Context identity, string rest)
    {
        SvidFolder.Write(File("identity"), identity.Default, identity.Bundles.All);
        await System.IO.File.WriteAllTextAsync(File("proxy.yaml"), $"""
            identity: {"{"}files: {"{"}certificate: identity/svid.pem, key: identity/key.pem, roots: identity/bundle.pem{"}}"}
            policy: {"{"}folder: policy{"}"}
            accessLog: {"{"}path: access.log{"}"}
            {rest}
            """);
        await ExecAsync("chown", ["-R", $"{ProxyUid}", _folder]);
        Start("proxy", ["setpriv", .. As(ProxyUid), "--inh-caps", "+net_admin", "--ambient-caps", "+net_admin", DemoLayout.OwnProgram, "proxy", "run", "--config", File("proxy.yaml")]);
        await Eventually.IsTrueAsync(
            async () => (await TryRunAsync("curl", "--silent", "--fail", "http://127.0.0.1:15000/ready")).Exit == 0, $"the proxy of {Name}: {System.IO.File.ReadAllText(File("proxy.log"))}");
    }

    public DemoProcess Start(string name, IReadOnlyList<string> command)
    {
        var process = DemoProcess.Start(name, "ip", ["netns", "exec", Namespace, .. command], File(name + ".log"));
        _processes.Add(process);
        return process;
    }

    /// <summary>Runs a program to its end.</summary>
    public static async Task<(int Exit, string Output)> ExecAsync(string program, IReadOnlyList<string> arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true })!;
        using var deadline = new CancellationTokenSource(Deadline);
        process.StandardInput.Close();
        var (output, error) = (process.StandardOutput.ReadToEndAsync(deadline.Token), process.StandardError.ReadToEndAsync(deadline.Token));
        try
        {
            await process.WaitForExitAsync(deadline.Token);
            return (process.ExitCode, (await output + await error).Trim());
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in Enumerable.Reverse(_processes))
        {
            await process.DisposeAsync();
        }

        await ExecAsync("ip", ["netns", "delete", Namespace]);
    }

    private static string[] As(int uid) => ["--reuid", $"{uid}", "--regid", $"{uid}", "--clear-groups"];
}
