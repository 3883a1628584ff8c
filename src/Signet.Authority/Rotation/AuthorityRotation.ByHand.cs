using System.Collections.Immutable;
using System.Security.Cryptography;
using Signet.Authority.Keys;
using Signet.Authority.Revocation;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509.Revocation;

namespace Signet.Authority.Rotation;

/// <summary>What operators order, ahead of the rule; and what was made elsewhere.</summary>
public sealed partial class AuthorityRotation
{
    /// <summary>Makes the next authority of a tier, ahead of the rule; one that was prepared before and never used goes.</summary>
    public Task<AuthorityRecord> PrepareAsync(AuthorityTier tier, CancellationToken cancellationToken) => AloneAsync(
        now =>
        {
            if (tier is not (AuthorityTier.Jwt or AuthorityTier.Wit))
            {
                RefuseWhenExternal("an issuing authority");
            }

            return PrepareAsync(tier, now, cancellationToken);
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
    /// <exception cref="AuthorityException">It is not tainted, or the anchor's key, which must sign the list, is not here.</exception>
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
            try
            {
                await SignCrlsAsync(_ledger.After(change), now).ConfigureAwait(false);
            }
            catch (KeyManagerException e)
            {
                throw new AuthorityException(e.Message);
            }

            await CommitAsync(change, cancellationToken).ConfigureAwait(false);
            await _keys.DeleteAsync(revoked.KeyName, CancellationToken.None).ConfigureAwait(false);
            return revoked;
        },
        cancellationToken);

    /// <summary>Nobody is to accept these certificates any more: each goes on the revocation list of the authority that signed it.</summary>
    /// <param name="certificates">What to revoke; what is revoked already stays as it is.</param>
    /// <param name="reason">Why.</param>
    /// <param name="by">Who says so.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Those that were not revoked before.</returns>
    /// <exception cref="AuthorityException">An authority that signed one is gone or has no key here, or too many would be revoked one by one. Nothing was changed.</exception>
    public Task<IReadOnlyList<RevokedCertificate>> RevokeAsync(IReadOnlyList<LiveCertificate> certificates, RevocationReason reason, string by, CancellationToken cancellationToken) => AloneAsync<IReadOnlyList<RevokedCertificate>>(
        async now =>
        {
            foreach (var authorityId in certificates.Select(certificate => certificate.AuthorityId).Distinct(StringComparer.Ordinal))
            {
                if (_ledger.Find(authorityId) is not X509AuthorityRecord { State: not SlotState.Revoked } authority)
                {
                    throw new AuthorityException($"authority {authorityId}, which signed it, is revoked or gone; what it signed is accepted by nobody any more");
                }

                if (await _keys.FindAsync(authority.KeyName, cancellationToken).ConfigureAwait(false) is null)
                {
                    throw new AuthorityException($"the key of authority {authorityId}, which must sign the revocation list, is not here; replace the authority instead: signet authority taint");
                }
            }

            string[] expired = [.. _ledger.RevokedCertificates.Values.Where(revoked => now - revoked.NotAfter > AuthorityPlan.ListMargin).Select(revoked => revoked.Serial)];
            RevokedCertificate[] revoked =
            [
                .. certificates
                    .Where(certificate => !_ledger.RevokedCertificates.ContainsKey(certificate.Serial))
                    .Select(certificate => new RevokedCertificate(certificate.Serial, certificate.SpiffeId, certificate.AuthorityId, certificate.NotAfter, now, reason, by)),
            ];
            if (_ledger.RevokedCertificates.Count - expired.Length + revoked.Length > AuthorityLedger.MaxRevokedCertificates)
            {
                throw new AuthorityException(
                    $"{_ledger.RevokedCertificates.Count + revoked.Length} certificates would be revoked one by one; the limit is {AuthorityLedger.MaxRevokedCertificates}. Have all replaced at once: signet authority prepare, activate, taint, revoke");
            }

            if (revoked.Length > 0)
            {
                await CommitAsync(new AuthorityChange { RevokedCertificates = [.. revoked], ForgottenCertificates = [.. expired] }, cancellationToken).ConfigureAwait(false);
            }

            return revoked;
        },
        cancellationToken);

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

    /// <summary>Takes over a revocation list that an anchor signed elsewhere: what is on it is accepted by nobody any more, and its key is destroyed.</summary>
    /// <returns>What was revoked by it; null when the list is known.</returns>
    /// <exception cref="AuthorityException">It can't be taken over; the message says why.</exception>
    public Task<IReadOnlyList<AuthorityRecord>?> TakeListAsync(CertificateRevocationList list, CancellationToken cancellationToken) => AloneAsync<IReadOnlyList<AuthorityRecord>?>(
        async now =>
        {
            if (!OfflineRevocation.TryApply(_ledger, list, now, out var change, out var problem))
            {
                throw new AuthorityException(problem);
            }

            if (change == AuthorityChange.None)
            {
                return null;
            }

            await CommitAsync(change, cancellationToken).ConfigureAwait(false);
            foreach (var revoked in change.Saved)
            {
                await _keys.DeleteAsync(revoked.KeyName, CancellationToken.None).ConfigureAwait(false);
            }

            return change.Saved;
        },
        cancellationToken);

    private async Task<X509AuthorityRecord> FindOrImportAsync(ExternalIssuer issuer, DateTimeOffset now, CancellationToken cancellationToken) =>
        _ledger.Issuing.FirstOrDefault(known => known.Certificate.Equals(issuer.Certificate)) ?? await _maker.ImportAsync(issuer, now, cancellationToken).ConfigureAwait(false);

    private void RefuseWhenExternal(string what)
    {
        if (_plan.IsExternal)
        {
            throw new AuthorityException($"{what} is not made here but comes from upstream; replace it there");
        }
    }

    // One list per authority that revoked something. Once certificates are revoked one by one, one of every authority besides: some readers of lists refuse
    // whatever stands below an authority without one.
    private async Task<ImmutableArray<CertificateRevocationList>> SignCrlsAsync(AuthorityLedger ledger, DateTimeOffset now)
    {
        var lists = ImmutableArray.CreateBuilder<CertificateRevocationList>();
        var isComplete = ledger.RevokedCertificates.Count > 0;
        foreach (var anchor in ledger.Anchors)
        {
            var revoked = ledger.Revoked.Where(issuing => issuing.IsBelow(anchor)).ToArray();
            var key = await _keys.FindAsync(anchor.KeyName, CancellationToken.None).ConfigureAwait(false);
            if (revoked.Length > 0 && key is null)
            {
                lists.Add(SignedElsewhere(ledger, anchor, revoked));
            }
            else if (key is not null && (revoked.Length > 0 || isComplete))
            {
                var entries = revoked.Select(issuing => KeyValuePair.Create(issuing.Certificate.SerialHex, now - AuthorityPlan.Backdate)).Concat(EntriesOf(ledger, anchor)).ToArray();
                var last = ledger.Issuing.Where(issuing => issuing.IsBelow(anchor)).Select(issuing => issuing.Validity.NotAfter)
                    .Concat(ledger.RevokedCertificates.Values.Where(one => one.AuthorityId == anchor.Id).Select(one => one.NotAfter))
                    .Append(now)
                    .Max();
                lists.Add(Sign(anchor, key, last, entries));
            }
        }

        foreach (var issuing in ledger.Issuing.Where(issuing => isComplete && issuing.State != SlotState.Revoked))
        {
            if (await _keys.FindAsync(issuing.KeyName, CancellationToken.None).ConfigureAwait(false) is { } key)
            {
                lists.Add(Sign(issuing, key, issuing.Validity.NotAfter, EntriesOf(ledger, issuing)));
            }
        }

        return lists.DrainToImmutable();

        CertificateRevocationList Sign(X509AuthorityRecord authority, AsymmetricAlgorithm key, DateTimeOffset last, IEnumerable<KeyValuePair<string, DateTimeOffset>> entries) => CertificateRevocationList.Sign(
            authority.Certificate, key, now - AuthorityPlan.Backdate, last + AuthorityPlan.ListMargin, (ulong)now.ToUnixTimeMilliseconds(), entries);
    }

    private static IEnumerable<KeyValuePair<string, DateTimeOffset>> EntriesOf(AuthorityLedger ledger, X509AuthorityRecord authority) => ledger.RevokedCertificates.Values
        .Where(revoked => revoked.AuthorityId == authority.Id)
        .OrderBy(revoked => revoked.Serial, StringComparer.Ordinal)
        .Select(revoked => KeyValuePair.Create(revoked.Serial, revoked.At));

    private static CertificateRevocationList SignedElsewhere(AuthorityLedger ledger, X509AuthorityRecord anchor, IEnumerable<X509AuthorityRecord> revoked) =>
        ledger.Lists.TryGetValue(anchor.Id, out var list) && revoked.All(issuing => list.Contains(issuing.Top.SerialHex, out _)) ? list
        : throw new KeyManagerException(
            $"the key of trust anchor {anchor.Id}, which must sign the revocation list, is not here; sign it beside that key with signet ca revoke, and put it where upstream.revocationList says");

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
}
