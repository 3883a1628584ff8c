using System.Security.Cryptography;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Testing;

namespace Signet.UnitTests.Authority;

public sealed class ExternalIssuerTests
{
    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly AuthorityPlan Plan = new() { TrustDomain = Domain, IsExternal = true };

    private readonly ManualTimeProvider _time = new(Start);
    private readonly MemoryKeyManager _keys = new();
    private readonly MemoryJournal _journal = new();

    [Fact]
    public void A_set_that_holds_is_taken_with_what_stands_between_and_the_anchor_left_out()
    {
        var (root, middle) = (new Level("root"), new Level("middle"));
        var above = root.Signs(middle);
        var (issuing, key) = middle.Issues(above, "issuing");
        Assert.True(ExternalIssuer.TryCreate(Domain, [issuing, above, root.Self], key, [root.Self], Start, out var issuer, out var problem), problem);
        Assert.Equal([above], issuer.Above);
        Assert.Equal(root.Self, issuer.Anchor);
        Assert.DoesNotContain("PRIVATE", issuer.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_set_of_Ed25519_authorities_is_taken_like_any_other()
    {
        using var rootKey = KeyPair.Generate(KeyType.Ed25519);
        var key = KeyPair.Generate(KeyType.Ed25519);
        var root = CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(rootKey), Start.AddDays(-1), Start.AddDays(300), "root").SignSelf(rootKey);
        var issuing = CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(key), Start.AddDays(-1), Start.AddDays(30), "issuing", 0).Sign(root, rootKey);
        Assert.True(ExternalIssuer.TryCreate(Domain, [issuing], key, [root], Start, out var issuer, out var problem), problem);
        Assert.Equal(issuing, issuer.Certificate);
    }

    [Fact]
    public void A_set_that_relying_parties_would_refuse_is_refused_with_the_reason()
    {
        var (root, other) = (new Level("root"), new Level("other"));
        var (issuing, key) = root.Issues(root.Self, "issuing");
        var (_, wrongKey) = root.Issues(root.Self, "another");
        Refused("private key is not that of", [issuing], wrongKey, [root.Self]);
        Refused("would be refused", [issuing], key, [other.Self]);
        Refused("at least one of each", [root.Self], root.Key, [root.Self]);
        Refused("at least one of each", [issuing], key, []);
        Refused("expired", [issuing], key, [root.Self], Start.AddDays(400));
        var leaf = CertificateTemplate.Leaf(SpiffeId.Of(Domain, "/web"), KeyPair.ExportPublicKey(key), Start.AddHours(-1), Start.AddHours(1)).Sign(root.Self, root.Key);
        Refused("is not an authority", [leaf], key, [root.Self]);

        static void Refused(string because, Certificate[] chain, AsymmetricAlgorithm key, Certificate[] anchors, DateTimeOffset? now = null)
        {
            Assert.False(ExternalIssuer.TryCreate(Domain, chain, key, anchors, now ?? Start, out _, out var problem));
            Assert.Contains(because, problem, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Nothing_is_made_by_itself_and_a_start_without_files_says_what_is_missing()
    {
        Assert.Contains("none can be had from upstream", (await Assert.ThrowsAsync<KeyManagerException>(() => ResumeAsync(null))).Message, StringComparison.Ordinal);
        using var rotation = await ResumeAsync(Below(new Level("root")));
        _time.Advance(TimeSpan.FromDays(89));
        Assert.Equal(RotationStep.Wait, (await rotation.TurnAsync(AuthorityTier.Issuing, mayForget: true, CancellationToken.None)).Step);
        Assert.False(rotation.IsAnchorDue(_time.GetUtcNow()));
        await Assert.ThrowsAsync<AuthorityException>(() => rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None));
        await Assert.ThrowsAsync<AuthorityException>(() => rotation.PrepareAsync(AuthorityTier.Issuing, CancellationToken.None));
        Assert.Equal(RotationStep.Prepare, (await rotation.TurnAsync(AuthorityTier.Jwt, mayForget: true, CancellationToken.None)).Step);
    }

    [Fact]
    public async Task What_was_installed_signs_with_its_whole_chain_and_survives_a_restart_without_its_files()
    {
        var (root, middle) = (new Level("root"), new Level("middle"));
        var above = root.Signs(middle);
        var (issuing, key) = middle.Issues(above, "issuing");
        Assert.True(ExternalIssuer.TryCreate(Domain, [issuing, above], key, [root.Self], Start, out var issuer, out _));
        (await ResumeAsync(issuer)).Dispose();

        using var rotation = await ResumeAsync(null);
        var svid = (await new SvidIssuer(rotation, _journal, _time).IssueAsync([Request()], CancellationToken.None))[0];
        Assert.Equal([issuing, above], svid.Chain.Skip(1));
        Assert.True(SvidVerifier.Verify(svid.Chain, TrustBundles.Of(X509Bundle.Create(Domain, [root.Self])), CertificateUsage.Server, Start).IsTrusted);
    }

    [Fact]
    public async Task A_new_one_below_the_same_anchor_signs_at_once_and_the_same_one_changes_nothing()
    {
        var root = new Level("root");
        var first = Below(root);
        using var rotation = await ResumeAsync(first);
        var sequence = rotation.Current.Bundle.Sequence;
        Assert.False(await rotation.InstallAsync(first, CancellationToken.None));
        var next = Below(root);
        Assert.True(await rotation.InstallAsync(next, CancellationToken.None));
        Assert.Equal(next.Certificate, rotation.Current.Issuing.Certificate);
        Assert.Null(rotation.Current.Rotation);
        Assert.Equal(sequence, rotation.Current.Bundle.Sequence);
        Assert.Empty(rotation.Current.Superseded);
    }

    [Fact]
    public async Task One_below_a_new_anchor_is_published_first_signs_once_everybody_has_it_and_the_old_anchor_goes_last()
    {
        var (old, young) = (new Level("old"), new Level("young"));
        var first = Below(old);
        using var rotation = await ResumeAsync(first);
        var next = Below(young, old);
        await rotation.InstallAsync(next, CancellationToken.None);
        Assert.Equal(first.Certificate, rotation.Current.Issuing.Certificate);
        Assert.Equal(2, rotation.Current.Bundle.Authorities.Count);
        Assert.Equal(AnchorStage.Announced, rotation.Current.Rotation!.Stage);
        Assert.False(await rotation.InstallAsync(next, CancellationToken.None));

        await rotation.SwitchAnchorAsync(CancellationToken.None);
        Assert.Equal(next.Certificate, rotation.Current.Issuing.Certificate);
        Assert.Equal([first.Certificate.SerialHex], rotation.Current.Superseded);
        await rotation.DropAnchorAsync(CancellationToken.None);
        Assert.Equal([young.Self], rotation.Current.Bundle.Authorities);
    }

    [Fact]
    public async Task A_further_anchor_is_published_ahead_of_its_use_and_taken_back_when_it_is_no_longer_listed()
    {
        var (root, further) = (new Level("root"), new Level("further"));
        var (issuing, key) = root.Issues(root.Self, "issuing");
        using var rotation = await ResumeAsync(Set(issuing, key, root.Self));
        await rotation.InstallAsync(Set(issuing, key, root.Self, further.Self), CancellationToken.None);
        Assert.Equal(2, rotation.Current.Bundle.Authorities.Count);
        Assert.Null(rotation.Current.Rotation);
        await rotation.InstallAsync(Set(issuing, key, root.Self), CancellationToken.None);
        Assert.Equal([root.Self], rotation.Current.Bundle.Authorities);
    }

    [Fact]
    public async Task One_that_was_in_use_before_may_be_put_back_and_one_that_was_tainted_may_not()
    {
        var root = new Level("root");
        var (first, next) = (Below(root), Below(root));
        using var rotation = await ResumeAsync(first);
        await rotation.InstallAsync(next, CancellationToken.None);
        await rotation.InstallAsync(first, CancellationToken.None);
        Assert.Equal(first.Certificate, rotation.Current.Issuing.Certificate);
        await rotation.TaintAsync(AuthorityTier.Issuing, next.Certificate.SerialHex, CancellationToken.None);
        Assert.False(await rotation.InstallAsync(next, CancellationToken.None));
        Assert.Equal(first.Certificate, rotation.Current.Issuing.Certificate);

        // The list that would revoke it must be signed by the anchor, which is elsewhere.
        await Assert.ThrowsAsync<AuthorityException>(() => rotation.RevokeAsync(AuthorityTier.Issuing, next.Certificate.SerialHex, CancellationToken.None));
    }

    [Fact]
    public async Task Aborting_takes_the_new_anchor_and_what_stands_below_it_back()
    {
        var (old, young) = (new Level("old"), new Level("young"));
        using var rotation = await ResumeAsync(Below(old));
        await rotation.InstallAsync(Below(young, old), CancellationToken.None);
        await rotation.AbortAnchorAsync(CancellationToken.None);
        Assert.Equal([old.Self], rotation.Current.Bundle.Authorities);
        Assert.Single(rotation.Current.Ledger.Issuing);
        Assert.Equal(2, _keys.Names.Count);
    }

    [Fact]
    public async Task A_server_that_made_its_own_authorities_goes_over_to_files_by_a_rotation_too()
    {
        (await AuthorityRotation.ResumeAsync(Plan with { IsExternal = false }, _keys, _journal, _time, CancellationToken.None)).Dispose();
        using var rotation = await ResumeAsync(Below(new Level("root")));
        Assert.Equal(AnchorStage.Announced, rotation.Current.Rotation!.Stage);
        await rotation.SwitchAnchorAsync(CancellationToken.None);
        await rotation.DropAnchorAsync(CancellationToken.None);
        Assert.Equal(2, _keys.Names.Count);
    }

    private ExternalIssuer Below(Level anchor, params Level[] further)
    {
        var (issuing, key) = anchor.Issues(anchor.Self, $"issuing {Guid.NewGuid():N}");
        return Set(issuing, key, [anchor.Self, .. further.Select(one => one.Self)]);
    }

    private static ExternalIssuer Set(Certificate issuing, AsymmetricAlgorithm key, params Certificate[] anchors) =>
        ExternalIssuer.TryCreate(Domain, [issuing], key, anchors, Start, out var issuer, out var problem) ? issuer : throw new InvalidOperationException(problem);

    private static SvidRequest Request() => new(SpiffeId.Of(Domain, "/web"), KeyPair.ExportPublicKey(KeyPair.Generate(KeyType.EcP256)), TimeSpan.FromHours(1), [], "test");

    private Task<AuthorityRotation> ResumeAsync(ExternalIssuer? external) => AuthorityRotation.ResumeAsync(Plan, _keys, _journal, _time, CancellationToken.None, external);

    /// <summary>An authority of somebody else's.</summary>
    private sealed class Level
    {
        private readonly string _name;

        public Level(string name)
        {
            _name = name;
            Self = Template(Key, name, null).SignSelf(Key);
        }

        public AsymmetricAlgorithm Key { get; } = KeyPair.Generate(KeyType.EcP256);

        /// <summary>Signed by itself: an anchor.</summary>
        public Certificate Self { get; }

        /// <summary>Signs another level.</summary>
        public Certificate Signs(Level below) => Template(below.Key, below._name, 1).Sign(Self, Key);

        /// <summary>An issuing authority below a certificate of this level's key.</summary>
        public (Certificate Issuing, AsymmetricAlgorithm Key) Issues(Certificate by, string name)
        {
            var key = KeyPair.Generate(KeyType.EcP256);
            return (Template(key, name, 0).Sign(by, Key), key);
        }

        private static CertificateTemplate Template(AsymmetricAlgorithm key, string name, int? pathLength) =>
            CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(key), Start.AddDays(-1), Start.AddDays(90), name, pathLength);
    }
}
