using System.Diagnostics;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.Attestation;
using Signet.Agent.Identities;
using Signet.Agent.Telemetry;
using Signet.Benchmarks.Machines;
using Signet.Agent.WorkloadApi;
using Signet.Cli.Clients;
using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Registration;
using static Signet.Benchmarks.Samples;

namespace Signet.Benchmarks;

/// <summary>
/// One server and thousands of agents with ten entries each: how long all take to get what is theirs, how long one new entry takes to become an SVID
/// at its agent, what the server needs while nothing happens, and how long all take to come back after it was started anew. The agents run the agent's
/// own code in this process, each with a connection of its own; what they leave out is the Workload API.
/// </summary>
internal static partial class Fleet
{
    private const int Agents = 5000;
    private const int EntriesEach = 10;
    private const int Rounds = 500;
    private const int Joining = 32;
    private static readonly TimeSpan TokenTtl = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    public static async Task RunAsync(BenchContext context)
    {
        var count = context.IsQuick ? 50 : Agents;
        await using var mesh = await Mesh.StartAsync(context);
        using var admin = mesh.Admin();
        var bundle = await admin.BundleAsync(context.Cancellation);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.Cancellation);
        var agents = new List<SimulatedAgent>(count);
        var table = new TextTable("what", "took", "server CPU s", "server PSS MiB");
        try
        {
            // 1. All join.
            var clock = new Measured(mesh);
            await Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = Joining, CancellationToken = context.Cancellation }, async (number, cancellationToken) =>
            {
                var agent = await SimulatedAgent.JoinAsync(mesh, admin, bundle, number, cancellationToken);
                lock (agents)
                {
                    agents.Add(agent);
                }
            });
            clock.Tell(table, $"{count} agents join");

            // 2. All get their entries at once, and an SVID for each.
            clock = new Measured(mesh);
            agents.ForEach(agent => agent.Start(stop.Token));
            await admin.ApplyAsync("bench", [.. agents.SelectMany(agent => Enumerable.Range(0, EntriesEach).Select(i => agent.Entry($"/bench/{agent.Number}/{i}")))], ApplyMode.Carefully, context.Cancellation);
            await UntilAsync(() => agents.All(agent => agent.Svids == EntriesEach), context.Cancellation);
            clock.Tell(table, $"{count * EntriesEach} entries applied, pushed and signed");

            // 3. Nothing happens.
            await Task.Delay(context.Span(5), context.Cancellation);
            clock = new Measured(mesh);
            await Task.Delay(context.Span(20), context.Cancellation);
            clock.Tell(table, "at rest");

            // 4. One entry more, again and again, each for some agent.
            clock = new Measured(mesh);
            var (commits, arrivals) = await PropagateAsync(agents, admin, context);
            clock.Tell(table, $"{arrivals.Count} entries, one after the other");

            var visits = await VisitsAsync(mesh, context.Cancellation);

            // 5. The server is started anew.
            await mesh.StopServerAsync();
            clock = new Measured(null);
            var started = context.Time.GetUtcNow();
            await mesh.StartServerAsync(context.Cancellation);
            await UntilAsync(() => agents.All(agent => agent.HeardSince(started)), context.Cancellation);
            clock.Tell(table, "server started anew, all agents in touch again", mesh);

            table.WriteTo(context.Out);
            context.Out.WriteLine();
            var latency = new TextTable("ms", "rounds", "p50", "p99", "highest");
            latency.Add("the create call alone", Number(commits.Count, "0"), Number(commits.Percentile(0.5), "0.0"), Number(commits.Percentile(0.99), "0.0"), Number(commits.Highest, "0.0"));
            latency.Add("begin of the call until the SVID is at the agent", Number(arrivals.Count, "0"), Number(arrivals.Percentile(0.5), "0.0"), Number(arrivals.Percentile(0.99), "0.0"), Number(arrivals.Highest, "0.0"));
            latency.WriteTo(context.Out);
            context.Out.WriteLine();
            visits.WriteTo(context.Out);
            context.Out.WriteLine();
            context.Out.WriteLine("Methods that are not listed did not visit the store. Joining reads its token once; what is signed is remembered before it is handed out.");
            context.Out.WriteLine($"{count} agents in one process on the server's own machine, so that their keys, requests and TLS take the same cores. {EntriesEach} entries each.");
        }
        finally
        {
            await stop.CancelAsync();
            foreach (var agent in agents)
            {
                await agent.DisposeAsync();
            }
        }
    }

    /// <summary>What calls cost the store until now, as the server counts it.</summary>
    private static async Task<TextTable> VisitsAsync(Mesh mesh, CancellationToken cancellationToken)
    {
        using var client = new HttpClient();
        var scrape = await client.GetStringAsync(new Uri($"http://127.0.0.1:{mesh.Layout.ServerMetricsPort}/metrics"), cancellationToken);
        var counts = StoreVisits().Matches(scrape).Select(match => (Method: match.Groups["method"].Value, Kind: match.Groups["kind"].Value, Count: match.Groups["count"].Value)).ToArray();
        var table = new TextTable("calls of", "store reads", "store writes");
        foreach (var method in counts.Where(one => one.Method.StartsWith('/')).GroupBy(one => one.Method).OrderBy(group => group.Key, StringComparer.Ordinal))
        {
            table.Add(method.Key, Of(method, "read"), Of(method, "write"));
        }

        return table;

        static string Of(IEnumerable<(string Method, string Kind, string Count)> counts, string kind) => counts.FirstOrDefault(one => one.Kind == kind).Count ?? "0";
    }

    [GeneratedRegex("""^signet_server_store_transactions_total\{(?=[^}]*kind="(?<kind>\w+)")(?=[^}]*method="(?<method>[^"]+)")[^}]*\} (?<count>\d+)""", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex StoreVisits();

    private static async Task<(Samples Commits, Samples Arrivals)> PropagateAsync(List<SimulatedAgent> agents, AdminClient admin, BenchContext context)
    {
        var (commits, arrivals) = (new List<double>(), new List<double>());
        for (var round = 0; round < context.Count(Rounds); round++)
        {
            var agent = agents[Random.Shared.Next(agents.Count)];
            var wanted = agent.Entry($"/bench/new/{Guid.NewGuid():N}");
            var arrived = agent.ArrivalAsync(wanted.SpiffeId, context.Cancellation);
            var began = Stopwatch.GetTimestamp();
            var entry = await admin.CreateEntryAsync(wanted, context.Cancellation);
            commits.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
            arrivals.Add(Stopwatch.GetElapsedTime(began, await arrived.WaitAsync(Patience, context.Cancellation)).TotalMilliseconds);
            await admin.DeleteEntryAsync(entry.Id, context.Cancellation);
        }

        return (new Samples(commits), new Samples(arrivals));
    }

    private static async Task UntilAsync(Func<bool> holds, CancellationToken cancellationToken)
    {
        var began = Stopwatch.GetTimestamp();
        while (!holds())
        {
            if (Stopwatch.GetElapsedTime(began) > Patience)
            {
                throw new BenchException($"not all agents got there within {Patience.TotalMinutes} minutes");
            }

            await Task.Delay(100, cancellationToken);
        }
    }

    private sealed class Measured(Mesh? mesh)
    {
        private readonly long _began = Stopwatch.GetTimestamp();
        private readonly double _cpu = mesh is null ? 0 : ProcessFacts.CpuSeconds(mesh.Server.Pid);

        public void Tell(TextTable table, string what, Mesh? after = null)
        {
            var server = (after ?? mesh)!.Server.Pid;
            table.Add(
                what,
                Number(Stopwatch.GetElapsedTime(_began).TotalSeconds, "0.0") + " s",
                Number(ProcessFacts.CpuSeconds(server) - _cpu, "0.0"),
                Number(ProcessFacts.Memory(server).Pss, "0.0"));
        }
    }

    /// <summary>An agent without a Workload API: it joins, holds its stream open and keeps its SVIDs.</summary>
    private sealed class SimulatedAgent : IAsyncDisposable
    {
        private static readonly AgentMetrics Metrics = new();

        private readonly AgentIdentity _identity;
        private readonly ServerLink _server;
        private readonly NodeMembership _membership;
        private readonly NodeSync _sync;
        private readonly IdentityCache _cache = new();
        private readonly IdentityKeeper _keeper;
        private Task _running = Task.CompletedTask;

        private SimulatedAgent(int number, AgentIdentity identity, ServerLink server, TimeProvider time)
        {
            Number = number;
            (_identity, _server) = (identity, server);
            var clients = new ClientLedger();
            _membership = new NodeMembership(identity, server, new AttestorConfig.JoinToken(null).Build(), Metrics, time, Random.Shared.NextDouble, NullLogger<NodeMembership>.Instance);
            _sync = new NodeSync(identity, _membership, server, _cache, clients, time, Random.Shared.NextDouble, NullLogger<NodeSync>.Instance);
            _keeper = new IdentityKeeper(_sync, server, _cache, clients, new CacheConfig(), new RenewalRule(), Metrics, time, Random.Shared.NextDouble, NullLogger<IdentityKeeper>.Instance);
        }

        public int Number { get; }

        public int Svids => _cache.Current.Held.Count;

        public static async Task<SimulatedAgent> JoinAsync(Mesh mesh, AdminClient admin, X509Bundle bundle, int number, CancellationToken cancellationToken)
        {
            var token = await admin.CreateTokenAsync(TokenTtl, alias: null, cancellationToken);
            var folder = Directory.CreateDirectory(mesh.Layout.File($"agents/{number}")).FullName;
            var identity = AgentIdentity.TryLoad(bundle.TrustDomain, folder, [.. bundle.Authorities], new RenewalRule(), Random.Shared.NextDouble, out var problem) ?? throw new BenchException(problem);
            var server = new ServerLink(identity, "127.0.0.1", mesh.Layout.ServerPort, new SvidKeys(KeyType.EcP256), TimeProvider.System);
            identity.Accept(await server.AttestAsync(new JoinTokenAttestor(new Secret(token.Token)), cancellationToken), DateTimeOffset.UtcNow);
            return new SimulatedAgent(number, identity, server, TimeProvider.System);
        }

        public void Start(CancellationToken cancellationToken) => _running = Task.WhenAll(_membership.RunAsync(cancellationToken), _sync.RunAsync(cancellationToken), _keeper.RunAsync(cancellationToken));

        public RegistrationEntry Entry(string path) => new()
        {
            Id = "",
            SpiffeId = SpiffeId.Of(_identity.TrustDomain, path),
            ParentId = _identity.Credential!.Svid.Id,
            Selectors = [new Selector("unix", "uid:1000")],
        };

        public bool HeardSince(DateTimeOffset moment) => _sync.Current.Revision > (ulong)moment.ToUnixTimeMilliseconds();

        /// <summary>When the SVID was first there.</summary>
        public async Task<long> ArrivalAsync(SpiffeId id, CancellationToken cancellationToken)
        {
            while (true)
            {
                var seen = _cache.Changes.Version;
                if (_cache.Current.Held.Values.Any(held => held.Svid.Id == id))
                {
                    return Stopwatch.GetTimestamp();
                }

                await _cache.Changes.WaitAsync(seen, cancellationToken);
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _server.Dispose();
        }
    }
}
