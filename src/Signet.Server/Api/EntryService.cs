using Grpc.Core;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Entry;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Server.Registration;
using WireStatus = Signet.Rpc.Wire.Spire.Types.Status;

namespace Signet.Server.Api;

/// <summary>spire.api.server.entry.v1.Entry.</summary>
internal sealed class EntryService(EntryDirectory directory, AuthorizedEntries authorized) : Signet.Rpc.Wire.Spire.Server.Entry.Entry.EntryBase
{
    private const int MaxBatch = 500;
    private const int DefaultPage = 500;
    private const int MaxPage = 2000;

    public override Task<ListEntriesResponse> ListEntries(ListEntriesRequest request, ServerCallContext context)
    {
        var filter = request.Filter;
        var found = directory.Entries.Values
            .Where(entry => filter?.BySpiffeId is not { } id || entry.SpiffeId.ToWire().Equals(id))
            .Where(entry => filter?.ByParentId is not { } parent || entry.ParentId.ToWire().Equals(parent))
            .Where(entry => filter?.ByHint is not { } hint || entry.Hint == hint)
            .Where(entry => filter?.ByDownstream is not { } downstream || entry.Downstream == downstream);
        if (filter?.BySelectors is not null || filter?.ByFederatesWith is not null)
        {
            throw new RpcException(new Grpc.Core.Status(StatusCode.Unimplemented, "filtering by selectors or federation is not supported"));
        }

        var size = request.PageSize is > 0 and <= MaxPage ? request.PageSize : DefaultPage;
        var page = found
            .OrderBy(entry => entry.Id, StringComparer.Ordinal)
            .SkipWhile(entry => string.CompareOrdinal(entry.Id, request.PageToken) <= 0)
            .Take(size + 1)
            .ToArray();
        var response = new ListEntriesResponse { NextPageToken = page.Length > size ? page[size - 1].Id : "" };
        response.Entries.AddRange(page.Take(size).Select(entry => entry.ToWire()));
        return Task.FromResult(response);
    }

    public override Task<Rpc.Wire.Spire.Types.Entry> GetEntry(GetEntryRequest request, ServerCallContext context) =>
        directory.Entries.TryGetValue(request.Id, out var entry)
            ? Task.FromResult(entry.ToWire())
            : throw Rpcs.NotFound($"there is no entry \"{Printable.Of(request.Id)}\"");

    public override Task<BatchCreateEntryResponse> BatchCreateEntry(BatchCreateEntryRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            CheckBatch(request.Entries.Count);
            var read = request.Entries
                .Select(wire => SpireMapping.TryRead(wire, out var entry, out var problem) ? (Entry: entry, Problem: "") : (Entry: null, Problem: problem))
                .ToArray();
            var created = new Queue<EntryResult>(await directory.CreateAsync(
                [.. read.Where(one => one.Entry is not null).Select(one => one.Entry!)], context.CancellationToken).ConfigureAwait(false));
            var response = new BatchCreateEntryResponse();
            foreach (var (entry, problem) in read)
            {
                var result = entry is null ? new EntryResult(EntryOutcome.Invalid, null, problem) : created.Dequeue();
                response.Results.Add(new BatchCreateEntryResponse.Types.Result { Status = ToWire(result), Entry = result.Entry?.ToWire() });
            }

            return response;
        });

    public override Task<BatchDeleteEntryResponse> BatchDeleteEntry(BatchDeleteEntryRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            CheckBatch(request.Ids.Count);
            var results = await directory.DeleteAsync([.. request.Ids], context.CancellationToken).ConfigureAwait(false);
            var response = new BatchDeleteEntryResponse();
            response.Results.AddRange(request.Ids.Zip(results, (id, result) => new BatchDeleteEntryResponse.Types.Result { Id = id, Status = ToWire(result) }));
            return response;
        });

    public override Task<GetAuthorizedEntriesResponse> GetAuthorizedEntries(GetAuthorizedEntriesRequest request, ServerCallContext context)
    {
        var response = new GetAuthorizedEntriesResponse();
        response.Entries.AddRange(authorized.For(CallerOf.Agent(context)).InOrder.Select(entry => entry.ToWire()));
        return Task.FromResult(response);
    }

    private static void CheckBatch(int count)
    {
        if (count > MaxBatch)
        {
            throw Rpcs.Invalid($"{count} entries in one call; the limit is {MaxBatch}");
        }
    }

    private static WireStatus ToWire(EntryResult result) => new()
    {
        Code = (int)(result.Outcome switch
        {
            EntryOutcome.Done => StatusCode.OK,
            EntryOutcome.AlreadyExists => StatusCode.AlreadyExists,
            EntryOutcome.NotFound => StatusCode.NotFound,
            _ => StatusCode.InvalidArgument,
        }),
        Message = result.Reason,
    };
}
