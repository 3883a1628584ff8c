using FsCheck;
using FsCheck.Fluent;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Testing;

namespace Signet.UnitTests.Authority;

public sealed class AnchorRotationTests
{
    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly SpiffeId Web = SpiffeId.Parse("spiffe://example.org/web");
    private static readonly AuthorityPlan Plan = new() { TrustDomain = Domain };
    private static readonly TimeSpan Settling = Plan.AnchorSettling;
    private static readonly AnchorRotation Announced = new("a2", AnchorStage.Announced, Start, "uid 0", Start);
    private static readonly AnchorRotation Replacing = Announced with { Stage = AnchorStage.Replacing };

    private readonly ManualTimeProvider _time = new(Start);
    private readonly MemoryKeyManager _keys = new();
    private readonly MemoryJournal _journal = new();
    private AuthorityPlan _plan = Plan;

    [Fact]
    public async Task Keys_that_were_in_memory_only_found_a_new_anchor_and_end_a_rotation_that_was_under_way()
    {
        var plan = Plan with { HasVolatileKeys = true };
        var before = await AuthorityRotation.ResumeAsync(plan, new MemoryKeyManager(), _journal, _time, CancellationToken.None);
        await before.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        var after = await AuthorityRotation.ResumeAsync(plan, new MemoryKeyManager(), _journal, _time, CancellationToken.None);
        Assert.Empty(after.Current.Records.Select(record => record.Id).Intersect(before.Current.Records.Select(record => record.Id)));
        Assert.Single(after.Current.Bundle.Authorities);
        Assert.Equal(AnchorStage.Aborted, after.Current.Rotation!.Stage);
        Assert.True(after.Current.Bundle.Sequence > before.Current.Bundle.Sequence);

        // Where keys are to last, one that is gone is a loss that nobody passes over.
        await Assert.ThrowsAsync<KeyManagerException>(() => AuthorityRotation.ResumeAsync(Plan, new MemoryKeyManager(), _journal, _time, CancellationToken.None));
    }

    [Fact]
    public void A_stage_ends_once_nobody_is_behind_and_what_was_under_way_has_settled()
    {
        var later = Start + Settling;
        Assert.Equal(AnchorStep.Switch, Announced.Next(isClear: true, isTooLate: false, Settling, later));
        Assert.Equal(AnchorStep.Drop, Replacing.Next(isClear: true, isTooLate: false, Settling, later));
        Assert.Equal(AnchorStep.Wait, Announced.Next(isClear: true, isTooLate: false, Settling, later.AddTicks(-1)));
        Assert.Equal(AnchorStep.Wait, Replacing.Next(isClear: true, isTooLate: false, Settling, later.AddTicks(-1)));
    }

    [Fact]
    public void A_laggard_holds_a_stage_for_as_long_as_it_takes()
    {
        Assert.Equal(AnchorStep.Wait, Announced.Next(isClear: false, isTooLate: false, Settling, Start.AddYears(3)));
        Assert.Equal(AnchorStep.Wait, Replacing.Next(isClear: false, isTooLate: false, Settling, Start.AddYears(3)));
    }

    [Fact]
    public void A_forced_stage_waits_for_nobody()
    {
        Assert.Equal(AnchorStep.Switch, (Announced with { ForcedBecause = "drill" }).Next(isClear: false, isTooLate: false, Settling, Start));
        Assert.Equal(AnchorStep.Drop, (Replacing with { ForcedBecause = "drill" }).Next(isClear: false, isTooLate: false, Settling, Start));
    }

    [Fact]
    public void An_anchor_at_its_end_is_succeeded_even_past_a_laggard_but_never_dropped_for_it()
    {
        Assert.Equal(AnchorStep.Switch, Announced.Next(isClear: false, isTooLate: true, Settling, Start));
        Assert.Equal(AnchorStep.Wait, Replacing.Next(isClear: false, isTooLate: true, Settling, Start));
    }

    [Theory]
    [InlineData(AnchorStage.Done)]
    [InlineData(AnchorStage.Aborted)]
    public void A_rotation_that_is_over_does_nothing(AnchorStage stage) =>
        Assert.Equal(AnchorStep.Wait, (Announced with { Stage = stage, ForcedBecause = "x" }).Next(isClear: true, isTooLate: true, Settling, Start.AddDays(1)));

    [Fact]
    public async Task Announcing_publishes_the_new_anchor_beside_the_old_one_which_goes_on_signing()
    {
        using var rotation = await ResumeAsync();
        var before = rotation.Current;
        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        var after = rotation.Current;
        Assert.Equal([SlotState.Active, SlotState.Prepared], after.Ledger.Anchors.Select(anchor => anchor.State));
        Assert.Equal(2, after.Bundle.Authorities.Count);
        Assert.Equal(before.Bundle.Sequence + 1, after.Bundle.Sequence);
        Assert.Equal(before.Issuing.Certificate, after.Issuing.Certificate);
        Assert.Empty(after.Superseded);
    }

    [Fact]
    public async Task Only_one_rotation_is_under_way_at_a_time_and_none_can_be_steered_without_one()
    {
        using var rotation = await ResumeAsync();
        await Assert.ThrowsAsync<AuthorityException>(() => rotation.AbortAnchorAsync(CancellationToken.None));
        await Assert.ThrowsAsync<AuthorityException>(() => rotation.ForceAnchorAsync("x", CancellationToken.None));
        await Assert.ThrowsAsync<AuthorityException>(() => rotation.SwitchAnchorAsync(CancellationToken.None));
        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        await Assert.ThrowsAsync<AuthorityException>(() => rotation.DropAnchorAsync(CancellationToken.None));
        var keys = _keys.Names.Count;
        Assert.Contains("under way since", (await Assert.ThrowsAsync<AuthorityException>(() => rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.Equal(keys, _keys.Names.Count);
    }

    [Fact]
    public async Task Switching_signs_below_the_new_anchor_and_supersedes_everything_below_the_old_one()
    {
        using var rotation = await ResumeAsync();
        _time.Advance(TimeSpan.FromHours(13));
        await rotation.TurnAsync(AuthorityTier.Issuing, mayForget: true, CancellationToken.None);
        var old = rotation.Current.Issuing.Id;
        var early = await IssueAsync(rotation);
        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        var sequence = rotation.Current.Bundle.Sequence;

        await rotation.SwitchAnchorAsync(CancellationToken.None);
        var after = rotation.Current;
        Assert.Equal([SlotState.Old, SlotState.Active], after.Ledger.Anchors.Select(anchor => anchor.State));
        Assert.Equal([SlotState.Old, SlotState.Active], after.Ledger.Issuing.Select(issuing => issuing.State));
        Assert.Equal([old], after.Superseded);
        Assert.True(after.Bundle.Sequence > sequence);
        var late = await IssueAsync(rotation);
        Assert.True(late.Chain[1].IsSignedBy(after.Ledger.ActiveAnchor.Certificate));

        // Whoever has the whole bundle believes both.
        var bundles = TrustBundles.Of(after.Bundle);
        Assert.All([early, late], svid => Assert.True(SvidVerifier.Verify(svid.Chain, bundles, CertificateUsage.Server, _time.GetUtcNow()).IsTrusted));
    }

    [Fact]
    public async Task After_the_switch_issuing_authorities_rotate_below_the_new_anchor()
    {
        using var rotation = await ResumeAsync();
        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        await rotation.SwitchAnchorAsync(CancellationToken.None);
        _time.Advance(TimeSpan.FromHours(12));
        var turn = await rotation.TurnAsync(AuthorityTier.Issuing, mayForget: true, CancellationToken.None);
        Assert.Equal(RotationStep.Prepare, turn.Step);
        Assert.True(((X509AuthorityRecord)turn.Authority!).IsBelow(rotation.Current.Ledger.ActiveAnchor));
    }

    [Fact]
    public async Task Dropping_leaves_nothing_of_the_old_anchor_neither_in_the_bundle_nor_in_the_key_manager()
    {
        using var rotation = await ResumeAsync();
        var gone = _journal.Records.Where(record => record.Tier != AuthorityTier.Jwt).Select(record => record.KeyName).ToArray();
        var early = await IssueAsync(rotation);
        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        await rotation.SwitchAnchorAsync(CancellationToken.None);
        await rotation.DropAnchorAsync(CancellationToken.None);
        Assert.Single(rotation.Current.Bundle.Authorities);
        Assert.Empty(rotation.Current.Superseded);
        Assert.Equal(AnchorStage.Done, rotation.Current.Rotation!.Stage);
        Assert.Empty(_keys.Names.Intersect(gone));
        Assert.Equal(3, _keys.Names.Count);
        Assert.False(SvidVerifier.Verify(early.Chain, TrustBundles.Of(rotation.Current.Bundle), CertificateUsage.Server, _time.GetUtcNow()).IsTrusted);
        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
    }

    [Fact]
    public async Task Aborting_before_the_switch_takes_the_new_anchor_back()
    {
        using var rotation = await ResumeAsync();
        var before = rotation.Current.Bundle.Authorities;
        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        var sequence = rotation.Current.Bundle.Sequence;
        await rotation.AbortAnchorAsync(CancellationToken.None);
        Assert.Equal(before, rotation.Current.Bundle.Authorities);
        Assert.True(rotation.Current.Bundle.Sequence > sequence, "a number is never used for another content");
        Assert.Equal(3, _keys.Names.Count);
    }

    [Fact]
    public async Task Aborting_after_the_switch_keeps_both_anchors_published_and_the_next_rotation_drops_both()
    {
        using var rotation = await ResumeAsync();
        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        await rotation.SwitchAnchorAsync(CancellationToken.None);
        await rotation.AbortAnchorAsync(CancellationToken.None);
        Assert.Equal(2, rotation.Current.Bundle.Authorities.Count);

        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        await rotation.SwitchAnchorAsync(CancellationToken.None);
        Assert.Equal(3, rotation.Current.Bundle.Authorities.Count);
        await rotation.DropAnchorAsync(CancellationToken.None);
        Assert.Single(rotation.Current.Bundle.Authorities);
    }

    [Fact]
    public async Task Force_counts_for_one_stage_only()
    {
        using var rotation = await ResumeAsync();
        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        await rotation.ForceAnchorAsync("the node is lost", CancellationToken.None);
        Assert.Equal("the node is lost", rotation.Current.Rotation!.ForcedBecause);
        await rotation.SwitchAnchorAsync(CancellationToken.None);
        Assert.Null(rotation.Current.Rotation!.ForcedBecause);
    }

    [Fact]
    public async Task An_anchor_is_due_thirty_days_before_its_end_and_too_late_when_it_carries_no_full_SVID()
    {
        using var rotation = await ResumeAsync();
        Assert.False(rotation.IsAnchorDue(Start.AddDays(3619.9)));
        Assert.True(rotation.IsAnchorDue(Start.AddDays(3620.1)));
        Assert.False(rotation.IsAnchorTooLate(Start.AddDays(3649.5)));
        Assert.True(rotation.IsAnchorTooLate(Start.AddDays(3650).AddHours(-4)));
        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        Assert.False(rotation.IsAnchorDue(Start.AddDays(3620.1)));
    }

    [Fact]
    public async Task An_abort_is_respected_until_the_anchor_is_really_at_its_end()
    {
        using var rotation = await ResumeAsync();
        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        await rotation.AbortAnchorAsync(CancellationToken.None);
        Assert.False(rotation.IsAnchorDue(Start.AddDays(3625)));
        Assert.True(rotation.IsAnchorDue(Start.AddDays(3643.1)));
    }

    [Fact]
    public async Task A_successor_whose_key_was_lost_is_not_switched_to_and_can_be_aborted()
    {
        using var rotation = await ResumeAsync();
        await rotation.AnnounceAnchorAsync("uid 0", CancellationToken.None);
        var successor = _journal.Records.Single(record => record is { Tier: AuthorityTier.Anchor, State: SlotState.Prepared });
        await _keys.DeleteAsync(successor.KeyName, CancellationToken.None);
        await Assert.ThrowsAsync<KeyManagerException>(() => rotation.SwitchAnchorAsync(CancellationToken.None));
        Assert.Equal(AnchorStage.Announced, rotation.Current.Rotation!.Stage);
        await rotation.AbortAnchorAsync(CancellationToken.None);
        Assert.Single(rotation.Current.Bundle.Authorities);
    }

    [Fact]
    public void Whatever_the_order_of_commands_crashes_and_failures_there_is_one_active_authority_a_growing_number_and_no_key_too_few() =>
        Prop.ForAll(
            Gen.ListOf(Gen.Choose(0, 10)).ToArbitrary(),
            commands =>
            {
                RunAsync(commands).GetAwaiter().GetResult();
                return true;
            }).QuickCheckThrowOnFailure();

    private static async Task RunAsync(IEnumerable<int> commands)
    {
        var world = new AnchorRotationTests { _plan = Plan with { SignsWit = true } };
        var rotation = await world.ResumeAsync();
        var sequence = 0UL;
        foreach (var command in commands)
        {
            var (crash, broken) = (command == 8, command == 9);
            (world._journal.CrashesAfterCommit, world._journal.Broken) = (crash, broken);
            try
            {
                await (command switch
                {
                    0 => rotation.AnnounceAnchorAsync("x", CancellationToken.None),
                    1 or 8 or 9 => rotation.SwitchAnchorAsync(CancellationToken.None),
                    2 => rotation.DropAnchorAsync(CancellationToken.None),
                    3 => rotation.AbortAnchorAsync(CancellationToken.None),
                    4 => rotation.ForceAnchorAsync("x", CancellationToken.None),
                    5 => (Task)rotation.TurnAsync(AuthorityTier.Issuing, mayForget: true, CancellationToken.None),
                    6 => rotation.TurnAsync(AuthorityTier.Jwt, mayForget: true, CancellationToken.None),
                    10 => rotation.TurnAsync(AuthorityTier.Wit, mayForget: true, CancellationToken.None),
                    _ => Advance(world._time),
                });
            }
            catch (Exception e) when (e is AuthorityException or IOException)
            {
                // Refused, or the disk was full.
            }

            (world._journal.CrashesAfterCommit, world._journal.Broken) = (false, false);
            if (crash || broken)
            {
                rotation.Dispose();
                rotation = await world.ResumeAsync();
            }

            foreach (var tier in Enum.GetValues<AuthorityTier>())
            {
                Assert.Single(world._journal.Records, record => record.Tier == tier && record.State == SlotState.Active);
            }

            Assert.True(rotation.Current.Bundle.Sequence >= sequence);
            sequence = rotation.Current.Bundle.Sequence!.Value;
            Assert.Empty(world._journal.Records.Select(record => record.KeyName).Except(world._keys.Names));
            Assert.True(rotation.Current.Ledger.Issuing.All(issuing => rotation.Current.Ledger.Anchors.Any(issuing.IsBelow)), "every issuing authority has its anchor in the bundle");
            Assert.True(rotation.Current.Ledger.Issuing.Single(issuing => issuing.State == SlotState.Active).IsBelow(rotation.Current.Ledger.ActiveAnchor));
        }

        rotation.Dispose();
    }

    private static Task Advance(ManualTimeProvider time)
    {
        time.Advance(TimeSpan.FromHours(5));
        return Task.CompletedTask;
    }

    private Task<AuthorityRotation> ResumeAsync() => AuthorityRotation.ResumeAsync(_plan, _keys, _journal, _time, CancellationToken.None);

    private async Task<IssuedSvid> IssueAsync(AuthorityRotation rotation)
    {
        var key = KeyPair.Generate(KeyType.EcP256);
        var issuer = new SvidIssuer(rotation, _journal, _time);
        return (await issuer.IssueAsync([new SvidRequest(Web, KeyPair.ExportPublicKey(key), TimeSpan.FromHours(1), [], "test")], CancellationToken.None))[0];
    }
}
