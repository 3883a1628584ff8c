using System.Globalization;

namespace Signet.Benchmarks.Machines;

/// <summary>Memory of a process and its children, MiB.</summary>
internal sealed record ProcessMemory(double Rss, double Pss, double Private);

/// <summary>What /proc says about a process and the children it has.</summary>
internal static class ProcessFacts
{
    /// <summary>USER_HZ: 100 on every Linux that .NET runs on.</summary>
    public const double TicksPerSecond = 100;

    /// <summary>CPU seconds used so far, user and system.</summary>
    public static double CpuSeconds(int pid) => Tree(pid).Sum(one => Ticks(one).Take(2).Sum()) / TicksPerSecond;

    /// <summary>CPU seconds of this process and of all children that have ended.</summary>
    public static double OwnCpuSeconds() => Ticks(Environment.ProcessId).Sum() / TicksPerSecond;

    public static ProcessMemory Memory(int pid)
    {
        var sums = Tree(pid).Select(one => File.ReadLines($"/proc/{one}/smaps_rollup").Skip(1)
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .ToLookup(words => words[0], words => double.Parse(words[1], CultureInfo.InvariantCulture) / 1024)).ToArray();
        double Sum(string name) => sums.Sum(one => one[name].Sum());
        return new ProcessMemory(Sum("Rss:"), Sum("Pss:"), Sum("Private_Clean:") + Sum("Private_Dirty:"));
    }

    private static IEnumerable<int> Tree(int pid) =>
        Directory.EnumerateDirectories($"/proc/{pid}/task")
            .SelectMany(task => File.ReadAllText(Path.Combine(task, "children")).Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .SelectMany(child => Tree(int.Parse(child, CultureInfo.InvariantCulture)))
            .Prepend(pid);

    // utime, stime, cutime, cstime: fields 14 to 17, counted from behind the name, which may hold anything.
    private static IEnumerable<double> Ticks(int pid)
    {
        var text = File.ReadAllText($"/proc/{pid}/stat");
        return text[(text.LastIndexOf(')') + 2)..].Split(' ').Skip(11).Take(4).Select(field => double.Parse(field, CultureInfo.InvariantCulture));
    }
}
