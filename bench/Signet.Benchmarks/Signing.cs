using System.Diagnostics;
using Signet.Agent.Attestation;
using Signet.Agent.Identities;
using Signet.Benchmarks.Machines;
using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using static Signet.Benchmarks.Samples;

namespace Signet.Benchmarks;

/// <summary>
/// SVIDs signed per second, end to end: this process joins as an agent and asks with the agent's own code over gRPC and mutual TLS. A call
/// counts from before the keys are made until the certificates are read, as it does for an agent.
/// </summary>
internal static class Signing
{
    private const int Entries = 100;
    private static readonly TimeSpan TokenTtl = TimeSpan.FromMinutes(5);

    public static async Task RunAsync(BenchContext context)
    {
        await using var mesh = await Mesh.StartAsync(context);
        var (identity, entries) = await JoinAsync(mesh, context);
        using var server = new ServerLink(identity, "127.0.0.1", mesh.Layout.ServerPort, new SvidKeys(KeyType.EcP256), context.Time);
        var table = new TextTable("batch x callers", "SVIDs/s", "calls", "p50 ms/call", "p99 ms/call", "server CPU ms/SVID", "caller CPU ms/SVID");
        await MeasureAsync(server, entries.Take(1).ToArray(), callers: 4, context.Span(8), context.Cancellation);
        foreach (var (batch, callers) in new[] { (1, 1), (1, 8), (100, 1), (100, 4) })
        {
            var some = entries.Take(batch).ToArray();
            await MeasureAsync(server, some, callers, context.Span(2), context.Cancellation);
            var (serverBefore, ownBefore) = (ProcessFacts.CpuSeconds(mesh.Server.Pid), ProcessFacts.OwnCpuSeconds());
            var (calls, elapsed) = await MeasureAsync(server, some, callers, context.Span(5), context.Cancellation);
            var svids = calls.Count * batch;
            table.Add(
                $"{batch} x {callers}",
                Number(svids / elapsed.TotalSeconds, "0"),
                Number(calls.Count, "0"),
                Number(calls.Percentile(0.5), "0.00"),
                Number(calls.Percentile(0.99), "0.00"),
                Number((ProcessFacts.CpuSeconds(mesh.Server.Pid) - serverBefore) * 1000 / svids, "0.00"),
                Number((ProcessFacts.OwnCpuSeconds() - ownBefore) * 1000 / svids, "0.00"));
        }

        table.WriteTo(context.Out);
        context.Out.WriteLine();
        context.Out.WriteLine("SVIDs of P-256 under a P-256 issuing CA. Caller and server share the cores. Each SVID is checked, signed, read back and recorded in the server's database.");
    }

    private static async Task<(AgentIdentity Identity, IReadOnlyList<RegistrationEntry> Entries)> JoinAsync(Mesh mesh, BenchContext context)
    {
        using var admin = mesh.Admin();
        var bundle = await admin.BundleAsync(context.Cancellation);
        var token = await admin.CreateTokenAsync(TokenTtl, alias: null, context.Cancellation);
        var folder = Directory.CreateDirectory(mesh.Layout.File("bench-agent")).FullName;
        var identity = AgentIdentity.TryLoad(bundle.TrustDomain, folder, [.. bundle.Authorities], new RenewalRule(), Random.Shared.NextDouble, out var problem) ?? throw new BenchException(problem);
        using (var server = new ServerLink(identity, "127.0.0.1", mesh.Layout.ServerPort, new SvidKeys(KeyType.EcP256), context.Time))
        {
            identity.Accept(await server.AttestAsync(new JoinTokenAttestor(new Secret(token.Token)), context.Cancellation), context.Time.GetUtcNow());
        }

        var entries = new List<RegistrationEntry>(Entries);
        for (var i = 0; i < Entries; i++)
        {
            entries.Add(await admin.CreateEntryAsync(
                new RegistrationEntry
                {
                    Id = "",
                    SpiffeId = SpiffeId.Of(bundle.TrustDomain, $"/bench/{i}"),
                    ParentId = token.AgentId,
                    Selectors = [new Selector("unix", "uid:0")],
                },
                context.Cancellation));
        }

        return (identity, entries);
    }

    private static async Task<(Samples CallMilliseconds, TimeSpan Elapsed)> MeasureAsync(
        ServerLink server, IReadOnlyList<RegistrationEntry> entries, int callers, TimeSpan span, CancellationToken cancellationToken)
    {
        var start = Stopwatch.GetTimestamp();
        async Task<List<double>> CallAsync()
        {
            var calls = new List<double>();
            while (Stopwatch.GetElapsedTime(start) < span)
            {
                var began = Stopwatch.GetTimestamp();
                var refused = new Dictionary<string, string>(StringComparer.Ordinal);
                var signed = await server.SignAsync(entries, refused, cancellationToken);
                if (signed.Count != entries.Count)
                {
                    throw new BenchException($"the server signed {signed.Count} of {entries.Count}: {refused.Values.FirstOrDefault()}");
                }

                calls.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
            }

            return calls;
        }

        var calls = await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(CallAsync, cancellationToken)));
        return (new Samples(calls.SelectMany(one => one)), Stopwatch.GetElapsedTime(start));
    }
}
