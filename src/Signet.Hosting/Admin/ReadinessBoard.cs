using System.Collections.Immutable;

namespace Signet.Hosting.Admin;

/// <summary>Whether one condition of readiness holds, and why.</summary>
/// <param name="IsReady">Whether it holds.</param>
/// <param name="Reason">For the operator; never a secret.</param>
public readonly record struct Readiness(bool IsReady, string Reason)
{
    /// <summary>It holds.</summary>
    public static Readiness Ready { get; } = new(true, "ok");

    /// <summary>It does not hold.</summary>
    public static Readiness NotReady(string reason) => new(false, reason);
}

/// <summary>A condition with its name, as the board shows it.</summary>
public sealed record ReadinessCondition(string Name, Readiness State);

/// <summary>
/// Why a daemon is, or is not, ready to serve: named conditions that all must hold. Conditions are declared up front, so that one nobody has spoken
/// about yet counts as not ready. Thread-safe.
/// </summary>
public sealed class ReadinessBoard(params ReadOnlySpan<string> conditions)
{
    private ImmutableSortedDictionary<string, Readiness> _conditions =
        conditions.ToArray().ToImmutableSortedDictionary(name => name, _ => Readiness.NotReady("not started yet"), StringComparer.Ordinal);

    /// <summary>Whether every condition holds.</summary>
    public bool IsReady => Volatile.Read(ref _conditions).Values.All(state => state.IsReady);

    /// <summary>All conditions, by name.</summary>
    public IReadOnlyList<ReadinessCondition> Conditions => [.. Volatile.Read(ref _conditions).Select(pair => new ReadinessCondition(pair.Key, pair.Value))];

    /// <summary>Says how a condition stands now; a new name becomes a condition.</summary>
    public void Set(string condition, Readiness state) => ImmutableInterlocked.Update(ref _conditions, all => all.SetItem(condition, state));

    /// <summary>Takes a condition away: what it watched is no longer configured.</summary>
    public void Remove(string condition) => ImmutableInterlocked.Update(ref _conditions, all => all.Remove(condition));
}
