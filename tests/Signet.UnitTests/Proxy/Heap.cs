namespace Signet.UnitTests.Proxy;

/// <summary>What a parser takes of the heap for what somebody sends it.</summary>
internal static class Heap
{
    /// <summary>Fails when an action allocates more than so many octets, beside what it allocates only once. It must not leave its thread.</summary>
    public static void TakesAtMost(long octets, Action action)
    {
        action();
        var taken = Taken(action);

        // Whatever a pool was relieved of by a collection in between, it has again.
        for (var tries = 0; taken > octets && tries < 3; tries++)
        {
            taken = Taken(action);
        }

        Assert.InRange(taken, 0, octets);
    }

    private static long Taken(Action action)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
