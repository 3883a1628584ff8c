using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Authority.Ceremony;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Upstream;
using Signet.Testing;
using Signet.UnitTests.Authority;

namespace Signet.UnitTests.Server.Upstream;

public sealed class SignerFilesTests : IAsyncLifetime
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly AuthorityPlan Plan = new() { TrustDomain = Domain, IsExternal = true, IssuingTtl = TimeSpan.FromHours(24) };

    private readonly TestFolder _folder = new();
    private readonly ManualTimeProvider _time = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly MemoryKeyManager _keys = new();
    private readonly MemoryJournal _journal = new();
    private readonly AsymmetricAlgorithm _key = KeyPair.Generate(KeyType.EcP256);
    private readonly Certificate _anchor;
    private readonly SignerFiles _signer;

    public SignerFilesTests()
    {
        _anchor = OfflineRoot.MakeAnchor(Domain, new CertificateSubject(), _key, TimeSpan.FromDays(365), _time.GetUtcNow());
        Place(_anchor, _key);
        _signer = Open();
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _signer.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task An_authority_on_disk_signs_the_first_issuing_authority_and_the_next_at_half_of_its_life()
    {
        using var authorities = await StartAsync();
        var first = authorities.Current.Issuing;
        Assert.Equal([_anchor], authorities.Current.Bundle.Authorities);
        Assert.Equal(_time.GetUtcNow().AddHours(24), first.Certificate.NotAfter);

        _time.Advance(TimeSpan.FromHours(11));
        Assert.False(await TurnAsync(_signer, authorities));
        _time.Advance(TimeSpan.FromHours(2));
        Assert.True(await TurnAsync(_signer, authorities));
        Assert.NotEqual(first.Id, authorities.Current.Issuing.Id);
        Assert.False(await TurnAsync(_signer, authorities));
        Assert.Null(authorities.Current.Rotation);
    }

    [Fact]
    public async Task A_server_that_starts_again_asks_for_nothing_while_what_it_has_is_good()
    {
        using (await StartAsync())
        {
        }

        await using var again = Open();
        Assert.Null(await UpstreamFollower.FirstAsync(again, await _journal.LoadAsync(CancellationToken.None), NullLogger.Instance, CancellationToken.None));
    }

    [Fact]
    public async Task Another_anchor_in_the_files_begins_the_rotation_and_signs_nothing_before_it()
    {
        using var authorities = await StartAsync();
        var (before, nextKey) = (authorities.Current.Issuing.Id, KeyPair.Generate(KeyType.EcP256));
        var next = OfflineRoot.MakeAnchor(Domain, new CertificateSubject(), nextKey, TimeSpan.FromDays(365), _time.GetUtcNow());
        Place(next, nextKey);
        await using var signer = Open();
        Assert.True(await TurnAsync(signer, authorities));
        Assert.Equal([_anchor, next], authorities.Current.Bundle.Authorities);
        Assert.Equal((AnchorStage.Announced, before), (authorities.Current.Rotation!.Stage, authorities.Current.Issuing.Id));
        Assert.False(await TurnAsync(signer, authorities));
        await authorities.SwitchAnchorAsync(CancellationToken.None);
        Assert.True(authorities.Current.Issuing.Certificate.IsSignedBy(next));
    }

    [Fact]
    public async Task An_intermediate_signs_below_the_anchors_of_its_bundle_and_goes_along_in_chains()
    {
        var key = KeyPair.Generate(KeyType.EcP256);
        var middle = CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(key), _time.GetUtcNow().AddMinutes(-1), _time.GetUtcNow().AddHours(3), "middle", 1).Sign(_anchor, _key);
        Place(middle, key);
        File.WriteAllText(_folder.File("bundle.pem"), Pem.Encode(_anchor));
        await using var signer = new SignerFiles(Config with { Bundle = _folder.File("bundle.pem") }, Plan, _time, NullLogger<SignerFiles>.Instance);
        var issuer = await UpstreamFollower.FirstAsync(signer, AuthorityLedger.Empty, NullLogger.Instance, CancellationToken.None);
        Assert.Equal([middle], issuer!.Above);
        Assert.Equal([_anchor], issuer.Anchors);
        Assert.Equal(middle.NotAfter, issuer.Certificate.NotAfter);
    }

    [Theory]
    [InlineData("key of another", "the private key is not that of")]
    [InlineData("readable", "chmod o=")]
    [InlineData("no authority", "an SVID that it signs would be refused")]
    [InlineData("expired", "is valid from")]
    [InlineData("text", "ca.crt")]
    public async Task What_can_not_sign_is_refused_with_its_reason_and_what_was_installed_stays(string how, string reason)
    {
        using var authorities = await StartAsync();
        var before = authorities.Current;
        var (otherKey, now) = (KeyPair.Generate(KeyType.EcP256), _time.GetUtcNow());
        var other = OfflineRoot.MakeAnchor(Domain, new CertificateSubject(), otherKey, TimeSpan.FromDays(1), now);
        Place(other, how == "key of another" ? _key : otherKey);
        switch (how)
        {
            case "readable":
                File.SetUnixFileMode(_folder.File("ca.key"), UnixFileMode.UserRead | UnixFileMode.OtherRead);
                break;
            case "no authority":
                Place(CertificateTemplate.Authority(Domain, KeyPair.ExportPublicKey(otherKey), now.AddMinutes(-1), now.AddHours(3), "lowest", 0).Sign(_anchor, _key), otherKey);
                File.AppendAllText(_folder.File("ca.crt"), Pem.Encode(_anchor));
                break;
            case "expired":
                _time.Advance(TimeSpan.FromDays(2));
                break;
            case "text":
                File.WriteAllText(_folder.File("ca.crt"), "nothing");
                break;
        }

        await using var signer = Open();
        Assert.Contains(reason, (await Assert.ThrowsAsync<KeyManagerException>(() => TurnAsync(signer, authorities))).Message, StringComparison.Ordinal);
        Assert.Same(before, authorities.Current);
    }

    [Fact]
    public async Task Keys_in_memory_are_made_anew_at_each_start_below_the_same_anchor()
    {
        var plan = Plan with { HasVolatileKeys = true };
        var first = await UpstreamFollower.FirstAsync(_signer, AuthorityLedger.Empty, NullLogger.Instance, CancellationToken.None);
        var before = await AuthorityRotation.ResumeAsync(plan, new MemoryKeyManager(), _journal, _time, CancellationToken.None, first);
        var again = await UpstreamFollower.FirstAsync(_signer, AuthorityLedger.Empty, NullLogger.Instance, CancellationToken.None);
        var after = await AuthorityRotation.ResumeAsync(plan, new MemoryKeyManager(), _journal, _time, CancellationToken.None, again);
        Assert.Equal(before.Current.Bundle.Authorities, after.Current.Bundle.Authorities);
        Assert.NotEqual(before.Current.Issuing.Id, after.Current.Issuing.Id);
        Assert.Equal([SlotState.Active, SlotState.Active, SlotState.Active], after.Current.Records.Select(record => record.State));
        Assert.True(after.Current.Bundle.Sequence > before.Current.Bundle.Sequence);
    }

    private UpstreamConfig.Signer Config => new(_folder.File("ca.crt"), _folder.File("ca.key"), Bundle: null);

    private SignerFiles Open() => new(Config, Plan, _time, NullLogger<SignerFiles>.Instance);

    private async Task<AuthorityRotation> StartAsync() => await AuthorityRotation.ResumeAsync(
        Plan, _keys, _journal, _time, CancellationToken.None, await UpstreamFollower.FirstAsync(_signer, AuthorityLedger.Empty, NullLogger.Instance, CancellationToken.None));

    private static async Task<bool> TurnAsync(SignerFiles signer, AuthorityRotation authorities)
    {
        var any = false;
        await signer.TurnAsync(authorities.Current.Ledger, async (issuer, stop) => any = await authorities.InstallAsync(issuer, stop), CancellationToken.None);
        return any;
    }

    private void Place(Certificate certificate, AsymmetricAlgorithm key)
    {
        File.WriteAllText(_folder.File("ca.crt"), Pem.Encode(certificate));
        File.WriteAllText(_folder.File("ca.key"), Pem.EncodePrivateKey(key));
        File.SetUnixFileMode(_folder.File("ca.key"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }
}
