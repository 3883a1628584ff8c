using System.Diagnostics;
using System.Globalization;
using Signet.Hosting.Files;
using Signet.Policy;

namespace Signet.Benchmarks;

/// <summary>
/// What many policies cost where they are kept: 10,000 of them in 1,000 namespaces, read from a folder as a proxy does, and one object changed at a
/// time. A file changes by renaming over; the time runs from the look at the folder to the compiled policy of the workload, and leaves out the rest
/// of 100 ms, twice, that the watch waits for so that half a change is never taken.
/// </summary>
internal static class PolicyScale
{
    private const int Namespaces = 1000;
    private const int PerNamespace = 10;

    public static Task RunAsync(BenchContext context)
    {
        var (loads, changes) = (context.Count(9), context.Count(200));
        var table = new TextTable("10,000 policies, 1,000 namespaces", "files", "first load ms", "load ms", "(range)", "of it CPU", "change ms", "p99", "max", "of it CPU");
        var objects = Enumerable.Range(0, Namespaces * PerNamespace).ToList();
        Measure("a file per namespace", objects.GroupBy(i => i / PerNamespace).Select(group => ($"ns{group.Key:d4}.yaml", string.Concat(group.Select(i => Document(i, 0))))));
        Measure("a file per object", objects.Select(i => ($"p{i:d5}.yaml", Document(i, 0))));
        table.WriteTo(context.Out);
        context.Out.WriteLine();
        context.Out.WriteLine("First load: the first of this process, code compiled while it runs. Loading reads the folder, parses, checks and compiles for one workload.");
        context.Out.WriteLine("A change looks at every file's version, reads and parses the changed one, makes the new set and compiles for one workload.");
        context.Out.WriteLine("CPU is this process's own, all of its threads: what the time would be about with the machine to itself.");
        return Task.CompletedTask;

        void Measure(string name, IEnumerable<(string Name, string Text)> files)
        {
            var folder = Directory.CreateTempSubdirectory("signet-bench-");
            try
            {
                var names = new List<string>();
                foreach (var (file, text) in files)
                {
                    File.WriteAllText(Path.Combine(folder.FullName, file), text);
                    names.Add(file);
                }

                Row(name, folder.FullName, names);
            }
            finally
            {
                folder.Delete(recursive: true);
            }
        }

        void Row(string name, string folder, List<string> names)
        {
            var set = FileSet.Folder(folder);
            var (times, loading) = (new List<double>(), new List<double>());
            PolicyLoad? load = null;
            for (var i = 0; i <= loads; i++)
            {
                context.Cancellation.ThrowIfCancellationRequested();
                var (began, worked) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
                load = PolicySet.Load(set.Read().Select(TextOf), MeshSettings.Default);
                Compile(load.Set, 0);
                times.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
                loading.Add((Environment.CpuUsage.TotalTime - worked).TotalMilliseconds);
            }

            var (policies, perFile) = (load!.Set, Namespaces * PerNamespace / names.Count);
            var clock = new StoppedClock();
            var memory = new FileMemory(set.Read(), clock);
            set.Read(memory);
            clock.Now += FileMemory.Settling.Ticks;
            var before = set.Read(memory);
            var (applied, applying) = (new List<double>(), new List<double>());
            for (var i = 0; i < changes; i++)
            {
                context.Cancellation.ThrowIfCancellationRequested();
                var at = i * 37 % names.Count;
                var path = Path.Combine(folder, names[at]);
                var (first, changed) = (at * perFile, (at * perFile) + (i % perFile));
                File.WriteAllText(path + ".new", string.Concat(Enumerable.Range(first, perFile).Select(one => Document(one, one == changed ? i + 1 : 0))));
                File.Move(path + ".new", path, overwrite: true);

                var (began, worked) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
                var after = set.Read(memory);
                var news = after.Where((file, k) => !ReferenceEquals(file, before[k])).ToList();
                policies = policies.Update(news.Select(TextOf), []).Set;
                Compile(policies, changed / PerNamespace);
                applied.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
                applying.Add((Environment.CpuUsage.TotalTime - worked).TotalMilliseconds);
                before = after;
                if (news.Count != 1)
                {
                    throw new BenchException($"one file was changed and {news.Count} were read");
                }
            }

            var later = times[1..];
            table.Add(
                name, $"{names.Count}", Show(times[0]), Show(At(later, 0.5)), $"({Show(later.Min())}-{Show(later.Max())})", Show(At(loading[1..], 0.5)), Show(At(applied, 0.5)), Show(At(applied, 0.99)), Show(applied.Max()),
                Show(At(applying, 0.5)));
        }
    }

    private static void Compile(PolicySet set, int ns)
    {
        var policy = set.ForWorkload(new Workload($"ns{ns}", "orders", new Dictionary<string, string>()));
        if (policy.Policies.Count != PerNamespace)
        {
            throw new BenchException($"{policy.Policies.Count} policies cover the workload instead of {PerNamespace}");
        }
    }

    private static PolicyText TextOf(WatchedFile file) => new(file.Name, file.Text);

    private static string Show(double value) => value.ToString("0.0", CultureInfo.InvariantCulture);

    private static double At(List<double> values, double share) => values.Order().ElementAt((int)(share * (values.Count - 1)));

    private static string Document(int i, int version) => $$"""
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata:
          name: p{{i % PerNamespace}}
          namespace: ns{{i / PerNamespace}}
        spec:
          rules:
          - from:
            - source:
                principals: ["cluster.local/ns/ns{{i / PerNamespace}}/sa/caller-{{i % PerNamespace}}"]
            to:
            - operation:
                methods: [GET, POST]
                paths: ["/api/v{{version}}/*"]

        """;

    /// <summary>Versions settle when the benchmark says so.</summary>
    private sealed class StoppedClock : TimeProvider
    {
        public long Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now;
    }
}
