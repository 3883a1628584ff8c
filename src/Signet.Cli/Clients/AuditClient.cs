using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Grpc.Core;
using Signet.Rpc.Wire.Audit;
using Signet.Server.Audit;

namespace Signet.Cli.Clients;

/// <summary>What a look at the whole trail found.</summary>
internal sealed record VerifiedTrail(long Records, string Head, IReadOnlyList<string> Findings);

/// <summary>The audit trail, through the server.</summary>
internal sealed class AuditClient(ChannelBase channel)
{
    private readonly Audit.AuditClient _api = new(channel);

    /// <summary>The newest records, oldest first, each with its number and hash added.</summary>
    public async IAsyncEnumerable<JsonObject> TailAsync(int count, bool follow, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var call = _api.Tail(new TailRequest { Count = count, Follow = follow }, cancellationToken: cancellationToken);
        while (await call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false))
        {
            var record = JsonNode.Parse(call.ResponseStream.Current.Json.Span)!.AsObject();
            record["hash"] = call.ResponseStream.Current.Hash;
            yield return record;
        }
    }

    public async Task<VerifiedTrail> VerifyAsync(AuditPosition? remembered, CancellationToken cancellationToken)
    {
        var answer = await _api.VerifyAsync(new VerifyRequest { Remembered = remembered?.ToString() ?? "" }, cancellationToken: cancellationToken).ResponseAsync.ConfigureAwait(false);
        return new VerifiedTrail(answer.Records, answer.Head, [.. answer.Findings]);
    }
}
