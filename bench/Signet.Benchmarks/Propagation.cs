using System.Diagnostics;
using Signet.Cli.Clients;
using Signet.Cli.Demo;
using Signet.Client;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using static Signet.Benchmarks.Samples;

namespace Signet.Benchmarks;

/// <summary>
/// How long it takes from the creation of an entry, over the admin API as <c>signet entry create</c> does it, until its SVID is on a
/// Workload API stream that a workload holds open. This process is both the operator and the workload.
/// </summary>
internal static class Propagation
{
    private const int Rounds = 100;
    private const int CommandRounds = 20;
    private const int WarmUp = 20;
    private static readonly string Path = $"path:{Environment.ProcessPath}";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static async Task RunAsync(BenchContext context)
    {
        await using var mesh = await Mesh.StartAsync(context);
        using var admin = mesh.Admin();
        var agent = await mesh.AgentIdAsync(context.Cancellation);

        // The stream stays open while entries come and go, because one is always there.
        await admin.CreateEntryAsync(Entry(agent, SpiffeId.Of(agent.TrustDomain, "/bench/always")), context.Cancellation);
        if (!WorkloadApiAddress.TryParse(mesh.Layout.AgentSocket, out var address, out var problem))
        {
            throw new BenchException(problem);
        }

        await using var source = new X509Source(address, context.Time);
        await source.WaitAsync(context.Cancellation).WaitAsync(Patience, context.Cancellation);

        // 1. As a program does it.
        Task CallAsync(SpiffeId id) => admin.CreateEntryAsync(Entry(agent, id), context.Cancellation);
        await MeasureAsync(source, admin, agent, WarmUp, CallAsync, context.Cancellation);
        var calls = await MeasureAsync(source, admin, agent, context.Count(Rounds), CallAsync, context.Cancellation);

        // 2. As a person does it.
        var commands = await MeasureAsync(source, admin, agent, context.Count(CommandRounds), id => CommandAsync(mesh, agent, id, context.Cancellation), context.Cancellation);

        var table = new TextTable("ms", "rounds", "p50", "p99", "highest");
        Add(table, "admin API: the create call alone", calls.Select(round => round.Create));
        Add(table, "admin API: begin of the call until the SVID is on the stream", calls.Select(round => round.Whole));
        Add(table, "admin API: end of the call until the SVID is on the stream", calls.Select(round => round.Whole - round.Create));
        Add(table, "signet entry create: start of the command until the SVID is on the stream", commands.Select(round => round.Whole));
        table.WriteTo(context.Out);
        context.Out.WriteLine();
        context.Out.WriteLine("In between: entry stored, pushed to the agent, key made, SVID signed over mutual TLS, pushed to the workload. A negative figure: the SVID was faster than the answer.");
    }

    private static async Task<IReadOnlyList<(double Create, double Whole)>> MeasureAsync(
        X509Source source, AdminClient admin, SpiffeId agent, int rounds, Func<SpiffeId, Task> createAsync, CancellationToken cancellationToken)
    {
        var measured = new List<(double, double)>(rounds);
        for (var i = 0; i < rounds; i++)
        {
            var id = SpiffeId.Of(agent.TrustDomain, $"/bench/{Guid.NewGuid():N}");
            bool IsThere() => source.Current?.Svids.Any(svid => svid.Id == id) == true;
            long began, returned, seen;
            using (var arrival = new Moment(source, IsThere))
            {
                began = Stopwatch.GetTimestamp();
                await createAsync(id);
                returned = Stopwatch.GetTimestamp();
                seen = await arrival.WaitAsync(cancellationToken);
            }

            using (var departure = new Moment(source, () => !IsThere()))
            {
                await admin.DeleteEntryAsync((await admin.EntriesAsync(id, parent: null, cancellationToken))[0].Id, cancellationToken);
                await departure.WaitAsync(cancellationToken);
            }

            measured.Add((Stopwatch.GetElapsedTime(began, returned).TotalMilliseconds, Stopwatch.GetElapsedTime(began, seen).TotalMilliseconds));
        }

        return measured;
    }

    private static async Task CommandAsync(Mesh mesh, SpiffeId agent, SpiffeId id, CancellationToken cancellationToken)
    {
        using var command = Process.Start(new ProcessStartInfo(
            DemoLayout.OwnProgram,
            ["entry", "create", "--server", mesh.Layout.ServerSocket, "--spiffe-id", id.Uri, "--parent-id", agent.Uri, "--selector", $"unix:{Path}"])
        {
            RedirectStandardOutput = true,
        })!;
        await command.StandardOutput.ReadToEndAsync(cancellationToken);
        await command.WaitForExitAsync(cancellationToken);
    }

    private static RegistrationEntry Entry(SpiffeId agent, SpiffeId id) => new()
    {
        Id = "",
        SpiffeId = id,
        ParentId = agent,
        Selectors = [new Selector("unix", Path)],
    };

    private static void Add(TextTable table, string name, IEnumerable<double> milliseconds)
    {
        var samples = new Samples(milliseconds);
        table.Add(name, Number(samples.Count, "0"), Number(samples.Percentile(0.5), "0.0"), Number(samples.Percentile(0.99), "0.0"), Number(samples.Highest, "0.0"));
    }

    /// <summary>When something first held of what is on the stream.</summary>
    private sealed class Moment : IDisposable
    {
        private readonly TaskCompletionSource<long> _timestamp = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly IDisposable _watching;

        public Moment(X509Source source, Func<bool> holds) => _watching = source.OnChange(() =>
        {
            if (holds())
            {
                _timestamp.TrySetResult(Stopwatch.GetTimestamp());
            }
        });

        public Task<long> WaitAsync(CancellationToken cancellationToken) => _timestamp.Task.WaitAsync(Patience, cancellationToken);

        public void Dispose() => _watching.Dispose();
    }
}
