using Grpc.Core;
using Signet.Rpc.Wire.Workload;

namespace Signet.Agent.WorkloadApi;

/// <summary>signet.workload.v1.Applied: a service of our own beside the Workload API (§2 forbids to extend that), on which clients say what they have applied.</summary>
internal sealed class AppliedService(WorkloadSubjects subjects, ClientLedger clients) : Applied.AppliedBase
{
    private const int MaxIssuers = 64;
    private const int MaxText = 128;

    public override async Task<ReportResponse> Report(IAsyncStreamReader<AppliedIdentity> requestStream, ServerCallContext context)
    {
        var subject = subjects.Attest(context);
        using var seat = clients.Open(subject.Pid, subject.NameFor(subject.Now()), reports: true);
        while (await requestStream.MoveNext(context.CancellationToken).ConfigureAwait(false))
        {
            var said = requestStream.Current;
            if (said.Issuers.Count > MaxIssuers || said.Issuers.Append(said.BundleDigest).Any(text => text.Length > MaxText))
            {
                throw new RpcException(new Status(StatusCode.InvalidArgument, $"more than {MaxIssuers} issuers, or a text of more than {MaxText} characters"));
            }

            seat.Says(said.BundleDigest, said.Issuers);
        }

        return new ReportResponse();
    }
}
