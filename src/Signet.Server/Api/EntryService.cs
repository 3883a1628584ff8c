using System.Diagnostics.CodeAnalysis;
using Grpc.Core;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Entry;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Server.Access;
using Signet.Server.Registration;
using WireEntry = Signet.Rpc.Wire.Spire.Types.Entry;
using WireStatus = Signet.Rpc.Wire.Spire.Types.Status;

namespace Signet.Server.Api;

/// <summary>spire.api.server.entry.v1.Entry.</summary>
internal sealed class EntryService(EntryDirectory directory, AuthorizedEntries authorized, TimeProvider time) : Signet.Rpc.Wire.Spire.Server.Entry.Entry.EntryBase
{
    /// <summary>How many entries one message of a synchronisation holds.</summary>
    private const int SyncPage = 500;

    /// <summary>How long an agent that synchronises may think.</summary>
    private static readonly TimeSpan SyncPatience = TimeSpan.FromMinutes(1);

    public override Task<CountEntriesResponse> CountEntries(CountEntriesRequest request, ServerCallContext context)
    {
        var filter = request.Filter;
        var found = Find(context, filter?.BySpiffeId, filter?.ByParentId, filter?.BySelectors, filter?.ByFederatesWith, filter?.ByHint, filter?.ByDownstream);
        return Task.FromResult(new CountEntriesResponse { Count = found.Count() });
    }

    public override Task<ListEntriesResponse> ListEntries(ListEntriesRequest request, ServerCallContext context)
    {
        var filter = request.Filter;
        var found = Find(context, filter?.BySpiffeId, filter?.ByParentId, filter?.BySelectors, filter?.ByFederatesWith, filter?.ByHint, filter?.ByDownstream);
        var (page, next) = Pages.Take(found, entry => entry.Id, entry => ToWire(entry, request.OutputMask), request.PageSize, request.PageToken);
        var response = new ListEntriesResponse { NextPageToken = next };
        response.Entries.AddRange(page);
        return Task.FromResult(response);
    }

    public override Task<WireEntry> GetEntry(GetEntryRequest request, ServerCallContext context)
    {
        if (request.Id.Length == 0)
        {
            throw Rpcs.Invalid("missing ID");
        }

        if (!directory.Entries.TryGetValue(request.Id, out var entry))
        {
            throw Rpcs.NotFound($"there is no entry \"{Printable.Of(request.Id)}\"");
        }

        CallOf.Of(context).Demand(AccessAction.EntryRead, entry.SpiffeId);
        return Task.FromResult(ToWire(entry, request.OutputMask));
    }

    public override Task<BatchCreateEntryResponse> BatchCreateEntry(BatchCreateEntryRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            Pages.CheckBatch(request.Entries.Count, "entries");
            var read = request.Entries
                .Select(wire => SpireMapping.TryRead(wire, out var entry, out var problem) ? (Entry: entry, Problem: "") : (Entry: null, Problem: problem))
                .ToArray();
            var created = new Queue<EntryResult>(await directory.CreateAsync(
                [.. read.Where(one => one.Entry is not null).Select(one => one.Entry!)], JudgeOf(context), context.CancellationToken).ConfigureAwait(false));
            var response = new BatchCreateEntryResponse();
            foreach (var (entry, problem) in read)
            {
                var result = entry is null ? new EntryResult(EntryOutcome.Invalid, null, problem) : created.Dequeue();
                Tell(context, result, entry?.Id ?? "", entry);
                response.Results.Add(new BatchCreateEntryResponse.Types.Result { Status = ToWire(result), Entry = result.Entry is { } made ? ToWire(made, request.OutputMask) : null });
            }

            return response;
        });

    public override Task<BatchUpdateEntryResponse> BatchUpdateEntry(BatchUpdateEntryRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            Pages.CheckBatch(request.Entries.Count, "entries");
            var results = await directory.UpdateAsync([.. request.Entries.Select(wire => new EntryUpdate(wire.Id, Edit(wire, request.InputMask)))], JudgeOf(context), context.CancellationToken).ConfigureAwait(false);
            var response = new BatchUpdateEntryResponse();
            foreach (var (wire, result) in request.Entries.Zip(results))
            {
                Tell(context, result, wire.Id, result.Entry);
                response.Results.Add(new BatchUpdateEntryResponse.Types.Result
                {
                    Status = ToWire(result),
                    Entry = result is { Outcome: EntryOutcome.Done, Entry: { } entry } ? ToWire(entry, request.OutputMask) : null,
                });
            }

            return response;
        });

    public override Task<BatchDeleteEntryResponse> BatchDeleteEntry(BatchDeleteEntryRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            Pages.CheckBatch(request.Ids.Count, "entries");
            var results = await directory.DeleteAsync([.. request.Ids], JudgeOf(context), context.CancellationToken).ConfigureAwait(false);
            var response = new BatchDeleteEntryResponse();
            foreach (var (id, result) in request.Ids.Zip(results))
            {
                Tell(context, result, id, result.Entry);
                response.Results.Add(new BatchDeleteEntryResponse.Types.Result { Id = id, Status = ToWire(result) });
            }

            return response;
        });

    public override Task<GetAuthorizedEntriesResponse> GetAuthorizedEntries(GetAuthorizedEntriesRequest request, ServerCallContext context)
    {
        var response = new GetAuthorizedEntriesResponse();
        response.Entries.AddRange(authorized.For(CallerOf.Agent(context)).InOrder.Select(entry => ToWire(entry, request.OutputMask)));
        return Task.FromResult(response);
    }

    /// <summary>A few entries are sent at once. Of many, first what there is of them, then those that the agent asks for.</summary>
    public override async Task SyncAuthorizedEntries(
        IAsyncStreamReader<SyncAuthorizedEntriesRequest> requestStream, IServerStreamWriter<SyncAuthorizedEntriesResponse> responseStream, ServerCallContext context)
    {
        if (!await NextAsync(requestStream, context.CancellationToken).ConfigureAwait(false))
        {
            return;
        }

        var mask = requestStream.Current.OutputMask;
        if (requestStream.Current.Ids.Count > 0)
        {
            throw Rpcs.Invalid("specifying IDs on initial request is not supported");
        }

        if (mask is { RevisionNumber: false })
        {
            throw Rpcs.Invalid("revision number cannot be masked");
        }

        var entries = authorized.For(CallerOf.Agent(context)).ById;
        if (Pages.Split(entries.Values.Select(entry => ToWire(entry, mask)), SyncPage).First() is { More: false } few)
        {
            var all = new SyncAuthorizedEntriesResponse();
            all.Entries.AddRange(few.Page);
            await responseStream.WriteAsync(all, context.CancellationToken).ConfigureAwait(false);
            return;
        }

        foreach (var (page, more) in Pages.Split(entries.Values.Select(entry => new EntryRevision { Id = entry.Id, RevisionNumber = entry.Revision, CreatedAt = entry.CreatedAt.ToUnixTimeSeconds() }), SyncPage))
        {
            var revisions = new SyncAuthorizedEntriesResponse { More = more };
            revisions.EntryRevisions.AddRange(page);
            await responseStream.WriteAsync(revisions, context.CancellationToken).ConfigureAwait(false);
        }

        while (await NextAsync(requestStream, context.CancellationToken).ConfigureAwait(false))
        {
            foreach (var (page, more) in Pages.Split(requestStream.Current.Ids.Where(entries.ContainsKey).Distinct(StringComparer.Ordinal).Select(id => ToWire(entries[id], mask)), SyncPage))
            {
                var full = new SyncAuthorizedEntriesResponse { More = more };
                full.Entries.AddRange(page);
                await responseStream.WriteAsync(full, context.CancellationToken).ConfigureAwait(false);
            }
        }
    }

    private IEnumerable<RegistrationEntry> Find(
        ServerCallContext context, SPIFFEID? id, SPIFFEID? parent, SelectorMatch? selectors, FederatesWithMatch? federatesWith, string? hint, bool? downstream)
    {
        var rights = CallOf.Of(context).Caller.Rights;
        var (isId, isParent, hasSelectors, federates) = (Matching.Id(id, "by_spiffe_id"), Matching.Id(parent, "by_parent_id"), Matching.Selectors(selectors), Matching.FederatesWith(federatesWith));
        return directory.Entries.Values.Where(entry =>
            isId(entry.SpiffeId) && isParent(entry.ParentId) && hasSelectors(entry.Selectors) && federates(entry)
            && (hint is null || entry.Hint == hint) && (downstream is null || entry.Downstream == downstream)
            && rights.Judge(AccessAction.EntryRead, entry.SpiffeId).IsAllowed);
    }

    private async Task<bool> NextAsync(IAsyncStreamReader<SyncAuthorizedEntriesRequest> stream, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(SyncPatience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            return await stream.MoveNext(either.Token).ConfigureAwait(false);
        }
        catch (Exception) when (patience.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new RpcException(new Grpc.Core.Status(StatusCode.DeadlineExceeded, "the agent neither asked nor ended"));
        }
    }

    private static EntryEdit Edit(WireEntry wire, EntryMask? mask) => (RegistrationEntry current, [NotNullWhen(true)] out RegistrationEntry? changed, out string problem) =>
        SpireMapping.TryRead(Masks.Overlay(current.ToWire(), mask is null ? WithOwn(wire, current) : wire, mask), out changed, out problem);

    // Programs of others don't know Signet's fields, so an entry without them is not one that clears them.
    private static WireEntry WithOwn(WireEntry wire, RegistrationEntry current)
    {
        if (wire.SvidKeyType.Length > 0 || wire.SvidSubject.Length > 0 || wire.SvidNames.Count > 0)
        {
            return wire;
        }

        var (whole, own) = (wire.Clone(), current.ToWire());
        (whole.SvidKeyType, whole.SvidSubject) = (own.SvidKeyType, own.SvidSubject);
        whole.SvidNames.AddRange(own.SvidNames);
        return whole;
    }

    private static EntryJudge JudgeOf(ServerCallContext context) => CallOf.Of(context).Caller.Rights.JudgeChange;

    // Each entry's outcome is its own, so the audit trail must have each.
    private static void Tell(ServerCallContext context, EntryResult result, string id, RegistrationEntry? about)
    {
        var name = result.Entry?.Id ?? id;
        CallOf.Of(context).About(
            $"entry{(name.Length > 0 ? $" {Printable.Of(name)}" : "")}{(about is null ? "" : $" {about.SpiffeId}")}: {(result.Outcome == EntryOutcome.Done ? "OK" : $"{result.Outcome}: {result.Reason}")}");
    }

    private static WireEntry ToWire(RegistrationEntry entry, EntryMask? mask) => Masks.Apply(entry.ToWire(), mask);

    private static WireStatus ToWire(EntryResult result) => new()
    {
        Code = (int)(result.Outcome switch
        {
            EntryOutcome.Done => StatusCode.OK,
            EntryOutcome.AlreadyExists => StatusCode.AlreadyExists,
            EntryOutcome.NotFound => StatusCode.NotFound,
            EntryOutcome.Denied => StatusCode.PermissionDenied,
            _ => StatusCode.InvalidArgument,
        }),
        Message = result.Reason,
    };
}
