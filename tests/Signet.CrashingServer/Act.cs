using Signet.Authority.Rotation;
using Signet.Identity.Rotation;

namespace Signet.CrashingServer;

/// <summary>Something that an authority does, which may be cut short at any step and be done again.</summary>
/// <param name="Given">What was done before; null for an empty folder, where opening is the act.</param>
/// <param name="Do">Does it, or what is left of it.</param>
internal sealed record Act(Func<Story, Task>? Given, Func<Story, Task> Do)
{
    private static readonly CancellationToken None = CancellationToken.None;

    public static readonly IReadOnlyDictionary<string, Act> All = new Dictionary<string, Act>
    {
        ["first start"] = new(null, Nothing),
        ["first start below another authority"] = new(null, Nothing) { IsExternal = true },
        ["prepare"] = new(Nothing, story => PrepareAsync(story, AuthorityTier.Issuing)),
        ["prepare once more"] = new(story => PrepareAsync(story, AuthorityTier.Issuing), story => story.Authorities.PrepareAsync(AuthorityTier.Issuing, None)),
        ["prepare a JWT key"] = new(Nothing, story => PrepareAsync(story, AuthorityTier.Jwt)),
        ["activate"] = new(story => PrepareAsync(story, AuthorityTier.Issuing), story => ActivateAsync(story, AuthorityTier.Issuing)),
        ["activate a JWT key"] = new(story => PrepareAsync(story, AuthorityTier.Jwt), story => ActivateAsync(story, AuthorityTier.Jwt)),
        ["taint"] = new(story => ReplaceAsync(story, AuthorityTier.Issuing), story => TaintAsync(story, AuthorityTier.Issuing)),
        ["revoke"] = new(
            async story =>
            {
                await ReplaceAsync(story, AuthorityTier.Issuing);
                await TaintAsync(story, AuthorityTier.Issuing);
            },
            story => RevokeAsync(story, AuthorityTier.Issuing)),
        ["revoke a JWT key"] = new(
            async story =>
            {
                await ReplaceAsync(story, AuthorityTier.Jwt);
                await TaintAsync(story, AuthorityTier.Jwt);
            },
            story => RevokeAsync(story, AuthorityTier.Jwt)),
        ["announce an anchor"] = new(Nothing, AnnounceAsync),
        ["switch to it"] = new(AnnounceAsync, SwitchAsync),
        ["drop the old anchor"] = new(
            async story =>
            {
                await AnnounceAsync(story);
                await SwitchAsync(story);
            },
            story => story.Authorities.Current.Rotation!.IsUnderWay ? story.Authorities.DropAnchorAsync(None) : Task.CompletedTask),
        ["give the new anchor up"] = new(AnnounceAsync, story => story.Authorities.Current.Rotation!.IsUnderWay ? story.Authorities.AbortAnchorAsync(None) : Task.CompletedTask),
        ["sign"] = new(Nothing, story => story.SignAsync()),
        ["sign an authority below"] = new(Nothing, story => story.SignBelowAsync()),
        ["apply"] = new(story => story.ApplyAsync("/old", "/both"), story => story.ApplyAsync("/both", "/new")),
    };

    /// <summary>Whether the issuing authority comes from above.</summary>
    public bool IsExternal { get; init; }

    private static Task Nothing(Story story) => Task.CompletedTask;

    private static Task PrepareAsync(Story story, AuthorityTier tier) => story.Has(tier, SlotState.Prepared) ? Task.CompletedTask : story.Authorities.PrepareAsync(tier, None);

    private static Task ActivateAsync(Story story, AuthorityTier tier) =>
        story.Has(tier, SlotState.Prepared) ? story.Authorities.ActivateAsync(tier, story.Newest(tier, SlotState.Prepared), None) : Task.CompletedTask;

    private static async Task ReplaceAsync(Story story, AuthorityTier tier)
    {
        await PrepareAsync(story, tier);
        await ActivateAsync(story, tier);
    }

    private static Task TaintAsync(Story story, AuthorityTier tier) =>
        story.Has(tier, SlotState.Old) ? story.Authorities.TaintAsync(tier, story.Newest(tier, SlotState.Old), None) : Task.CompletedTask;

    private static Task RevokeAsync(Story story, AuthorityTier tier) =>
        story.Has(tier, SlotState.Tainted) ? story.Authorities.RevokeAsync(tier, story.Newest(tier, SlotState.Tainted), None) : Task.CompletedTask;

    private static Task AnnounceAsync(Story story) => story.Authorities.Current.Rotation is { IsUnderWay: true } ? Task.CompletedTask : story.Authorities.AnnounceAnchorAsync("test", None);

    private static Task SwitchAsync(Story story) =>
        story.Authorities.Current.Rotation!.Stage == AnchorStage.Announced ? story.Authorities.SwitchAnchorAsync(None) : Task.CompletedTask;
}
