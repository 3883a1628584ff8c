using System.Collections.Immutable;
using System.Security.Cryptography;
using Signet.Authority.Keys;
using Signet.Identity.Rotation;

namespace Signet.Authority.Rotation;

/// <summary>
/// The two slots of one tier (current and next), and the old ones whose signatures still hold, as <see cref="RotationRule"/> says. One caller turns
/// them.
/// </summary>
/// <typeparam name="T">The kind of authority.</typeparam>
internal sealed class AuthoritySlots<T>
    where T : AuthorityRecord
{
    private readonly RotationRule _rule;
    private readonly IKeyManager _keys;
    private readonly IAuthorityJournal _journal;
    private readonly Func<DateTimeOffset, CancellationToken, Task<T>> _prepare;

    private AuthoritySlots(
        RotationRule rule, IKeyManager keys, IAuthorityJournal journal, Func<DateTimeOffset, CancellationToken, Task<T>> prepare, ImmutableArray<T> records, (T Record, AsymmetricAlgorithm Key) active)
    {
        (_rule, _keys, _journal, _prepare) = (rule, keys, journal, prepare);
        (Records, Active) = (records, active);
    }

    /// <summary>All that are remembered, in the order of their making.</summary>
    public ImmutableArray<T> Records { get; private set; }

    /// <summary>The one that signs.</summary>
    public (T Record, AsymmetricAlgorithm Key) Active { get; private set; }

    /// <summary>Resumes from what the journal remembers, or makes the first.</summary>
    /// <param name="records">What the journal remembers of this tier.</param>
    /// <param name="prepare">Makes a new one and remembers it.</param>
    /// <param name="rule">When to prepare and activate.</param>
    /// <param name="keys">Where the keys are.</param>
    /// <param name="journal">Where the records are.</param>
    /// <param name="now">The time.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<AuthoritySlots<T>> ResumeAsync(
        ImmutableArray<T> records, Func<DateTimeOffset, CancellationToken, Task<T>> prepare, RotationRule rule, IKeyManager keys, IAuthorityJournal journal, DateTimeOffset now, CancellationToken cancellationToken)
    {
        // What was active may have expired, or lost its key, while the server was down; then what was prepared takes over, or a new one.
        if (await FindUsableAsync(records, AuthorityState.Active, keys, now, cancellationToken).ConfigureAwait(false) is not { } active)
        {
            var prepared = await FindUsableAsync(records, AuthorityState.Prepared, keys, now, cancellationToken).ConfigureAwait(false);
            if (prepared is null)
            {
                records = records.Add(await prepare(now, cancellationToken).ConfigureAwait(false));
                prepared = await FindUsableAsync(records, AuthorityState.Prepared, keys, now, cancellationToken).ConfigureAwait(false)
                    ?? throw new KeyManagerException($"the key \"{records[^1].KeyName}\" that was just made cannot be found again");
            }

            records = Promote(records, prepared.Value.Record);
            await journal.SaveAsync([.. records], cancellationToken).ConfigureAwait(false);
            active = prepared.Value;
        }

        return new AuthoritySlots<T>(rule, keys, journal, prepare, records, active);
    }

    /// <summary>Does what is due now, if anything. Not thread-safe: one owner turns it.</summary>
    public async Task<RotationTurn> TurnAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        foreach (var expired in Records.Where(record => record.State != AuthorityState.Active && record.Validity.HasExpired(now)).ToArray())
        {
            await ForgetAsync(expired, cancellationToken).ConfigureAwait(false);
        }

        var prepared = Last(AuthorityState.Prepared);
        var step = _rule.Next(Last(AuthorityState.Active)?.Validity, prepared?.Validity, now);
        switch (step)
        {
            case RotationStep.Prepare:
                var made = await _prepare(now, cancellationToken).ConfigureAwait(false);
                Records = Records.Add(made);
                return new RotationTurn(step, made);

            case RotationStep.Activate:
                return new RotationTurn(step, await ActivateAsync(prepared!, cancellationToken).ConfigureAwait(false));

            default:
                return new RotationTurn(step, null);
        }
    }

    private async Task<T> ActivateAsync(T prepared, CancellationToken cancellationToken)
    {
        if (await _keys.FindAsync(prepared.KeyName, cancellationToken).ConfigureAwait(false) is not { } key)
        {
            // Without its key it is worth nothing; the next turn prepares another.
            await ForgetAsync(prepared, cancellationToken).ConfigureAwait(false);
            throw new KeyManagerException($"the key of prepared authority {prepared.Id} is not in the key manager; another one will be prepared");
        }

        var records = Promote(Records, prepared);
        await _journal.SaveAsync([.. records], cancellationToken).ConfigureAwait(false);
        (Records, Active) = (records, (records.Single(record => record.Id == prepared.Id), key));
        return prepared;
    }

    private async Task ForgetAsync(T record, CancellationToken cancellationToken)
    {
        await _journal.DeleteAsync(record.Id, cancellationToken).ConfigureAwait(false);
        await _keys.DeleteAsync(record.KeyName, cancellationToken).ConfigureAwait(false);
        Records = Records.Remove(record);
    }

    private T? Last(AuthorityState state) => Records.LastOrDefault(record => record.State == state);

    /// <summary>The prepared one becomes active and the active one old.</summary>
    private static ImmutableArray<T> Promote(ImmutableArray<T> records, T prepared) =>
        [.. records.Select(record =>
            record.Id == prepared.Id ? In(record, AuthorityState.Active)
            : record.State == AuthorityState.Active ? In(record, AuthorityState.Old)
            : record)];

    private static T In(AuthorityRecord record, AuthorityState state) => (T)(record with { State = state });

    private static async Task<(T Record, AsymmetricAlgorithm Key)?> FindUsableAsync(
        ImmutableArray<T> records, AuthorityState state, IKeyManager keys, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var found = records.LastOrDefault(record => record.State == state && record.Validity.Covers(now));
        return found is not null && await keys.FindAsync(found.KeyName, cancellationToken).ConfigureAwait(false) is { } key ? (found, key) : null;
    }
}
