using Grpc.Core;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Registration;
using Signet.Server.Attestation;
using Signet.Server.Registration;

namespace Signet.Server.Api;

/// <summary>signet.registration.v1.Registration: desired state, and why.</summary>
internal sealed class RegistrationService(EntryDirectory directory, AuthorizedEntries authorized, AgentDirectory agents, TimeProvider time) : Rpc.Wire.Registration.Registration.RegistrationBase
{
    private const int MaxEntries = 200_000;
    private const int PageSize = 500;
    private const int MaxSelectors = 1000;

    public override Task Apply(IAsyncStreamReader<ApplyRequest> requestStream, IServerStreamWriter<ApplyResponse> responseStream, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            var (owner, mode, wanted) = await ReadAsync(requestStream, context.CancellationToken).ConfigureAwait(false);
            var call = CallOf.Of(context);
            call.About($"entries of {owner}");
            var applied = await directory.ApplyAsync(owner, wanted, mode, call.Caller.Rights.JudgeChange, context.CancellationToken).ConfigureAwait(false);
            var first = new ApplyResponse();
            first.Problems.AddRange(applied.Problems);
            await responseStream.WriteAsync(first, context.CancellationToken).ConfigureAwait(false);
            foreach (var page in (applied.Plan?.Changes ?? []).Where(change => change.Step != EntryStep.Keep).Chunk(PageSize))
            {
                var response = new ApplyResponse();
                response.Changes.AddRange(page.Select(ToWire));
                await responseStream.WriteAsync(response, context.CancellationToken).ConfigureAwait(false);
            }

            return applied;
        });

    public override Task<ExplainResponse> Explain(ExplainRequest request, ServerCallContext context)
    {
        if (request.Selectors.Count is 0 or > MaxSelectors)
        {
            throw Rpcs.Invalid($"{request.Selectors.Count} selectors; from 1 to {MaxSelectors} are needed");
        }

        SpiffeId? agent = null;
        if (request.AgentId is not null && !SpireMapping.TryRead(request.AgentId, "agent_id", out agent, out var problem))
        {
            throw Rpcs.Invalid(problem);
        }

        var selectors = request.Selectors.Select(wire => new Selector(wire.Type, wire.Value)).ToHashSet();
        var explanation = EntryExplainer.Explain([.. directory.Entries.Values], selectors, Obstacle(agent), time.GetUtcNow());
        var response = new ExplainResponse();
        response.Matches.AddRange(explanation.Matches.Select(entry => entry.ToWire()));
        response.NearMisses.AddRange(explanation.NearMisses.Select(miss => miss.ToWire()));
        return Task.FromResult(response);
    }

    private Func<RegistrationEntry, string?> Obstacle(SpiffeId? agent)
    {
        if (agent is null)
        {
            // An entry that no agent can serve helps nobody.
            var served = agents.Agents.SelectMany(one => authorized.For(one.SpiffeId).ById.Keys).ToHashSet(StringComparer.Ordinal);
            return entry => served.Contains(entry.Id) || entry.HasExpired(time.GetUtcNow()) ? null : $"no attested agent serves its parent {entry.ParentId}; see: signet agent list";
        }

        var standing = agents.Find(agent) switch
        {
            null => $"agent {agent} is not attested here",
            { Banned: true } => $"agent {agent} is banned",
            _ => null,
        };
        var mine = authorized.For(agent).ById;
        return entry => standing ?? (mine.ContainsKey(entry.Id) || entry.HasExpired(time.GetUtcNow()) ? null : $"its parent is {entry.ParentId}, and agent {agent} is neither that nor below it");
    }

    private static async Task<(string Owner, ApplyMode Mode, IReadOnlyList<RegistrationEntry> Wanted)> ReadAsync(IAsyncStreamReader<ApplyRequest> stream, CancellationToken cancellationToken)
    {
        var (owner, mode) = ("", ApplyRequest.Types.Mode.DryRun);
        var wanted = new Dictionary<RegistrationEntry, int>(EntryMeaning.Same);
        for (var messages = 0; await stream.MoveNext(cancellationToken).ConfigureAwait(false); messages++)
        {
            if (messages == 0)
            {
                (owner, mode) = (stream.Current.Owner, stream.Current.Mode);
                if (EntryPlan.OwnerProblem(owner) is { } bad)
                {
                    throw Rpcs.Invalid(bad);
                }
            }

            foreach (var wire in stream.Current.Entries)
            {
                if (!SpireMapping.TryRead(wire, out var entry, out var problem))
                {
                    throw Rpcs.Invalid(problem);
                }

                if (!wanted.TryAdd(entry with { Id = "" }, wanted.Count))
                {
                    throw Rpcs.Invalid($"two entries for {entry.SpiffeId} have the same parent and selectors; keep one of them");
                }
            }

            if (wanted.Count > MaxEntries)
            {
                throw Rpcs.Invalid($"more than {MaxEntries} entries");
            }
        }

        return owner.Length > 0
            ? (owner, ModeOf(mode), [.. wanted.Keys])
            : throw Rpcs.Invalid("the first message must name the owner");
    }

    private static ApplyMode ModeOf(ApplyRequest.Types.Mode mode) => mode switch
    {
        ApplyRequest.Types.Mode.Carefully => ApplyMode.Carefully,
        ApplyRequest.Types.Mode.EvenDeleteMost => ApplyMode.EvenDeleteMost,
        ApplyRequest.Types.Mode.DryRun => ApplyMode.DryRun,
        _ => throw Rpcs.Invalid($"mode {(int)mode} is not known"),
    };

    private static Change ToWire(EntryChange change)
    {
        var wire = new Change
        {
            Step = change.Step switch
            {
                EntryStep.Create => Change.Types.Step.Create,
                EntryStep.Update => Change.Types.Step.Update,
                EntryStep.Delete => Change.Types.Step.Delete,
                EntryStep.Conflict => Change.Types.Step.Conflict,
                _ => Change.Types.Step.Keep,
            },
            Entry = change.Entry.ToWire(),
            Holder = change.Holder,
        };
        wire.Differences.AddRange(change.Differences.Select(one => new Difference { Field = one.Field, Before = one.Before, After = one.After }));
        return wire;
    }
}
