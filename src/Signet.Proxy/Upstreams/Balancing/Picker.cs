using Signet.Policy.Objects;

namespace Signet.Proxy.Upstreams.Balancing;

/// <summary>Which of several endpoints the next request goes to. Pure: chance is a number that comes in.</summary>
internal static class Picker
{
    /// <param name="balancing">How.</param>
    /// <param name="loads">What each candidate has under way; at least one.</param>
    /// <param name="turn">Grows by one with each question.</param>
    /// <param name="chance">Any number.</param>
    /// <returns>The candidate's index.</returns>
    public static int Pick(LoadBalancing balancing, ReadOnlySpan<int> loads, uint turn, ulong chance)
    {
        if (loads.Length == 1)
        {
            return 0;
        }

        var (high, low) = ((uint)(chance >> 32), (uint)chance);
        switch (balancing)
        {
            case LoadBalancing.RoundRobin:
                return (int)(turn % (uint)loads.Length);
            case LoadBalancing.Random:
                return Below(loads.Length, high);
            default:
                // The power of two choices: nearly as good as asking all of them, and the least loaded one is not run over by everybody at once.
                var first = Below(loads.Length, high);
                var second = Below(loads.Length - 1, low);
                second += second >= first ? 1 : 0;
                return loads[second] < loads[first] ? second : first;
        }
    }

    /// <summary>A well-mixed number for each turn of a seed.</summary>
    public static ulong Chance(ulong seed, uint turn)
    {
        var mixed = seed + ((turn + 1UL) * 0x9E3779B97F4A7C15UL);
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9UL;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBUL;
        return mixed ^ (mixed >> 31);
    }

    private static int Below(int count, uint chance) => (int)(((ulong)chance * (uint)count) >> 32);
}
