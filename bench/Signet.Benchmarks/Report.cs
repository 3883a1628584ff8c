using System.Globalization;
using System.Text;
using Signet.Benchmarks.Machines;

namespace Signet.Benchmarks;

/// <summary>One benchmark's text: the machine and how busy it was, then the tables; shown as it grows and kept when asked for.</summary>
internal static class Report
{
    public static async Task MakeAsync(
        string name, Func<BenchContext, Task> measure, bool isQuick, bool isKept, IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        await using var copy = new StringWriter(text, CultureInfo.InvariantCulture);
        await using var output = new Tee(Console.Out, copy);
        var began = DateTimeOffset.UtcNow;
        var before = MachineLoad.Now();
        await output.WriteLineAsync($"# {name}{(isQuick ? " (a trial: too short to mean anything)" : "")}");
        await output.WriteLineAsync($"date         {began.UtcDateTime:yyyy-MM-dd HH:mm} UTC");
        await output.WriteLineAsync($"command      make bench{(arguments.Count > 0 ? $" BENCH=\"{string.Join(' ', arguments)}\"" : "")}");
        await output.WriteLineAsync(Machine.Describe());
        await output.WriteLineAsync($"load before  {MachineLoad.Average()}");
        await measure(new BenchContext(output, isQuick, cancellationToken));
        await output.WriteLineAsync();
        await output.WriteLineAsync($"load after   {MachineLoad.Average()} (the benchmark's own work included)");
        await output.WriteLineAsync($"meanwhile    {MachineLoad.Now().Since(before)}");
        await output.WriteLineAsync($"took         {(DateTimeOffset.UtcNow - began).TotalSeconds:0} s");
        await output.WriteLineAsync();
        if (isKept)
        {
            var folder = Path.Combine(Repository.Root, "bench", "results");
            Directory.CreateDirectory(folder);
            var file = Path.Combine(folder, $"{began.UtcDateTime:yyyy-MM-dd}-{name}.txt");
            await File.WriteAllTextAsync(file, text.ToString().TrimEnd() + "\n", cancellationToken);
            Console.WriteLine($"kept in {Path.GetRelativePath(Repository.Root, file)}");
        }
    }

    private sealed class Tee(TextWriter first, TextWriter second) : TextWriter(CultureInfo.InvariantCulture)
    {
        public override Encoding Encoding => first.Encoding;

        public override void Write(char value)
        {
            first.Write(value);
            second.Write(value);
        }
    }
}
