using System.Collections.Immutable;

namespace Signet.Hosting.Distribution;

/// <summary>How one listener stands.</summary>
/// <param name="Name">What to call it.</param>
/// <param name="Since">When it came.</param>
/// <param name="Sent">The newest revision that it was sent; 0 before the first.</param>
/// <param name="Acknowledged">The newest revision that it applied; 0 before the first.</param>
/// <param name="Refused">The revision that it refused last, if it has applied none since; else 0.</param>
/// <param name="Problem">Why it did.</param>
public sealed record MeshStanding(string Name, DateTimeOffset Since, ulong Sent, ulong Acknowledged, ulong Refused, string Problem);

/// <summary>Who listens to a source of configuration, and what each made of what it was sent. Thread-safe.</summary>
public sealed class MeshAudience(TimeProvider time)
{
    private ImmutableHashSet<MeshSeat> _seats = [];
    private long _acknowledged;
    private long _refused;

    /// <summary>Everybody at this moment, by name.</summary>
    public IReadOnlyList<MeshStanding> Standings => [.. Volatile.Read(ref _seats).Select(seat => seat.Standing).OrderBy(one => one.Name, StringComparer.Ordinal)];

    /// <summary>Revisions that somebody applied since the start.</summary>
    public long Acknowledged => Interlocked.Read(ref _acknowledged);

    /// <summary>Revisions that somebody refused since the start.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>A seat for one stream; the stream disposes it.</summary>
    public MeshSeat Open(string name)
    {
        var seat = new MeshSeat(this, new MeshStanding(name, time.GetUtcNow(), 0, 0, 0, ""));
        ImmutableInterlocked.Update(ref _seats, seats => seats.Add(seat));
        return seat;
    }

    internal void Close(MeshSeat seat) => ImmutableInterlocked.Update(ref _seats, seats => seats.Remove(seat));

    internal void Count(bool isRefusal) => Interlocked.Increment(ref isRefusal ? ref _refused : ref _acknowledged);
}

/// <summary>One stream of a listener. One caller writes, one hears, anybody reads.</summary>
public sealed class MeshSeat : IDisposable
{
    private readonly MeshAudience _audience;
    private MeshStanding _standing;

    internal MeshSeat(MeshAudience audience, MeshStanding standing) => (_audience, _standing) = (audience, standing);

    public MeshStanding Standing => Volatile.Read(ref _standing);

    /// <summary>Raised when the listener refuses a revision.</summary>
    public ChangeSignal Refusals { get; } = new();

    public void Sent(ulong revision) => Change(standing => standing with { Sent = revision });

    /// <summary>The listener says what it made of a revision; of one that it was not sent it can say nothing.</summary>
    /// <returns>Whether it is a refusal.</returns>
    public bool Heard(ulong revision, string problem)
    {
        if (revision == 0 || revision > Standing.Sent)
        {
            return false;
        }

        var refuses = problem.Length > 0;
        Change(standing => refuses
            ? standing with { Refused = revision, Problem = problem }
            : standing with { Acknowledged = revision, Refused = 0, Problem = "" });
        _audience.Count(refuses);
        if (refuses)
        {
            Refusals.Raise();
        }

        return refuses;
    }

    public void Dispose() => _audience.Close(this);

    private void Change(Func<MeshStanding, MeshStanding> change)
    {
        while (true)
        {
            var before = Standing;
            if (Interlocked.CompareExchange(ref _standing, change(before), before) == before)
            {
                return;
            }
        }
    }
}
