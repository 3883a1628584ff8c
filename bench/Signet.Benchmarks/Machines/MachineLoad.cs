using System.Globalization;

namespace Signet.Benchmarks.Machines;

/// <summary>How the processors' time was spent up to a moment, in seconds over all cores.</summary>
/// <param name="Busy">By anybody.</param>
/// <param name="Idle">By nobody.</param>
/// <param name="Stolen">Taken by the hypervisor.</param>
/// <param name="Own">By this process and the children that it has waited for.</param>
internal sealed record MachineLoad(double Busy, double Idle, double Stolen, double Own)
{
    public static MachineLoad Now()
    {
        // user nice system idle iowait irq softirq steal
        var fields = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Skip(1).Select(field => double.Parse(field, CultureInfo.InvariantCulture) / ProcessFacts.TicksPerSecond).ToArray();
        return new MachineLoad(fields[0] + fields[1] + fields[2] + fields[5] + fields[6], fields[3] + fields[4], fields[7], ProcessFacts.OwnCpuSeconds());
    }

    /// <summary>The kernel's load average over 1, 5 and 15 minutes.</summary>
    public static string Average() => string.Join(' ', File.ReadAllText("/proc/loadavg").Split(' ').Take(3));

    /// <summary>Who had the processors since an earlier moment.</summary>
    public string Since(MachineLoad earlier)
    {
        var all = Busy + Idle + Stolen - earlier.Busy - earlier.Idle - earlier.Stolen;
        var others = Busy - earlier.Busy - (Own - earlier.Own);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{(Own - earlier.Own) / all:0%} of the cores for the benchmark, {Math.Max(0, others) / all:0%} for other work on this machine, {(Stolen - earlier.Stolen) / all:0%} stolen by the hypervisor");
    }
}
