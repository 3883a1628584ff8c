using Grpc.Core;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Registration;
using Signet.Server.Registration;
using RegistrationApi = Signet.Rpc.Wire.Registration.Registration;

namespace Signet.Cli.Clients;

/// <summary>What the server did, or would do, and why it did not.</summary>
internal sealed record AppliedEntries(IReadOnlyList<EntryChange> Changes, IReadOnlyList<string> Problems);

/// <content>Desired state and explanations.</content>
internal sealed partial class AdminClient
{
    /// <summary>Many entries take a while.</summary>
    private static readonly TimeSpan ApplyTimeout = TimeSpan.FromMinutes(2);

    public async Task<AppliedEntries> ApplyAsync(string owner, IReadOnlyList<RegistrationEntry> wanted, ApplyMode mode, CancellationToken cancellationToken)
    {
        using var call = new RegistrationApi.RegistrationClient(channel).Apply(new CallOptions(null, (time.GetUtcNow() + ApplyTimeout).UtcDateTime, cancellationToken));
        var first = new ApplyRequest
        {
            Owner = owner,
            Mode = mode switch
            {
                ApplyMode.EvenDeleteMost => ApplyRequest.Types.Mode.EvenDeleteMost,
                ApplyMode.Carefully => ApplyRequest.Types.Mode.Carefully,
                _ => ApplyRequest.Types.Mode.DryRun,
            },
        };
        await call.RequestStream.WriteAsync(first, cancellationToken).ConfigureAwait(false);
        foreach (var page in wanted.Chunk(Page))
        {
            var request = new ApplyRequest();
            request.Entries.AddRange(page.Select(entry => entry.ToWire()));
            await call.RequestStream.WriteAsync(request, cancellationToken).ConfigureAwait(false);
        }

        await call.RequestStream.CompleteAsync().ConfigureAwait(false);
        var (changes, problems) = (new List<EntryChange>(), new List<string>());
        while (await call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false))
        {
            changes.AddRange(call.ResponseStream.Current.Changes.Select(Read));
            problems.AddRange(call.ResponseStream.Current.Problems);
        }

        return new AppliedEntries(changes, problems);
    }

    public async Task<EntryExplanation> ExplainAsync(IReadOnlyList<Selector> selectors, SpiffeId? agent, CancellationToken cancellationToken)
    {
        var request = new ExplainRequest { AgentId = agent?.ToWire() };
        request.Selectors.AddRange(selectors.Select(selector => selector.ToWire()));
        var response = await new RegistrationApi.RegistrationClient(channel).ExplainAsync(request, Options(cancellationToken)).ResponseAsync.ConfigureAwait(false);
        return new EntryExplanation(
            [.. response.Matches.Select(Read)],
            [.. response.NearMisses.Select(Read)]);
    }

    private static EntryNearMiss Read(NearMiss wire) => ExplanationMapping.TryRead(wire, out var miss, out var problem) ? miss : throw Broken(problem);

    private static EntryChange Read(Change wire) => new(
        wire.Step switch
        {
            Change.Types.Step.Create => EntryStep.Create,
            Change.Types.Step.Update => EntryStep.Update,
            Change.Types.Step.Delete => EntryStep.Delete,
            Change.Types.Step.Conflict => EntryStep.Conflict,
            _ => EntryStep.Keep,
        },
        Read(wire.Entry),
        [.. wire.Differences.Select(one => new EntryDifference(one.Field, one.Before, one.After))],
        wire.Holder);
}
