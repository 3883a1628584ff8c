using Google.Protobuf;
using Grpc.Core;
using Signet.Rpc.Wire.Audit;
using Signet.Server.Audit;

namespace Signet.Server.Api;

/// <summary>signet.audit.v1.Audit: looking at the audit trail, and checking it.</summary>
internal sealed class AuditService(AuditTrail trail) : Signet.Rpc.Wire.Audit.Audit.AuditBase
{
    private const int MaxCount = 100_000;

    public override async Task Tail(TailRequest request, IServerStreamWriter<AuditRecord> responseStream, ServerCallContext context)
    {
        if (request.Count is < 0 or > MaxCount)
        {
            throw Rpcs.Invalid($"{request.Count} records; from 0 to {MaxCount} can be asked for");
        }

        var reader = new AuditReader(trail.Folder, Math.Max(0, trail.Last.Sequence - request.Count));
        while (true)
        {
            var seen = trail.Changes.Version;
            foreach (var line in reader.Read())
            {
                await responseStream.WriteAsync(
                    new AuditRecord { Sequence = line.Position.Sequence, Hash = line.Position.Hash, Json = ByteString.CopyFrom(line.Json.Span) }, context.CancellationToken).ConfigureAwait(false);
            }

            if (!request.Follow)
            {
                return;
            }

            await trail.Changes.WaitAsync(seen, context.CancellationToken).ConfigureAwait(false);
        }
    }

    public override Task<VerifyResponse> Verify(VerifyRequest request, ServerCallContext context)
    {
        AuditPosition? remembered = null;
        if (request.Remembered.Length > 0 && !AuditPosition.TryParse(request.Remembered, out remembered, out var problem))
        {
            throw Rpcs.Invalid(problem);
        }

        var report = trail.Verify(remembered);
        var response = new VerifyResponse { Records = report.Records, Head = report.Head.ToString() };
        response.Findings.AddRange(report.Findings.Select(finding => finding.ToString()));
        return Task.FromResult(response);
    }
}
