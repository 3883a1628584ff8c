using System.Collections.Immutable;
using Signet.Authority.Keys;
using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.X509;

namespace Signet.Authority.Rotation;

/// <summary>What one turn of the rotation did.</summary>
public sealed record RotationTurn(RotationStep Step, AuthorityRecord? Authority);

/// <summary>
/// Keeps an anchor, below it an issuing authority, and beside them a key for JWT-SVIDs; the latter two in two slots each (current and next). One
/// caller turns them; any number read <see cref="Current"/>.
/// </summary>
public sealed class AuthorityRotation
{
    private readonly AuthorityPlan _plan;
    private readonly TimeProvider _time;
    private readonly ImmutableArray<X509AuthorityRecord> _anchors;
    private readonly AuthoritySlots<X509AuthorityRecord> _issuing;
    private readonly AuthoritySlots<JwtAuthorityRecord> _jwt;
    private AuthoritySnapshot _current;

    private AuthorityRotation(
        AuthorityPlan plan, TimeProvider time, ImmutableArray<X509AuthorityRecord> anchors, AuthoritySlots<X509AuthorityRecord> issuing, AuthoritySlots<JwtAuthorityRecord> jwt)
    {
        _plan = plan;
        _time = time;
        _anchors = anchors;
        _issuing = issuing;
        _jwt = jwt;
        _current = Snapshot();
    }

    /// <summary>The authorities as they are now. Thread-safe.</summary>
    public AuthoritySnapshot Current => Volatile.Read(ref _current);

    /// <summary>Resumes from the journal, or makes the first of what is not in it.</summary>
    /// <exception cref="KeyManagerException">The anchor's key is gone; making a new anchor silently would cut off every relying party.</exception>
    public static async Task<AuthorityRotation> ResumeAsync(
        AuthorityPlan plan, IKeyManager keys, IAuthorityJournal journal, TimeProvider time, CancellationToken cancellationToken)
    {
        var records = await journal.LoadAsync(cancellationToken).ConfigureAwait(false);
        var maker = new AuthorityMaker(plan, keys, journal);
        var now = time.GetUtcNow();
        ImmutableArray<X509AuthorityRecord> anchors = [.. records.OfType<X509AuthorityRecord>().Where(record => record.Tier == AuthorityTier.Anchor)];
        if (anchors.IsEmpty)
        {
            anchors = [await maker.MakeAnchorAsync(now, cancellationToken).ConfigureAwait(false)];
        }

        var anchor = anchors.Last(record => record.State == AuthorityState.Active);
        if (await keys.FindAsync(anchor.KeyName, cancellationToken).ConfigureAwait(false) is null)
        {
            throw new KeyManagerException(
                $"the key of trust anchor {anchor.Id} (valid until {anchor.Validity.NotAfter:u}) is not in the key manager; "
                + "restore it from a backup, or start with an empty data folder to found a new trust domain");
        }

        var issuing = await AuthoritySlots<X509AuthorityRecord>.ResumeAsync(
            [.. records.OfType<X509AuthorityRecord>().Where(record => record.Tier == AuthorityTier.Issuing)],
            (moment, stop) => maker.MakeIssuingAsync(anchor, moment, stop), plan.Rule, keys, journal, now, cancellationToken).ConfigureAwait(false);
        var jwt = await AuthoritySlots<JwtAuthorityRecord>.ResumeAsync(
            [.. records.OfType<JwtAuthorityRecord>()], maker.MakeJwtAsync, plan.Rule, keys, journal, now, cancellationToken).ConfigureAwait(false);
        return new AuthorityRotation(plan, time, anchors, issuing, jwt);
    }

    /// <summary>Does what is due now for the issuing authority, if anything. Not thread-safe: one owner turns it.</summary>
    public Task<RotationTurn> TurnAsync(CancellationToken cancellationToken) => TurnAsync(_issuing, cancellationToken);

    /// <summary>Does what is due now for the JWT keys, if anything. Not thread-safe: one owner turns it.</summary>
    public Task<RotationTurn> TurnJwtAsync(CancellationToken cancellationToken) => TurnAsync(_jwt, cancellationToken);

    private async Task<RotationTurn> TurnAsync<T>(AuthoritySlots<T> slots, CancellationToken cancellationToken)
        where T : AuthorityRecord
    {
        try
        {
            return await slots.TurnAsync(_time.GetUtcNow(), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            // A turn that failed may have forgotten something before.
            Volatile.Write(ref _current, Snapshot());
        }
    }

    private AuthoritySnapshot Snapshot()
    {
        var (issuing, jwt) = (_issuing.Active, _jwt.Active);
        var bundle = X509Bundle.Create(_plan.TrustDomain, [.. _anchors.Select(record => record.Certificate)], (ulong)_anchors.Length, refreshHint: null);
        return JwtBundle.TryCreate(_plan.TrustDomain, [.. _jwt.Records.Select(record => record.Authority)], out var jwtBundle, out var problem)
            ? new AuthoritySnapshot(
                new SigningAuthority(issuing.Record.Id, issuing.Record.Certificate, issuing.Key),
                new JwtSigningAuthority(jwt.Record.Id, jwt.Record.Validity, jwt.Key),
                bundle,
                jwtBundle,
                [.. _anchors, .. _issuing.Records, .. _jwt.Records])
            : throw new InvalidOperationException(problem);
    }
}
