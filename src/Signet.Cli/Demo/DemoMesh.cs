using System.Net;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Cli.Demo;

/// <summary>The demo's processes, from first to last, and the ways in which the demo looks at them.</summary>
internal sealed class DemoMesh(DemoLayout layout, TimeProvider time) : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(100);

    private readonly List<DemoProcess> _processes = [];
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(10) };

    public IReadOnlyList<DemoProcess> Processes => _processes;

    /// <param name="svidTtl">The lifetime of SVIDs, whole seconds.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <param name="more">Further lines of the server's configuration.</param>
    public async Task StartServerAsync(TimeSpan svidTtl, CancellationToken cancellationToken, string more = "")
    {
        layout.WriteServer(svidTtl, more);
        Start("server", DemoLayout.OwnProgram, ["server", "run", "--config", layout.File("server.yaml")]);
        await ReadyAsync("server", layout.ServerMetricsPort, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends the server; <see cref="StartServerAsync"/> starts it anew on the same state.</summary>
    public Task StopServerAsync() => EndAsync("server");

    /// <summary>Ends the agent and starts it anew on the same state.</summary>
    public async Task RestartAgentAsync()
    {
        await EndAsync("agent").ConfigureAwait(false);
        Start("agent", DemoLayout.OwnProgram, ["agent", "run", "--config", layout.File("agent.yaml")]);
    }

    private async Task EndAsync(string name)
    {
        var process = _processes.Single(one => one.Name == name);
        await process.DisposeAsync().ConfigureAwait(false);
        _processes.Remove(process);
    }

    public async Task StartAgentAsync(CancellationToken cancellationToken)
    {
        using var admin = new AdminClient(layout.ServerSocket, time);
        await File.WriteAllTextAsync(layout.BundleFile, (await admin.BundleAsync(cancellationToken).ConfigureAwait(false)).ToPem(), cancellationToken).ConfigureAwait(false);
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(5), alias: null, cancellationToken).ConfigureAwait(false);
        layout.WriteAgent(token.Token);
        Start("agent", DemoLayout.OwnProgram, ["agent", "run", "--config", layout.File("agent.yaml")]);
        await ReadyAsync("agent", layout.AgentMetricsPort, cancellationToken).ConfigureAwait(false);
        foreach (var workload in layout.Workloads)
        {
            await admin.CreateEntryAsync(
                new RegistrationEntry
                {
                    Id = "",
                    SpiffeId = SpiffeId.Parse(workload.SpiffeId),
                    ParentId = token.AgentId,
                    Selectors = [new Selector("unix", $"path:{layout.ProgramFor(workload)}")],
                },
                cancellationToken).ConfigureAwait(false);
        }
    }

    public async Task StartWorkloadsAsync(CancellationToken cancellationToken)
    {
        foreach (var workload in layout.Workloads.Reverse())
        {
            var next = workload == layout.Web ? $"GET http://127.0.0.1:{DemoLayout.Number(workload.OutboundPort)}/orders"
                : workload == layout.Orders ? $"POST http://127.0.0.1:{DemoLayout.Number(workload.OutboundPort)}/charge"
                : null;
            string[] service = ["demo-service", "--name", workload.Name, "--listen", $"127.0.0.1:{DemoLayout.Number(workload.AppPort)}"];
            Start(workload.Name, DemoLayout.OwnProgram, next is null ? service : [.. service, "--next", next]);
            layout.WriteProxy(workload);
            Start(workload.Name + "-proxy", layout.ProgramFor(workload), ["proxy", "run", "--config", layout.File(workload.Name + "-proxy.yaml")]);
        }

        foreach (var workload in layout.Workloads)
        {
            await ReadyAsync(workload.Name + "-proxy", workload.AdminPort, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>A request in plaintext, as an application or a stranger sends it; status 0 when the connection was refused or cut.</summary>
    public async Task<(int Status, string Text)> AskAsync(HttpMethod method, int port, string path, CancellationToken cancellationToken)
    {
        try
        {
            using var request = new HttpRequestMessage(method, $"http://127.0.0.1:{DemoLayout.Number(port)}{path}");
            request.Headers.ConnectionClose = true;
            using var response = await _http.SendAsync(request, cancellationToken).ConfigureAwait(false);
            return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false));
        }
        catch (Exception e) when (e is HttpRequestException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return (0, e.Message);
        }
    }

    /// <summary>Asks again until the answer is the one awaited; what was seen last is the answer.</summary>
    public async Task<(int Status, string Text)> AskUntilAsync(Func<int, bool> awaited, HttpMethod method, int port, string path, CancellationToken cancellationToken)
    {
        var deadline = Deadline();
        while (true)
        {
            var answer = await AskAsync(method, port, path, cancellationToken).ConfigureAwait(false);
            if (awaited(answer.Status) || time.GetUtcNow() > deadline)
            {
                return answer;
            }

            await PauseAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The first line, not counting those already there, that fits.</summary>
    public static async Task<AccessLogLine> LineAsync(DemoWorkload workload, int skip, Func<AccessLogLine, bool> fits, TimeProvider time, CancellationToken cancellationToken)
    {
        var deadline = time.GetUtcNow() + Patience;
        while (time.GetUtcNow() <= deadline)
        {
            if (AccessLogLine.Read(workload.AccessLog, skip).FirstOrDefault(fits) is { } line)
            {
                return line;
            }

            await Task.Delay(Glance, time, cancellationToken).ConfigureAwait(false);
        }

        throw new DemoException($"{workload.Name}'s access log {workload.AccessLog} did not get the line that was expected");
    }

    public static int LinesOf(DemoWorkload workload) => AccessLogLine.Read(workload.AccessLog, 0).Count;

    /// <summary>What a proxy says at a path of its admin endpoint.</summary>
    public async Task<JsonNode> AdminAsync(DemoWorkload workload, string path, CancellationToken cancellationToken) =>
        JsonNode.Parse(await _http.GetStringAsync(new Uri($"http://127.0.0.1:{DemoLayout.Number(workload.AdminPort)}{path}"), cancellationToken).ConfigureAwait(false))!;

    /// <summary>Stops everything, last started first.</summary>
    /// <returns>The names of those that did not end cleanly.</returns>
    public async Task<IReadOnlyList<string>> StopAsync()
    {
        var unclean = new List<string>();
        foreach (var process in Enumerable.Reverse(_processes))
        {
            if (!await process.StopAsync().ConfigureAwait(false))
            {
                unclean.Add(process.Name);
            }
        }

        return unclean;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in Enumerable.Reverse(_processes))
        {
            await process.DisposeAsync().ConfigureAwait(false);
        }

        _http.Dispose();
    }

    private void Start(string name, string program, IEnumerable<string> arguments) =>
        _processes.Add(DemoProcess.Start(name, program, arguments, layout.LogFile(name)));

    private async Task ReadyAsync(string name, int port, CancellationToken cancellationToken)
    {
        var process = _processes.Single(one => one.Name == name);
        var deadline = Deadline();
        var last = "no answer";
        while (time.GetUtcNow() <= deadline && !process.HasExited)
        {
            try
            {
                using var response = await _http.GetAsync(new Uri($"http://127.0.0.1:{DemoLayout.Number(port)}/ready"), cancellationToken).ConfigureAwait(false);
                if (response.StatusCode == HttpStatusCode.OK)
                {
                    return;
                }

                last = await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }

            await PauseAsync(cancellationToken).ConfigureAwait(false);
        }

        throw new DemoException($"{name} did not become ready ({(process.HasExited ? "it ended" : last.Trim())}); its log is {process.LogFile}");
    }

    private DateTimeOffset Deadline() => time.GetUtcNow() + Patience;

    private Task PauseAsync(CancellationToken cancellationToken) => Task.Delay(Glance, time, cancellationToken);
}
