using System.Collections.Immutable;
using Signet.Authority.Keys;
using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.X509;

namespace Signet.Authority.Rotation;

/// <summary>What one turn of the rotation did.</summary>
public sealed record RotationTurn(RotationStep Step, AuthorityRecord? Authority);

/// <summary>What was asked of an authority cannot be done as things stand; the message says why, and nothing was changed.</summary>
public sealed class AuthorityException(string message) : Exception(message);

/// <summary>
/// Keeps the trust anchors, below them the issuing authorities, and beside them the keys for JWT-SVIDs, each a row of slots by the same
/// <see cref="RotationRule"/>; the anchors by <see cref="AnchorRotation"/> besides. Every step goes through the journal before it counts. Thread-safe:
/// steps go one at a time, any number read <see cref="Current"/>.
/// </summary>
public sealed partial class AuthorityRotation : IDisposable
{
    private readonly AuthorityPlan _plan;
    private readonly IKeyManager _keys;
    private readonly IAuthorityJournal _journal;
    private readonly AuthorityMaker _maker;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _lane = new(1, 1);
    private AuthorityLedger _ledger;
    private ImmutableHashSet<string> _deletedKeys = [];
    private AuthoritySnapshot? _current;
    private string _keyProblem = "";

    private AuthorityRotation(AuthorityPlan plan, IKeyManager keys, IAuthorityJournal journal, TimeProvider time, AuthorityLedger ledger)
    {
        (_plan, _keys, _journal, _time, _ledger) = (plan, keys, journal, time, ledger);
        _maker = new AuthorityMaker(plan, keys);
    }

    /// <summary>The authorities as they are now. Thread-safe.</summary>
    public AuthoritySnapshot Current => Volatile.Read(ref _current)!;

    /// <summary>Why the key of an authority that is gone is there still; empty when none is. Thread-safe.</summary>
    public string KeyProblem => Volatile.Read(ref _keyProblem);

    /// <summary>Resumes from the journal, or makes the first of what is not in it.</summary>
    /// <param name="plan">What authorities look like.</param>
    /// <param name="keys">Where their keys are.</param>
    /// <param name="journal">Where they are remembered.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <param name="external">What was made elsewhere; null when there is nothing new of the kind.</param>
    /// <exception cref="KeyManagerException">The anchor's key is gone; making a new anchor silently would cut off every relying party. Or no issuing authority was ever installed.</exception>
    public static async Task<AuthorityRotation> ResumeAsync(
        AuthorityPlan plan, IKeyManager keys, IAuthorityJournal journal, TimeProvider time, CancellationToken cancellationToken, ExternalIssuer? external = null)
    {
        var rotation = new AuthorityRotation(plan, keys, journal, time, await journal.LoadAsync(cancellationToken).ConfigureAwait(false));
        if (plan.HasVolatileKeys)
        {
            await rotation.ForgetKeylessAsync(cancellationToken).ConfigureAwait(false);
        }

        if (external is not null)
        {
            await rotation.InstallAsync(external, cancellationToken).ConfigureAwait(false);
        }

        await rotation.ResumeAsync(time.GetUtcNow(), cancellationToken).ConfigureAwait(false);
        return rotation;
    }

    /// <summary>Does what is due now for one tier, if anything. Anchors are only ever forgotten here: what else they do, <see cref="AnchorRotation"/> says.</summary>
    /// <param name="tier">Which.</param>
    /// <param name="mayForget">Whether the clock can be believed enough to drop something for good (<see cref="ClockWatch"/>).</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<RotationTurn> TurnAsync(AuthorityTier tier, bool mayForget, CancellationToken cancellationToken) => AloneAsync(
        async now =>
        {
            var action = _plan.Rule.Next(_ledger.Slots(tier), now, mayForget);
            var turnsByItself = tier == AuthorityTier.Jwt || (tier == AuthorityTier.Wit && _plan.SignsWit) || (tier == AuthorityTier.Issuing && !_plan.IsExternal);
            return action.Step switch
            {
                RotationStep.Forget => new RotationTurn(action.Step, await ForgetAsync(_ledger.Find(action.Id)!, cancellationToken).ConfigureAwait(false)),
                RotationStep.Prepare when turnsByItself => new RotationTurn(action.Step, await PrepareAsync(tier, now, cancellationToken).ConfigureAwait(false)),
                RotationStep.Activate when turnsByItself => new RotationTurn(action.Step, await ActivateAsync(_ledger.Find(action.Id)!, cancellationToken).ConfigureAwait(false)),
                _ => new RotationTurn(RotationStep.Wait, null),
            };
        },
        cancellationToken);

    public void Dispose() => _lane.Dispose();

    private async Task ResumeAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (!_ledger.Anchors.Any())
        {
            if (_plan.IsExternal)
            {
                throw new KeyManagerException("there is no issuing authority yet, and none can be had from upstream");
            }

            var first = await _maker.MakeAnchorAsync(now, cancellationToken).ConfigureAwait(false) with { State = SlotState.Active };
            await CommitNewAsync(first, new AuthorityChange { Saved = [first] }, cancellationToken).ConfigureAwait(false);
        }

        var anchor = _ledger.ActiveAnchor;
        if (!_plan.IsExternal && await _keys.FindAsync(anchor.KeyName, cancellationToken).ConfigureAwait(false) is null)
        {
            throw new KeyManagerException(
                $"the key of trust anchor {anchor.Id} (valid until {anchor.Validity.NotAfter:u}) is not in the key manager; "
                + "restore it from a backup, or start with an empty data folder to found a new trust domain");
        }

        foreach (var revoked in _ledger.Revoked)
        {
            await _keys.DeleteAsync(revoked.KeyName, CancellationToken.None).ConfigureAwait(false);
        }

        await EnsureUsableAsync(AuthorityTier.Issuing, now, cancellationToken).ConfigureAwait(false);
        await EnsureUsableAsync(AuthorityTier.Jwt, now, cancellationToken).ConfigureAwait(false);
        if (_plan.SignsWit)
        {
            await EnsureUsableAsync(AuthorityTier.Wit, now, cancellationToken).ConfigureAwait(false);
        }

        await CommitAsync(AuthorityChange.None, cancellationToken).ConfigureAwait(false);
    }

    // What was signed before stays valid until it expires, but nothing can be signed with it. What is revoked stays known for as long as its anchor does.
    private async Task ForgetKeylessAsync(CancellationToken cancellationToken)
    {
        var lost = new HashSet<AuthorityRecord>();
        foreach (var record in _ledger.Records.Where(record => record.KeyName.Length > 0 && record.State != SlotState.Revoked))
        {
            if (await _keys.FindAsync(record.KeyName, cancellationToken).ConfigureAwait(false) is null)
            {
                lost.Add(record);
            }
        }

        lost.UnionWith(_ledger.Revoked.Where(revoked => _ledger.Anchors.All(anchor => lost.Contains(anchor) || !revoked.IsBelow(anchor))));
        if (lost.Count > 0)
        {
            var rotation = _ledger.Rotation is { IsUnderWay: true } running && lost.Any(record => record.Tier == AuthorityTier.Anchor) ? running with { Stage = AnchorStage.Aborted } : null;
            await CommitAsync(new AuthorityChange { Forgotten = [.. lost.Select(record => record.Id)], Rotation = rotation }, cancellationToken).ConfigureAwait(false);
        }
    }

    // What was active may have expired, or lost its key, while the server was down; then what was prepared takes over, or a new one.
    private async Task EnsureUsableAsync(AuthorityTier tier, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var active = Last(tier, SlotState.Active);

        // An issuing authority in its last moments would not outlive the start. A key of tokens can't be replaced so fast: nobody has the next one.
        var isEnding = tier == AuthorityTier.Issuing && !_plan.IsExternal && active is not null && _plan.Rule.IsEnding(active.Validity, now);
        if (isEnding || !await IsUsableAsync(active, now, cancellationToken).ConfigureAwait(false))
        {
            var prepared = Last(tier, SlotState.Prepared);
            if (!await IsUsableAsync(prepared, now, cancellationToken).ConfigureAwait(false))
            {
                if (tier == AuthorityTier.Issuing && _plan.IsExternal)
                {
                    throw new KeyManagerException("the issuing authority has expired or lost its key, and upstream has no new one");
                }

                prepared = await PrepareAsync(tier, now, cancellationToken).ConfigureAwait(false);
            }

            await ActivateAsync(prepared!, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<AuthorityRecord> PrepareAsync(AuthorityTier tier, DateTimeOffset now, CancellationToken cancellationToken)
    {
        AuthorityRecord made = tier is AuthorityTier.Jwt or AuthorityTier.Wit
            ? await _maker.MakeTokenKeyAsync(tier, now, cancellationToken).ConfigureAwait(false)
            : await _maker.MakeIssuingAsync(_ledger.ActiveAnchor, now, cancellationToken).ConfigureAwait(false);

        // One that was prepared before and never used gives way.
        string[] unused = [.. _ledger.Records.Where(record => record.Tier == tier && record.State == SlotState.Prepared).Select(record => record.Id)];
        await CommitNewAsync(made, new AuthorityChange { Saved = [made], Forgotten = [.. unused] }, cancellationToken).ConfigureAwait(false);
        return made;
    }

    private async Task<AuthorityRecord> ActivateAsync(AuthorityRecord prepared, CancellationToken cancellationToken)
    {
        if (await _keys.FindAsync(prepared.KeyName, cancellationToken).ConfigureAwait(false) is null)
        {
            // Without its key it is worth nothing; the next turn prepares another.
            await ForgetAsync(prepared, cancellationToken).ConfigureAwait(false);
            throw new KeyManagerException($"the key of prepared authority {prepared.Id} is not in the key manager; another one will be prepared");
        }

        await CommitAsync(_ledger.Activating(prepared), cancellationToken).ConfigureAwait(false);
        return prepared;
    }

    private async Task<AuthorityRecord> ForgetAsync(AuthorityRecord record, CancellationToken cancellationToken)
    {
        await CommitAsync(new AuthorityChange { Forgotten = [record.Id] }, cancellationToken).ConfigureAwait(false);
        return record;
    }

    private async Task CommitNewAsync(AuthorityRecord? made, AuthorityChange change, CancellationToken cancellationToken)
    {
        try
        {
            await CommitAsync(change, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            // A journal that keeps failing must not leave a key behind at every attempt; one that failed too late to say so must keep it.
            if (made is not null && (await _journal.LoadAsync(CancellationToken.None).ConfigureAwait(false)).Find(made.Id) is null)
            {
                await _keys.DeleteAsync(made.KeyName, CancellationToken.None).ConfigureAwait(false);
            }

            throw;
        }
    }

    // Journal first, then everybody else; a key goes only once nothing needs it any more, and its name only with a later commit, once it is gone.
    private async Task CommitAsync(AuthorityChange change, CancellationToken cancellationToken)
    {
        change = change with { DeletedKeys = [.. _deletedKeys] };
        var after = _ledger.After(change);
        var sequence = await _journal.CommitAsync(change, after.Content, cancellationToken).ConfigureAwait(false);
        (_ledger, _deletedKeys) = (after, []);
        if (await SnapshotAsync(sequence).ConfigureAwait(false) is { } snapshot)
        {
            Volatile.Write(ref _current, snapshot);
        }

        await DeleteDoomedAsync(after).ConfigureAwait(false);
    }

    // What can't be deleted now is tried again with the next change, and holds nothing up.
    private async Task DeleteDoomedAsync(AuthorityLedger ledger)
    {
        var problem = "";
        foreach (var name in ledger.DoomedKeys)
        {
            try
            {
                await _keys.DeleteAsync(name, CancellationToken.None).ConfigureAwait(false);
                _deletedKeys = _deletedKeys.Add(name);
            }
            catch (Exception e)
            {
                problem = $"key {name}: {e.Message}";
            }
        }

        Volatile.Write(ref _keyProblem, problem);
    }

    /// <summary>What others see of the ledger; null while the first authorities are still being made.</summary>
    private async Task<AuthoritySnapshot?> SnapshotAsync(ulong sequence)
    {
        if (Last(AuthorityTier.Issuing, SlotState.Active) is not X509AuthorityRecord issuing
            || Last(AuthorityTier.Jwt, SlotState.Active) is not { } jwt
            || await _keys.FindAsync(issuing.KeyName, CancellationToken.None).ConfigureAwait(false) is not { } issuingKey
            || await _keys.FindAsync(jwt.KeyName, CancellationToken.None).ConfigureAwait(false) is not { } jwtKey)
        {
            return null;
        }

        var crls = await SignCrlsAsync(_ledger, _time.GetUtcNow()).ConfigureAwait(false);
        var bundle = X509Bundle.Create(_plan.TrustDomain, _ledger.Anchors.Select(record => record.Certificate), sequence, refreshHint: null);
        var wit = Last(AuthorityTier.Wit, SlotState.Active);
        var witKey = wit is null ? null : await _keys.FindAsync(wit.KeyName, CancellationToken.None).ConfigureAwait(false);
        return JwtBundle.TryCreate(_plan.TrustDomain, [.. _ledger.Jwt.Select(record => record.Authority)], out var jwtBundle, out var problem)
            && WitBundle.TryCreate(_plan.TrustDomain, [.. _ledger.Wit.Select(record => record.Authority)], out var witBundle, out problem)
            ? new AuthoritySnapshot(
                new SigningAuthority(issuing.Id, [issuing.Certificate, .. issuing.Above], issuingKey),
                new JwtSigningAuthority(jwt.Id, jwt.Validity, jwtKey),
                bundle,
                jwtBundle,
                crls,
                _ledger,
                [.. _ledger.Superseded])
            {
                Wit = witKey is null ? null : new JwtSigningAuthority(wit!.Id, wit.Validity, witKey),
                WitBundle = witBundle,
            }
            : throw new InvalidOperationException(problem);
    }

    private async Task<T> AloneAsync<T>(Func<DateTimeOffset, Task<T>> step, CancellationToken cancellationToken)
    {
        await _lane.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await step(_time.GetUtcNow()).ConfigureAwait(false);
        }
        finally
        {
            _lane.Release();
        }
    }

    private AuthorityRecord? Last(AuthorityTier tier, SlotState state) => _ledger.Records.LastOrDefault(record => record.Tier == tier && record.State == state);

    private async Task<bool> IsUsableAsync(AuthorityRecord? record, DateTimeOffset now, CancellationToken cancellationToken) =>
        record is not null && record.Validity.Covers(now) && await _keys.FindAsync(record.KeyName, cancellationToken).ConfigureAwait(false) is not null;
}
