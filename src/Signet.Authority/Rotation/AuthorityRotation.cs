using System.Collections.Immutable;
using Signet.Authority.Keys;
using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;

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
public sealed class AuthorityRotation : IDisposable
{
    private static readonly TimeSpan ListMargin = TimeSpan.FromDays(1);

    private readonly AuthorityPlan _plan;
    private readonly IKeyManager _keys;
    private readonly IAuthorityJournal _journal;
    private readonly AuthorityMaker _maker;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _lane = new(1, 1);
    private AuthorityLedger _ledger;
    private AuthoritySnapshot? _current;

    private AuthorityRotation(AuthorityPlan plan, IKeyManager keys, IAuthorityJournal journal, TimeProvider time, AuthorityLedger ledger)
    {
        (_plan, _keys, _journal, _time, _ledger) = (plan, keys, journal, time, ledger);
        _maker = new AuthorityMaker(plan, keys);
    }

    /// <summary>The authorities as they are now. Thread-safe.</summary>
    public AuthoritySnapshot Current => Volatile.Read(ref _current)!;

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
            var turnsByItself = tier == AuthorityTier.Jwt || (tier == AuthorityTier.Issuing && !_plan.IsExternal);
            return action.Step switch
            {
                RotationStep.Forget => new RotationTurn(action.Step, await ForgetAsync(_ledger.Find(action.Id)!, cancellationToken).ConfigureAwait(false)),
                RotationStep.Prepare when turnsByItself => new RotationTurn(action.Step, await PrepareAsync(tier, now, cancellationToken).ConfigureAwait(false)),
                RotationStep.Activate when turnsByItself => new RotationTurn(action.Step, await ActivateAsync(_ledger.Find(action.Id)!, cancellationToken).ConfigureAwait(false)),
                _ => new RotationTurn(RotationStep.Wait, null),
            };
        },
        cancellationToken);

    /// <summary>Makes the next authority of a tier, ahead of the rule; one that was prepared before and never used goes.</summary>
    public Task<AuthorityRecord> PrepareAsync(AuthorityTier tier, CancellationToken cancellationToken) => AloneAsync(
        async now =>
        {
            if (tier != AuthorityTier.Jwt)
            {
                RefuseWhenExternal("an issuing authority");
            }

            var unused = Last(tier, SlotState.Prepared);
            var made = await PrepareAsync(tier, now, cancellationToken).ConfigureAwait(false);
            if (unused is not null)
            {
                await ForgetAsync(unused, cancellationToken).ConfigureAwait(false);
            }

            return made;
        },
        cancellationToken);

    /// <summary>A prepared authority signs from now on, ahead of the rule.</summary>
    /// <exception cref="AuthorityException">It is not prepared.</exception>
    public Task<AuthorityRecord> ActivateAsync(AuthorityTier tier, string id, CancellationToken cancellationToken) =>
        AloneAsync(_ => ActivateAsync(Find(tier, id, SlotState.Prepared, "activated"), cancellationToken), cancellationToken);

    /// <summary>Everything that an old authority signed is to be replaced.</summary>
    /// <exception cref="AuthorityException">It is not old.</exception>
    public Task<AuthorityRecord> TaintAsync(AuthorityTier tier, string id, CancellationToken cancellationToken) => AloneAsync(
        async _ =>
        {
            var tainted = Find(tier, id, SlotState.Old, "tainted") with { State = SlotState.Tainted };
            await CommitAsync(new AuthorityChange { Saved = [tainted] }, cancellationToken).ConfigureAwait(false);
            return tainted;
        },
        cancellationToken);

    /// <summary>
    /// Nothing that a tainted authority signed is accepted any more: a JWT key leaves the bundle, an issuing authority goes on its anchor's
    /// revocation list until it expires. Its key is destroyed.
    /// </summary>
    /// <exception cref="AuthorityException">It is not tainted.</exception>
    /// <exception cref="KeyManagerException">The anchor's key, which must sign the list, is not here.</exception>
    public Task<AuthorityRecord> RevokeAsync(AuthorityTier tier, string id, CancellationToken cancellationToken) => AloneAsync(
        async now =>
        {
            var tainted = Find(tier, id, SlotState.Tainted, "revoked");
            if (tainted is not X509AuthorityRecord issuing)
            {
                return await ForgetAsync(tainted, cancellationToken).ConfigureAwait(false);
            }

            var revoked = issuing with { State = SlotState.Revoked };
            var change = new AuthorityChange { Saved = [revoked] };
            await SignCrlsAsync(_ledger.After(change), now).ConfigureAwait(false);
            await CommitAsync(change, cancellationToken).ConfigureAwait(false);
            await _keys.DeleteAsync(revoked.KeyName, CancellationToken.None).ConfigureAwait(false);
            return revoked;
        },
        cancellationToken);

    /// <summary>Whether the anchor is so near its end that its rotation should begin by itself; after one that was aborted, only once it is urgent.</summary>
    public bool IsAnchorDue(DateTimeOffset now)
    {
        var ledger = Current.Ledger;
        return !_plan.IsExternal
            && ledger.Rotation is not { IsUnderWay: true }
            && _plan.Rule.Next(ledger.Slots(AuthorityTier.Anchor), now, mayForget: false).Step == RotationStep.Prepare
            && (ledger.Rotation is not { Stage: AnchorStage.Aborted } || _plan.Rule.IsEnding(ledger.ActiveAnchor.Validity, now));
    }

    /// <summary>Whether the anchor cannot carry an SVID of full life any more, so that to wait with its successor protects nobody.</summary>
    public bool IsAnchorTooLate(DateTimeOffset now) => Current.Ledger.ActiveAnchor.Validity.Remaining(now) <= _plan.GuaranteedSvidTtl;

    /// <summary>Makes a new anchor and publishes it beside the old one.</summary>
    /// <exception cref="AuthorityException">A rotation is under way already.</exception>
    public Task<AuthoritySnapshot> AnnounceAnchorAsync(string by, CancellationToken cancellationToken) => AloneAsync(
        async now =>
        {
            RefuseWhenExternal("a new anchor");
            if (_ledger.Rotation is { IsUnderWay: true } running)
            {
                throw new AuthorityException($"a rotation of the anchor is under way since {running.StartedAt:u}; follow it, or abort it first");
            }

            var successor = await _maker.MakeAnchorAsync(now, cancellationToken).ConfigureAwait(false);
            await CommitNewAsync(successor, AnchorRotation.Announcing(successor, by, now), cancellationToken).ConfigureAwait(false);
            return Current;
        },
        cancellationToken);

    /// <summary>Signs with the new anchor from now on.</summary>
    /// <exception cref="AuthorityException">No rotation is in the stage before.</exception>
    public Task<AuthoritySnapshot> SwitchAnchorAsync(CancellationToken cancellationToken) => StepAsync(
        AnchorStage.Announced,
        async (rotation, now) =>
        {
            if (_ledger.Find(rotation.Successor) is not X509AuthorityRecord successor)
            {
                throw new AuthorityException($"the new anchor {rotation.Successor} is gone; abort the rotation and begin another");
            }

            if (_ledger.Issuing.LastOrDefault(one => one.State == SlotState.Prepared && one.IsBelow(successor)) is { } installed)
            {
                await CommitAsync(rotation.Switching(_ledger, installed, now), cancellationToken).ConfigureAwait(false);
                return;
            }

            var issuing = await _maker.MakeIssuingAsync(successor, now, cancellationToken).ConfigureAwait(false);
            await CommitNewAsync(issuing, rotation.Switching(_ledger, issuing, now), cancellationToken).ConfigureAwait(false);
        },
        cancellationToken);

    /// <summary>Drops the old anchor with everything below it.</summary>
    /// <exception cref="AuthorityException">No rotation is in the stage before.</exception>
    public Task<AuthoritySnapshot> DropAnchorAsync(CancellationToken cancellationToken) =>
        StepAsync(AnchorStage.Replacing, (rotation, now) => CommitAsync(rotation.Dropping(_ledger, now), cancellationToken), cancellationToken);

    /// <summary>Gives the rotation up.</summary>
    /// <exception cref="AuthorityException">No rotation is under way.</exception>
    public Task<AuthoritySnapshot> AbortAnchorAsync(CancellationToken cancellationToken) =>
        StepAsync(stage: null, (rotation, now) => CommitAsync(rotation.Aborting(_ledger, now), cancellationToken), cancellationToken);

    /// <summary>Does not wait in the stage that the rotation is in.</summary>
    /// <exception cref="AuthorityException">No rotation is under way.</exception>
    public Task<AuthoritySnapshot> ForceAnchorAsync(string reason, CancellationToken cancellationToken) =>
        StepAsync(stage: null, (rotation, _) => CommitAsync(rotation.Forcing(reason), cancellationToken), cancellationToken);

    /// <summary>
    /// Takes over what was made elsewhere. Below an anchor that everybody has it signs from now on; below another one, that anchor's rotation begins, and it
    /// signs once everybody has it.
    /// </summary>
    /// <returns>Whether there was anything new in it.</returns>
    public Task<bool> InstallAsync(ExternalIssuer issuer, CancellationToken cancellationToken) => AloneAsync(
        async now =>
        {
            var change = ExternalInstallation.Of(_ledger, issuer, await FindOrImportAsync(issuer, now, cancellationToken).ConfigureAwait(false), now);
            if (change == AuthorityChange.None)
            {
                return false;
            }

            await CommitNewAsync(change.Saved.FirstOrDefault(record => record.Id == issuer.Certificate.SerialHex), change, cancellationToken).ConfigureAwait(false);
            return true;
        },
        cancellationToken);

    public void Dispose() => _lane.Dispose();

    private async Task<X509AuthorityRecord> FindOrImportAsync(ExternalIssuer issuer, DateTimeOffset now, CancellationToken cancellationToken) =>
        _ledger.Issuing.FirstOrDefault(known => known.Certificate.Equals(issuer.Certificate)) ?? await _maker.ImportAsync(issuer, now, cancellationToken).ConfigureAwait(false);

    private void RefuseWhenExternal(string what)
    {
        if (_plan.IsExternal)
        {
            throw new AuthorityException($"{what} is not made here but comes from the files under upstream.folder; replace those");
        }
    }

    private async Task ResumeAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (!_ledger.Anchors.Any())
        {
            if (_plan.IsExternal)
            {
                throw new KeyManagerException("there is no issuing authority yet, and the files under upstream.folder can't be used");
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
        await CommitAsync(AuthorityChange.None, cancellationToken).ConfigureAwait(false);
    }

    // What was active may have expired, or lost its key, while the server was down; then what was prepared takes over, or a new one.
    private async Task EnsureUsableAsync(AuthorityTier tier, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (!await IsUsableAsync(Last(tier, SlotState.Active), now, cancellationToken).ConfigureAwait(false))
        {
            var prepared = Last(tier, SlotState.Prepared);
            if (!await IsUsableAsync(prepared, now, cancellationToken).ConfigureAwait(false))
            {
                if (tier == AuthorityTier.Issuing && _plan.IsExternal)
                {
                    throw new KeyManagerException("the issuing authority has expired or lost its key; put a new one under upstream.folder");
                }

                prepared = await PrepareAsync(tier, now, cancellationToken).ConfigureAwait(false);
            }

            await ActivateAsync(prepared!, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<AuthorityRecord> PrepareAsync(AuthorityTier tier, DateTimeOffset now, CancellationToken cancellationToken)
    {
        AuthorityRecord made = tier == AuthorityTier.Jwt
            ? await _maker.MakeJwtAsync(now, cancellationToken).ConfigureAwait(false)
            : await _maker.MakeIssuingAsync(_ledger.ActiveAnchor, now, cancellationToken).ConfigureAwait(false);
        await CommitNewAsync(made, new AuthorityChange { Saved = [made] }, cancellationToken).ConfigureAwait(false);
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

    // Journal first, then everybody else; a key goes only once nothing names it any more.
    private async Task CommitAsync(AuthorityChange change, CancellationToken cancellationToken)
    {
        var after = _ledger.After(change);
        var sequence = await _journal.CommitAsync(change, after.Content, cancellationToken).ConfigureAwait(false);
        var forgotten = change.Forgotten.Select(_ledger.Find).OfType<AuthorityRecord>().ToArray();
        _ledger = after;
        if (await SnapshotAsync(sequence).ConfigureAwait(false) is { } snapshot)
        {
            Volatile.Write(ref _current, snapshot);
        }

        foreach (var gone in forgotten)
        {
            await _keys.DeleteAsync(gone.KeyName, CancellationToken.None).ConfigureAwait(false);
        }
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
        return JwtBundle.TryCreate(_plan.TrustDomain, [.. _ledger.Jwt.Select(record => record.Authority)], out var jwtBundle, out var problem)
            ? new AuthoritySnapshot(
                new SigningAuthority(issuing.Id, [issuing.Certificate, .. issuing.Above], issuingKey),
                new JwtSigningAuthority(jwt.Id, jwt.Validity, jwtKey),
                bundle,
                jwtBundle,
                crls,
                _ledger,
                [.. _ledger.Superseded])
            : throw new InvalidOperationException(problem);
    }

    // One list per anchor that revoked something. It holds for as long as what it revokes could, and a day: a relying party that cannot get a newer
    // one in that time has no valid SVID of its own any more.
    private async Task<ImmutableArray<CertificateRevocationList>> SignCrlsAsync(AuthorityLedger ledger, DateTimeOffset now)
    {
        var lists = ImmutableArray.CreateBuilder<CertificateRevocationList>();
        foreach (var anchor in ledger.Anchors)
        {
            var revoked = ledger.Revoked.Where(issuing => issuing.IsBelow(anchor)).ToArray();
            if (revoked.Length > 0)
            {
                var key = await _keys.FindAsync(anchor.KeyName, CancellationToken.None).ConfigureAwait(false)
                    ?? throw new KeyManagerException($"the key of trust anchor {anchor.Id}, which must sign the revocation list, is not in the key manager");
                lists.Add(CertificateRevocationList.Sign(
                    anchor.Certificate, key, now - AuthorityPlan.Backdate, revoked.Max(issuing => issuing.Validity.NotAfter) + ListMargin, (ulong)now.ToUnixTimeMilliseconds(), revoked.Select(issuing => issuing.Certificate)));
            }
        }

        return lists.DrainToImmutable();
    }

    private AuthorityRecord Find(AuthorityTier tier, string id, SlotState state, string what)
    {
        if (_ledger.Find(id) is not { } record || record.Tier != tier)
        {
            throw new AuthorityException($"there is no {tier.ToString().ToLowerInvariant()} authority \"{Printable.Of(id)}\"; see: signet authority show");
        }

        return record.State == state
            ? record
            : throw new AuthorityException($"authority {record.Id} is {record.State.ToString().ToLowerInvariant()}; only one that is {state.ToString().ToLowerInvariant()} can be {what}");
    }

    private Task<AuthoritySnapshot> StepAsync(AnchorStage? stage, Func<AnchorRotation, DateTimeOffset, Task> step, CancellationToken cancellationToken) => AloneAsync(
        async now =>
        {
            if (_ledger.Rotation is not { IsUnderWay: true } rotation || (stage ?? rotation.Stage) != rotation.Stage)
            {
                throw new AuthorityException($"no rotation of the anchor is {(stage is null ? "under way" : $"in the stage {stage}")}");
            }

            await step(rotation, now).ConfigureAwait(false);
            return Current;
        },
        cancellationToken);

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
