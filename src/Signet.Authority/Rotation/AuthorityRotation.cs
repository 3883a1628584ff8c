using System.Collections.Immutable;
using Signet.Authority.Keys;
using Signet.Identity.Rotation;
using Signet.Identity.X509;

namespace Signet.Authority.Rotation;

/// <summary>What one turn of the rotation did.</summary>
public sealed record RotationTurn(RotationStep Step, AuthorityRecord? Authority);

/// <summary>
/// Keeps an anchor and, below it, an issuing authority in two slots (current and next), as <see cref="RotationRule"/> says. One caller
/// turns it; any number read <see cref="Current"/>.
/// </summary>
public sealed class AuthorityRotation
{
    private readonly AuthorityPlan _plan;
    private readonly IKeyManager _keys;
    private readonly IAuthorityJournal _journal;
    private readonly TimeProvider _time;
    private ImmutableArray<AuthorityRecord> _records;
    private AuthoritySnapshot _current;

    private AuthorityRotation(
        AuthorityPlan plan, IKeyManager keys, IAuthorityJournal journal, TimeProvider time, ImmutableArray<AuthorityRecord> records, AuthoritySnapshot current)
    {
        _plan = plan;
        _keys = keys;
        _journal = journal;
        _time = time;
        _records = records;
        _current = current;
    }

    /// <summary>The authorities as they are now. Thread-safe.</summary>
    public AuthoritySnapshot Current => Volatile.Read(ref _current);

    /// <summary>
    /// Resumes from the journal, or makes the first anchor and issuing authority when the journal is empty.
    /// </summary>
    /// <exception cref="KeyManagerException">The anchor's key is gone; making a new anchor silently would cut off every relying party.</exception>
    public static async Task<AuthorityRotation> ResumeAsync(
        AuthorityPlan plan, IKeyManager keys, IAuthorityJournal journal, TimeProvider time, CancellationToken cancellationToken)
    {
        var records = (await journal.LoadAsync(cancellationToken).ConfigureAwait(false)).ToImmutableArray();
        var maker = new AuthorityMaker(plan, keys, journal);
        if (!records.Any(record => record.Tier == AuthorityTier.Anchor))
        {
            records = records.Add(await maker.MakeAnchorAsync(time.GetUtcNow(), cancellationToken).ConfigureAwait(false));
        }

        var anchor = Anchor(records);
        if (await keys.FindAsync(anchor.KeyName, cancellationToken).ConfigureAwait(false) is null)
        {
            throw new KeyManagerException(
                $"the key of trust anchor {anchor.Id} (valid until {anchor.Validity.NotAfter:u}) is not in the key manager; "
                + "restore it from a backup, or start with an empty data folder to found a new trust domain");
        }

        // What was active may have expired, or lost its key, while the server was down; then what was prepared takes over, or a new one.
        var now = time.GetUtcNow();
        if (await FindUsableAsync(records, AuthorityState.Active, keys, now, cancellationToken).ConfigureAwait(false) is not { } issuing)
        {
            var prepared = await FindUsableAsync(records, AuthorityState.Prepared, keys, now, cancellationToken).ConfigureAwait(false);
            if (prepared is null)
            {
                records = records.Add(await maker.MakeIssuingAsync(anchor, AuthorityState.Prepared, now, cancellationToken).ConfigureAwait(false));
                prepared = await FindUsableAsync(records, AuthorityState.Prepared, keys, now, cancellationToken).ConfigureAwait(false)
                    ?? throw new KeyManagerException($"the key \"{records[^1].KeyName}\" that was just made cannot be found again");
            }

            issuing = prepared;
            records = Promote(records, records.Single(record => record.Id == prepared.Id));
            await journal.SaveAsync(records, cancellationToken).ConfigureAwait(false);
        }

        return new AuthorityRotation(plan, keys, journal, time, records, Snapshot(plan, records, issuing));
    }

    /// <summary>Does what is due now, if anything. Not thread-safe: one owner turns it.</summary>
    public async Task<RotationTurn> TurnAsync(CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        await ForgetExpiredAsync(now, cancellationToken).ConfigureAwait(false);
        var active = Issuing(AuthorityState.Active);
        var prepared = Issuing(AuthorityState.Prepared);
        var step = _plan.Rule.Next(active?.Validity, prepared?.Validity, now);
        switch (step)
        {
            case RotationStep.Prepare:
                var made = await new AuthorityMaker(_plan, _keys, _journal)
                    .MakeIssuingAsync(Anchor(_records), AuthorityState.Prepared, now, cancellationToken).ConfigureAwait(false);
                Publish(_records.Add(made), Current.Issuing);
                return new RotationTurn(step, made);

            case RotationStep.Activate:
                return new RotationTurn(step, await ActivateAsync(prepared!, cancellationToken).ConfigureAwait(false));

            default:
                return new RotationTurn(step, null);
        }
    }

    private async Task<AuthorityRecord> ActivateAsync(AuthorityRecord prepared, CancellationToken cancellationToken)
    {
        if (await _keys.FindAsync(prepared.KeyName, cancellationToken).ConfigureAwait(false) is not { } key)
        {
            // Without its key it is worth nothing; the next turn prepares another.
            await ForgetAsync(prepared, cancellationToken).ConfigureAwait(false);
            throw new KeyManagerException($"the key of prepared authority {prepared.Id} is not in the key manager; another one will be prepared");
        }

        var records = Promote(_records, prepared);
        await _journal.SaveAsync(records, cancellationToken).ConfigureAwait(false);
        Publish(records, new SigningAuthority(prepared.Id, prepared.Certificate, key));
        return prepared;
    }

    private async Task ForgetExpiredAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        foreach (var record in _records.Where(r => r.Tier == AuthorityTier.Issuing && r.State != AuthorityState.Active && r.Validity.HasExpired(now)).ToArray())
        {
            await ForgetAsync(record, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task ForgetAsync(AuthorityRecord record, CancellationToken cancellationToken)
    {
        await _journal.DeleteAsync(record.Id, cancellationToken).ConfigureAwait(false);
        await _keys.DeleteAsync(record.KeyName, cancellationToken).ConfigureAwait(false);
        Publish(_records.Remove(record), Current.Issuing);
    }

    private AuthorityRecord? Issuing(AuthorityState state) =>
        _records.LastOrDefault(record => record.Tier == AuthorityTier.Issuing && record.State == state);

    private void Publish(ImmutableArray<AuthorityRecord> records, SigningAuthority issuing)
    {
        _records = records;
        Volatile.Write(ref _current, Snapshot(_plan, records, issuing));
    }

    private static AuthorityRecord Anchor(ImmutableArray<AuthorityRecord> records) =>
        records.Last(record => record.Tier == AuthorityTier.Anchor && record.State == AuthorityState.Active);

    /// <summary>The prepared one becomes active and the active one old.</summary>
    private static ImmutableArray<AuthorityRecord> Promote(ImmutableArray<AuthorityRecord> records, AuthorityRecord prepared) =>
        [.. records.Select(record =>
            record.Id == prepared.Id ? record with { State = AuthorityState.Active }
            : record is { Tier: AuthorityTier.Issuing, State: AuthorityState.Active } ? record with { State = AuthorityState.Old }
            : record)];

    private static async Task<SigningAuthority?> FindUsableAsync(
        ImmutableArray<AuthorityRecord> records, AuthorityState state, IKeyManager keys, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var found = records.LastOrDefault(record => record.Tier == AuthorityTier.Issuing && record.State == state && record.Validity.Covers(now));
        return found is not null && await keys.FindAsync(found.KeyName, cancellationToken).ConfigureAwait(false) is { } key
            ? new SigningAuthority(found.Id, found.Certificate, key)
            : null;
    }

    private static AuthoritySnapshot Snapshot(AuthorityPlan plan, ImmutableArray<AuthorityRecord> records, SigningAuthority issuing)
    {
        var anchors = records.Where(record => record.Tier == AuthorityTier.Anchor).ToArray();
        var bundle = X509Bundle.Create(plan.TrustDomain, [.. anchors.Select(record => record.Certificate)], (ulong)anchors.Length, refreshHint: null);
        return new AuthoritySnapshot(issuing, bundle, records);
    }
}
