using System.Security.Cryptography;
using System.Text;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Testing;

namespace Signet.UnitTests.Authority;

public sealed class AuthorityTests
{
    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly SpiffeId Web = SpiffeId.Parse("spiffe://example.org/web");
    private static readonly AuthorityPlan Plan = new() { TrustDomain = Domain };

    private readonly ManualTimeProvider _time = new(Start);
    private readonly MemoryKeyManager _keys = new();
    private readonly MemoryJournal _journal = new();

    [Fact]
    public async Task The_first_start_makes_an_anchor_and_an_issuing_authority_below_it()
    {
        var snapshot = (await ResumeAsync()).Current;
        var anchor = Assert.Single(snapshot.Bundle.Authorities);
        Assert.Equal(anchor.Subject, snapshot.Issuing.Certificate.Issuer);
        Assert.NotEqual(anchor.Subject, snapshot.Issuing.Certificate.Subject);
        Assert.True(X509SvidProfile.TryCheckAuthority(anchor, Domain, out var problem), problem);
        Assert.Equal(Start.AddDays(3650), anchor.NotAfter);
        Assert.Equal(Start.AddHours(24), snapshot.Issuing.Certificate.NotAfter);
    }

    [Fact]
    public async Task ID08_Each_signing_authority_has_an_SVID_of_its_own_whose_ID_is_the_trust_domain()
    {
        var snapshot = (await ResumeAsync()).Current;
        Assert.All([snapshot.Issuing.Certificate, .. snapshot.Bundle.Authorities], authority => Assert.Equal([SpiffeId.Of(Domain).Uri], authority.UriNames));
    }

    [Fact]
    public async Task ID09_ID_and_key_are_in_what_is_signed()
    {
        using var rotation = await ResumeAsync();
        using var key = KeyPair.Generate(KeyType.EcP256);
        var request = new SvidRequest(Web, KeyPair.ExportPublicKey(key), TimeSpan.FromHours(1), [], "somebody");
        var leaf = Assert.Single(await new SvidIssuer(rotation, _journal, _time).IssueAsync([request], CancellationToken.None)).Leaf;
        Assert.True(leaf.IsSignedBy(rotation.Current.Issuing.Certificate));
        foreach (var signed in new[] { Encoding.ASCII.GetBytes(Web.Uri), request.PublicKey.ToArray() })
        {
            // Changed anywhere in either, the signature holds no longer.
            var changed = leaf.Der.ToArray();
            changed[changed.AsSpan().IndexOf(signed) + signed.Length - 1] ^= 1;
            Assert.False(Certificate.TryParse(changed, out var other, out _) && other.IsSignedBy(rotation.Current.Issuing.Certificate));
        }
    }

    [Fact]
    public async Task ID10_What_is_issued_is_an_X509_SVID_or_a_JWT_SVID()
    {
        using var rotation = await ResumeAsync();
        Assert.True(X509SvidProfile.TryCheckLeaf((await IssueAsync(rotation, TimeSpan.FromHours(1))).Leaf, out _, out var problem), problem);
        var token = new JwtIssuer(rotation, _time).Issue(Web, ["billing"], TimeSpan.FromMinutes(5)).Token;
        Assert.True(JwtSvidVerifier.Verify(token, _ => rotation.Current.JwtBundle, "billing", _time.GetUtcNow()).IsTrusted);
    }

    [Fact]
    public async Task A_restart_goes_on_with_the_same_authorities()
    {
        var before = (await ResumeAsync()).Current;
        var after = (await ResumeAsync()).Current;
        Assert.Equal(before.Bundle, after.Bundle);
        Assert.Equal(before.Issuing.Certificate, after.Issuing.Certificate);
    }

    [Fact]
    public async Task A_lost_anchor_key_stops_the_server_and_says_how_to_go_on()
    {
        await ResumeAsync();
        var failure = await Assert.ThrowsAsync<KeyManagerException>(() =>
            AuthorityRotation.ResumeAsync(Plan, new MemoryKeyManager(), _journal, _time, CancellationToken.None));
        Assert.Contains("restore it from a backup", failure.Message);
    }

    [Theory]
    [InlineData(-1, "is valid from 2029-12-31 23:59:50Z on, but this machine's clock says 2029-12-31 00:00:00Z; set it right")]
    [InlineData(4000, "and this machine's clock says 2040-12-14 00:00:00Z; if that is right, start with an empty data folder")]
    public async Task A_clock_outside_the_anchors_life_stops_the_start_and_says_on_which_side_it_is(int days, string reason)
    {
        await ResumeAsync();
        var before = _journal.Ledger;
        var elsewhere = new ManualTimeProvider(_time.GetUtcNow().AddDays(days));
        var failure = await Assert.ThrowsAsync<KeyManagerException>(() => AuthorityRotation.ResumeAsync(Plan, _keys, _journal, elsewhere, CancellationToken.None));
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
        Assert.Equal(before, _journal.Ledger);
    }

    [Fact]
    public async Task A_lost_issuing_key_is_replaced_under_the_same_anchor()
    {
        var before = (await ResumeAsync()).Current;
        await _keys.DeleteAsync(_journal.Records.Single(r => r.Tier == AuthorityTier.Issuing).KeyName, CancellationToken.None);
        var after = (await ResumeAsync()).Current;
        Assert.Equal(before.Bundle, after.Bundle);
        Assert.NotEqual(before.Issuing.Certificate, after.Issuing.Certificate);
    }

    [Fact]
    public async Task Rotation_prepares_then_activates_and_in_the_end_forgets_key_and_record()
    {
        var rotation = await ResumeAsync();
        var first = rotation.Current.Issuing;
        var firstKey = _journal.Records.Single(r => r.Tier == AuthorityTier.Issuing).KeyName;

        _time.Advance(TimeSpan.FromHours(12));
        Assert.Equal(RotationStep.Prepare, (await TurnAsync(rotation)).Step);
        Assert.Equal(first.Certificate, rotation.Current.Issuing.Certificate);
        Assert.Equal(RotationStep.Wait, (await TurnAsync(rotation)).Step);

        _time.Advance(TimeSpan.FromHours(8));
        Assert.Equal(RotationStep.Activate, (await TurnAsync(rotation)).Step);
        Assert.NotEqual(first.Certificate, rotation.Current.Issuing.Certificate);
        Assert.Equal(2, _journal.Records.Count(r => r.Tier == AuthorityTier.Issuing));

        _time.Advance(TimeSpan.FromHours(5));
        await TurnAsync(rotation);
        Assert.Null(await _keys.FindAsync(firstKey, CancellationToken.None));
        Assert.DoesNotContain(_journal.Records, r => r.KeyName == firstKey);
    }

    [Fact]
    public async Task A_restart_between_prepare_and_activate_resumes_where_it_was()
    {
        _time.Advance(TimeSpan.Zero);
        var rotation = await ResumeAsync();
        _time.Advance(TimeSpan.FromHours(13));
        var prepared = (X509AuthorityRecord)(await TurnAsync(rotation)).Authority!;
        _time.Advance(TimeSpan.FromHours(8));
        var resumed = await ResumeAsync();
        await TurnAsync(resumed);
        Assert.Equal(prepared.Certificate, resumed.Current.Issuing.Certificate);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_server_that_was_off_for_days_starts_with_a_valid_issuer(bool withPrepared)
    {
        var before = await ResumeAsync();
        if (withPrepared)
        {
            _time.Advance(TimeSpan.FromHours(13));
            await TurnAsync(before);
        }

        _time.Advance(withPrepared ? TimeSpan.FromHours(15) : TimeSpan.FromDays(9));
        var resumed = await ResumeAsync();
        Assert.True(resumed.Current.Issuing.Certificate.NotAfter > _time.GetUtcNow());
        Assert.Equal(before.Current.Bundle.Authorities, resumed.Current.Bundle.Authorities);
        await IssueAsync(resumed, TimeSpan.FromHours(1));
    }

    [Fact]
    public async Task A_prepared_authority_whose_key_was_lost_is_replaced()
    {
        var rotation = await ResumeAsync();
        _time.Advance(TimeSpan.FromHours(13));
        var prepared = (await TurnAsync(rotation)).Authority!;
        await _keys.DeleteAsync(prepared.KeyName, CancellationToken.None);
        _time.Advance(TimeSpan.FromHours(8));
        await Assert.ThrowsAsync<KeyManagerException>(() => TurnAsync(rotation));
        Assert.Equal(RotationStep.Prepare, (await TurnAsync(rotation)).Step);
        Assert.Equal(RotationStep.Activate, (await TurnAsync(rotation)).Step);
    }

    [Fact]
    public async Task A_key_that_could_not_be_deleted_in_time_is_deleted_at_the_next_start()
    {
        var rotation = await ResumeAsync();
        var first = await rotation.PrepareAsync(AuthorityTier.Jwt, CancellationToken.None);
        _journal.CrashesAfterCommit = true;
        await Assert.ThrowsAsync<IOException>(() => rotation.PrepareAsync(AuthorityTier.Jwt, CancellationToken.None));
        _journal.CrashesAfterCommit = false;
        Assert.Contains(first.KeyName, _keys.Names);
        Assert.DoesNotContain(_journal.Records, record => record.KeyName == first.KeyName);

        rotation = await ResumeAsync();
        Assert.DoesNotContain(first.KeyName, _keys.Names);
        await rotation.PrepareAsync(AuthorityTier.Jwt, CancellationToken.None);
        Assert.DoesNotContain(first.KeyName, _journal.Ledger.DoomedKeys);
    }

    [Fact]
    public async Task A_key_that_can_not_be_deleted_holds_nothing_up_and_is_tried_again()
    {
        var stubborn = new StubbornKeys(_keys) { IsStuck = true };
        var rotation = await AuthorityRotation.ResumeAsync(Plan, stubborn, _journal, _time, CancellationToken.None);
        var first = await rotation.PrepareAsync(AuthorityTier.Jwt, CancellationToken.None);
        await rotation.PrepareAsync(AuthorityTier.Jwt, CancellationToken.None);
        Assert.Contains(first.KeyName, rotation.KeyProblem, StringComparison.Ordinal);
        Assert.Contains("stuck", rotation.KeyProblem, StringComparison.Ordinal);

        rotation = await AuthorityRotation.ResumeAsync(Plan, stubborn, _journal, _time, CancellationToken.None);
        Assert.Contains(first.KeyName, rotation.KeyProblem, StringComparison.Ordinal);
        stubborn.IsStuck = false;
        await rotation.PrepareAsync(AuthorityTier.Jwt, CancellationToken.None);
        Assert.Equal("", rotation.KeyProblem);
        Assert.DoesNotContain(first.KeyName, _keys.Names);
    }

    [Fact]
    public async Task A_journal_that_cannot_be_written_leaves_no_key_behind()
    {
        _journal.Broken = true;
        await Assert.ThrowsAsync<IOException>(ResumeAsync);
        Assert.Empty(_keys.Names);
    }

    [Fact]
    public async Task Nothing_is_forgotten_while_the_clock_is_not_to_be_believed()
    {
        var rotation = await ResumeAsync();
        var first = rotation.Current.Jwt.KeyId;
        _time.Advance(TimeSpan.FromHours(12));
        await TurnJwtAsync(rotation);
        _time.Advance(TimeSpan.FromHours(8));
        await TurnJwtAsync(rotation);
        _time.Advance(TimeSpan.FromDays(3650));
        Assert.Equal(RotationStep.Prepare, (await rotation.TurnAsync(AuthorityTier.Jwt, mayForget: false, CancellationToken.None)).Step);
        Assert.Contains(first, rotation.Current.JwtBundle.Authorities.Select(authority => authority.KeyId));
        Assert.Equal(RotationStep.Forget, (await TurnJwtAsync(rotation)).Step);
        Assert.DoesNotContain(first, rotation.Current.JwtBundle.Authorities.Select(authority => authority.KeyId));
    }

    [Fact]
    public async Task The_bundles_number_grows_with_each_change_of_what_is_published_and_with_nothing_else()
    {
        var rotation = await ResumeAsync();
        var first = rotation.Current.Bundle.Sequence;
        Assert.Equal(first, (await ResumeAsync()).Current.Bundle.Sequence);

        _time.Advance(TimeSpan.FromHours(12));
        await TurnAsync(rotation);
        Assert.Equal(first, rotation.Current.Bundle.Sequence);
        await TurnJwtAsync(rotation);
        Assert.Equal(first + 1, rotation.Current.Bundle.Sequence);

        _time.Advance(TimeSpan.FromHours(8));
        await TurnJwtAsync(rotation);
        Assert.Equal(first + 1, rotation.Current.Bundle.Sequence);

        _time.Advance(TimeSpan.FromHours(5));
        await TurnJwtAsync(rotation);
        Assert.Equal(first + 2, rotation.Current.Bundle.Sequence);
        Assert.Equal(first + 2, (await ResumeAsync()).Current.Bundle.Sequence);
    }

    [Fact]
    public async Task An_issuing_authority_never_outlives_its_anchor()
    {
        var rotation = await AuthorityRotation.ResumeAsync(
            Plan with { AnchorTtl = TimeSpan.FromHours(5) }, _keys, _journal, _time, CancellationToken.None);
        Assert.Equal(Assert.Single(rotation.Current.Bundle.Authorities).NotAfter, rotation.Current.Issuing.Certificate.NotAfter);
    }

    [Fact]
    public async Task An_issued_leaf_chains_to_the_bundle_names_only_what_was_granted_and_is_remembered_before_it_is_handed_out()
    {
        var rotation = await ResumeAsync();
        var svid = await IssueAsync(rotation, TimeSpan.FromHours(1));
        var verdict = SvidVerifier.Verify(svid.Chain, TrustBundles.Of(rotation.Current.Bundle), CertificateUsage.Server, _time.GetUtcNow());
        Assert.True(verdict.IsTrusted, verdict.Reason);
        Assert.Equal(Web, verdict.Id);
        Assert.Equal([Web.Uri], svid.Leaf.UriNames);
        Assert.Equal(Start.AddSeconds(-10), svid.Leaf.NotBefore);
        Assert.Equal(Start.AddHours(1), svid.Leaf.NotAfter);
        Assert.Equal(svid.Leaf, Assert.Single(_journal.Issued).Certificate);
        Assert.Equal(32, svid.Leaf.SerialHex.Length);
    }

    [Fact]
    public async Task A_leaf_never_outlives_its_issuer()
    {
        var rotation = await ResumeAsync();
        _time.Advance(TimeSpan.FromHours(20));
        var svid = await IssueAsync(rotation, TimeSpan.FromHours(12));
        Assert.Equal(rotation.Current.Issuing.Certificate.NotAfter, svid.Leaf.NotAfter);
    }

    [Fact]
    public async Task An_expired_issuer_signs_nothing_and_says_both_clocks()
    {
        var rotation = await ResumeAsync();
        _time.Advance(TimeSpan.FromHours(30));
        var failure = await Assert.ThrowsAsync<IssuanceException>(() => IssueAsync(rotation, TimeSpan.FromHours(1)));
        Assert.Contains("2030-01-02 00:00:00Z", failure.Message);
        Assert.Contains("2030-01-02 06:00:00Z", failure.Message);
    }

    [Fact]
    public async Task When_the_log_cannot_remember_nobody_gets_a_certificate()
    {
        var rotation = await ResumeAsync();
        _journal.Broken = true;
        await Assert.ThrowsAsync<IOException>(() => IssueAsync(rotation, TimeSpan.FromHours(1)));
    }

    [Fact]
    public async Task Sixty_days_of_turns_every_hour_always_leave_a_valid_issuer()
    {
        var rotation = await ResumeAsync();
        for (var day = 0; day < 60; day++)
        {
            for (var hour = 0; hour < 24; hour++)
            {
                _time.Advance(TimeSpan.FromHours(1));
                await TurnAsync(rotation);
                await TurnJwtAsync(rotation);
                Assert.True(rotation.Current.Issuing.Certificate.NotAfter > _time.GetUtcNow());
                Assert.True(rotation.Current.Jwt.Validity.Covers(_time.GetUtcNow()));
            }
        }

        Assert.InRange(_journal.Records.Count, 3, 7);
    }

    [Fact]
    public async Task A_JWT_key_is_published_before_it_signs_and_until_nothing_that_it_signed_holds()
    {
        var rotation = await ResumeAsync();
        var first = rotation.Current.Jwt;
        Assert.Equal([first.KeyId], Published());

        _time.Advance(TimeSpan.FromHours(12));
        var prepared = await TurnJwtAsync(rotation);
        Assert.Equal(RotationStep.Prepare, prepared.Step);
        Assert.Equal([first.KeyId, prepared.Authority!.Id], Published());
        Assert.Equal(first.KeyId, rotation.Current.Jwt.KeyId);
        var old = IssueToken(rotation, TimeSpan.FromHours(12));

        _time.Advance(TimeSpan.FromHours(8));
        Assert.Equal(RotationStep.Activate, (await TurnJwtAsync(rotation)).Step);
        Assert.Equal(prepared.Authority.Id, rotation.Current.Jwt.KeyId);
        Assert.Equal([first.KeyId, prepared.Authority.Id], Published());
        Assert.True(Believed(old));

        _time.Advance(TimeSpan.FromHours(5));
        await TurnJwtAsync(rotation);
        Assert.DoesNotContain(first.KeyId, Published());
        Assert.False(Believed(old));

        IEnumerable<string> Published() => rotation.Current.JwtBundle.Authorities.Select(authority => authority.KeyId);
        bool Believed(IssuedJwt token) => JwtSvidVerifier.Verify(token.Token, _ => rotation.Current.JwtBundle, "billing", _time.GetUtcNow()).IsTrusted;
    }

    [Fact]
    public async Task A_restart_goes_on_with_the_same_JWT_keys_and_a_lost_one_is_replaced()
    {
        var before = (await ResumeAsync()).Current;
        Assert.Equal(before.JwtBundle, (await ResumeAsync()).Current.JwtBundle);

        await _keys.DeleteAsync(_journal.Records.Single(record => record.Tier == AuthorityTier.Jwt).KeyName, CancellationToken.None);
        var after = (await ResumeAsync()).Current;
        Assert.NotEqual(before.Jwt.KeyId, after.Jwt.KeyId);
        Assert.Equal(before.Bundle.Authorities, after.Bundle.Authorities);
        Assert.Equal(before.Issuing.Certificate, after.Issuing.Certificate);
    }

    [Theory]
    [InlineData(KeyType.EcP256, "ES256")]
    [InlineData(KeyType.EcP384, "ES384")]
    [InlineData(KeyType.Rsa2048, "RS256")]
    public async Task A_token_says_whose_it_is_for_whom_and_until_when_and_no_issuer(KeyType keyType, string algorithm)
    {
        var rotation = await AuthorityRotation.ResumeAsync(Plan with { KeyType = keyType }, _keys, _journal, _time, CancellationToken.None);
        var issued = IssueToken(rotation, TimeSpan.FromMinutes(5));
        Assert.True(CompactJws.TryParse(issued.Token, out var token, out var problem), problem);
        using (token)
        {
            Assert.Equal($$"""{"alg":"{{algorithm}}","kid":"{{rotation.Current.Jwt.KeyId}}","typ":"JWT"}""", token.Header.GetRawText());
            Assert.Equal(
                $$"""{"sub":"{{Web}}","aud":["billing"],"iat":{{Start.ToUnixTimeSeconds()}},"exp":{{Start.AddMinutes(5).ToUnixTimeSeconds()}}}""", token.Claims.GetRawText());
        }

        Assert.DoesNotContain(issued.Token, issued.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_never_outlives_its_key_and_an_expired_key_signs_nothing()
    {
        var rotation = await ResumeAsync();
        _time.Advance(TimeSpan.FromHours(20));
        Assert.Equal(rotation.Current.Jwt.Validity.NotAfter, IssueToken(rotation, TimeSpan.FromHours(12)).ExpiresAt);

        _time.Advance(TimeSpan.FromHours(10));
        Assert.Contains("the server's clock says", Assert.Throws<IssuanceException>(() => IssueToken(rotation, TimeSpan.FromMinutes(5))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(AuthorityTier.Issuing)]
    [InlineData(AuthorityTier.Jwt)]
    public async Task By_hand_the_next_one_is_prepared_activated_and_only_what_is_old_tainted_and_only_what_is_tainted_revoked(AuthorityTier tier)
    {
        using var rotation = await ResumeAsync();
        var first = Active();
        await Assert.ThrowsAsync<AuthorityException>(() => rotation.TaintAsync(tier, first, CancellationToken.None));
        await Assert.ThrowsAsync<AuthorityException>(() => rotation.ActivateAsync(tier, first, CancellationToken.None));
        await Assert.ThrowsAsync<AuthorityException>(() => rotation.ActivateAsync(tier, "nobody", CancellationToken.None));
        var unused = await rotation.PrepareAsync(tier, CancellationToken.None);
        var next = await rotation.PrepareAsync(tier, CancellationToken.None);
        Assert.Null(_journal.Ledger.Find(unused.Id));
        await rotation.ActivateAsync(tier, next.Id, CancellationToken.None);
        Assert.Equal(next.Id, Active());
        Assert.Empty(rotation.Current.Superseded);

        await Assert.ThrowsAsync<AuthorityException>(() => rotation.RevokeAsync(tier, first, CancellationToken.None));
        await rotation.TaintAsync(tier, first, CancellationToken.None);
        Assert.Equal([first], rotation.Current.Superseded);
        await Assert.ThrowsAsync<AuthorityException>(() => rotation.TaintAsync(tier, first, CancellationToken.None));
        var sequence = rotation.Current.Bundle.Sequence;
        await rotation.RevokeAsync(tier, first, CancellationToken.None);
        Assert.True(rotation.Current.Bundle.Sequence > sequence);

        string Active() => rotation.Current.Records.Single(record => record.Tier == tier && record.State == SlotState.Active).Id;
    }

    [Fact]
    public async Task What_a_revoked_issuing_authority_signed_is_believed_by_nobody_any_more_and_its_key_is_gone()
    {
        var rotation = await ResumeAsync();
        var early = await IssueAsync(rotation, TimeSpan.FromHours(1));
        var first = rotation.Current.Records.Single(record => record.Tier == AuthorityTier.Issuing);
        var next = await rotation.PrepareAsync(AuthorityTier.Issuing, CancellationToken.None);
        await rotation.ActivateAsync(AuthorityTier.Issuing, next.Id, CancellationToken.None);
        await rotation.TaintAsync(AuthorityTier.Issuing, first.Id, CancellationToken.None);
        Assert.True(Believed(early));
        await rotation.RevokeAsync(AuthorityTier.Issuing, first.Id, CancellationToken.None);
        Assert.False(Believed(early));
        Assert.True(Believed(await IssueAsync(rotation, TimeSpan.FromHours(1))));
        Assert.DoesNotContain(first.KeyName, _keys.Names);

        // So it stays over a restart, until the authority has expired and its list has nothing left to say.
        rotation = await ResumeAsync();
        Assert.False(Believed(early));
        _time.Advance(TimeSpan.FromHours(25));
        await TurnAsync(rotation);
        Assert.Empty(rotation.Current.Crls);
        Assert.True(Believed(await IssueAsync(await ResumeAsync(), TimeSpan.FromHours(1))));

        bool Believed(IssuedSvid svid) => SvidVerifier.Verify(svid.Chain, rotation.Current.Trust, CertificateUsage.Server, _time.GetUtcNow()).IsTrusted;
    }

    [Fact]
    public async Task A_token_of_a_revoked_key_is_believed_by_nobody_any_more()
    {
        var rotation = await ResumeAsync();
        var token = IssueToken(rotation, TimeSpan.FromMinutes(5));
        var first = rotation.Current.Jwt.KeyId;
        var next = await rotation.PrepareAsync(AuthorityTier.Jwt, CancellationToken.None);
        await rotation.ActivateAsync(AuthorityTier.Jwt, next.Id, CancellationToken.None);
        await rotation.TaintAsync(AuthorityTier.Jwt, first, CancellationToken.None);
        Assert.True(Believed());
        await rotation.RevokeAsync(AuthorityTier.Jwt, first, CancellationToken.None);
        Assert.False(Believed());

        bool Believed() => JwtSvidVerifier.Verify(token.Token, _ => rotation.Current.JwtBundle, "billing", _time.GetUtcNow()).IsTrusted;
    }

    [Fact]
    public async Task No_two_authorities_share_a_name()
    {
        using var rotation = await ResumeAsync();
        await rotation.PrepareAsync(AuthorityTier.Issuing, CancellationToken.None);
        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        var names = rotation.Current.Records.OfType<X509AuthorityRecord>().Select(record => record.Certificate.Subject).ToArray();
        Assert.Equal(4, names.Distinct().Count());
    }

    private static Task<RotationTurn> TurnAsync(AuthorityRotation rotation) => rotation.TurnAsync(AuthorityTier.Issuing, mayForget: true, CancellationToken.None);

    private static Task<RotationTurn> TurnJwtAsync(AuthorityRotation rotation) => rotation.TurnAsync(AuthorityTier.Jwt, mayForget: true, CancellationToken.None);

    private IssuedJwt IssueToken(AuthorityRotation rotation, TimeSpan ttl) => new JwtIssuer(rotation, _time).Issue(Web, ["billing"], ttl);

    private Task<AuthorityRotation> ResumeAsync() => AuthorityRotation.ResumeAsync(Plan, _keys, _journal, _time, CancellationToken.None);

    private async Task<IssuedSvid> IssueAsync(AuthorityRotation rotation, TimeSpan ttl)
    {
        var key = KeyPair.Generate(KeyType.EcP256);
        var issuer = new SvidIssuer(rotation, _journal, _time);
        return (await issuer.IssueAsync([new SvidRequest(Web, KeyPair.ExportPublicKey(key), ttl, [], "test")], CancellationToken.None))[0];
    }

    /// <summary>Deletes nothing while it is stuck.</summary>
    private sealed class StubbornKeys(IKeyManager keys) : IKeyManager
    {
        public bool IsStuck { get; set; }

        public Task<AsymmetricAlgorithm> GenerateAsync(string name, KeyType type, CancellationToken cancellationToken) => keys.GenerateAsync(name, type, cancellationToken);

        public Task ImportAsync(string name, AsymmetricAlgorithm key, CancellationToken cancellationToken) => keys.ImportAsync(name, key, cancellationToken);

        public Task<AsymmetricAlgorithm?> FindAsync(string name, CancellationToken cancellationToken) => keys.FindAsync(name, cancellationToken);

        public Task DeleteAsync(string name, CancellationToken cancellationToken) => IsStuck ? throw new IOException("stuck") : keys.DeleteAsync(name, cancellationToken);
    }
}
