using Grpc.Core;
using Signet.Authority.Issuance;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.SVID;
using Signet.Server.Registration;
using Signet.Server.Telemetry;
using WireStatus = Signet.Rpc.Wire.Spire.Types.Status;

namespace Signet.Server.Api;

/// <summary>spire.api.server.svid.v1.SVID: agents ask for their entries' identities, operators mint by hand.</summary>
internal sealed class SvidService(
    TrustDomain trustDomain, SvidIssuer issuer, AuthorizedEntries authorized, TimeSpan defaultTtl, SigningRate rate, ServerMetrics metrics, TimeProvider time)
    : SVID.SVIDBase
{
    private const int MaxBatch = 500;

    public override Task<BatchNewX509SVIDResponse> BatchNewX509SVID(BatchNewX509SVIDRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            if (request.Params.Count > MaxBatch)
            {
                throw Rpcs.Invalid($"{request.Params.Count} requests in one call; the limit is {MaxBatch}");
            }

            var agent = CallerOf.Agent(context);
            if (!rate.TryTake(agent, request.Params.Count))
            {
                throw new RpcException(new Grpc.Core.Status(StatusCode.ResourceExhausted, $"more than {SigningRate.PerSecond} certificates a second; slow down"));
            }

            var mine = authorized.For(agent).ToDictionary(entry => entry.Id, StringComparer.Ordinal);
            var checks = request.Params.Select(one => Check(one, mine, agent)).ToArray();
            var issued = new Queue<IssuedSvid>(await IssueAsync(
                [.. checks.Where(check => check.Request is not null).Select(check => check.Request!)], context.CancellationToken).ConfigureAwait(false));
            var response = new BatchNewX509SVIDResponse();
            foreach (var check in checks)
            {
                var result = new BatchNewX509SVIDResponse.Types.Result { Status = new WireStatus { Code = (int)check.Code, Message = check.Problem } };
                if (check.Request is not null)
                {
                    var svid = issued.Dequeue();
                    result.Svid = SpireMapping.ToWire(svid.Chain, svid.SpiffeId);
                }

                response.Results.Add(result);
            }

            return response;
        });

    public override Task<MintX509SVIDResponse> MintX509SVID(MintX509SVIDRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            if (!SigningRequest.TryParse(request.Csr.Memory, out var csr, out var problem))
            {
                throw Rpcs.Invalid($"CSR: {problem}");
            }

            if (csr.UriNames.Count != 1)
            {
                throw Rpcs.Invalid($"CSR names {csr.UriNames.Count} URIs; exactly one SPIFFE ID is expected");
            }

            if (!SpiffeId.TryParse(csr.UriNames[0], out var id, out problem))
            {
                throw Rpcs.Invalid($"CSR: {problem}");
            }

            if (!id.IsMemberOf(trustDomain) || !id.HasPath || ReservedIds.IsReserved(id))
            {
                throw Rpcs.Invalid($"CSR: {id} is not a workload of trust domain {trustDomain}");
            }

            if (csr.DnsNames.FirstOrDefault(name => !DnsName.IsValid(name)) is { } bad)
            {
                throw Rpcs.Invalid($"CSR: \"{Printable.Of(bad)}\" is not a DNS name");
            }

            var ttl = request.Ttl > 0 ? TimeSpan.FromSeconds(request.Ttl) : defaultTtl;
            var wanted = new SvidRequest(id, csr.SubjectPublicKeyInfo, ttl, csr.DnsNames, CallerOf.Name(context));
            var issued = await IssueAsync([wanted], context.CancellationToken).ConfigureAwait(false);
            return new MintX509SVIDResponse { Svid = SpireMapping.ToWire(issued[0].Chain, id) };
        });

    private async Task<IReadOnlyList<IssuedSvid>> IssueAsync(IReadOnlyList<SvidRequest> requests, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        var issued = await issuer.IssueAsync(requests, cancellationToken).ConfigureAwait(false);
        metrics.Signed(issued.Count, time.GetElapsedTime(start));
        return issued;
    }

    private (SvidRequest? Request, StatusCode Code, string Problem) Check(
        NewX509SVIDParams wanted, Dictionary<string, RegistrationEntry> mine, SpiffeId agent)
    {
        if (!mine.TryGetValue(wanted.EntryId, out var entry))
        {
            return (null, StatusCode.NotFound, $"entry \"{Printable.Of(wanted.EntryId)}\" is not one that {agent} may serve");
        }

        return SigningRequest.TryParse(wanted.Csr.Memory, out var csr, out var problem)
            ? (new SvidRequest(entry.SpiffeId, csr.SubjectPublicKeyInfo, TtlOf(entry), entry.DnsNames, agent.Uri), StatusCode.OK, "")
            : (null, StatusCode.InvalidArgument, $"CSR: {problem}");
    }

    // An SVID does not outlive the entry that granted it.
    private TimeSpan TtlOf(RegistrationEntry entry)
    {
        var ttl = entry.X509Ttl ?? defaultTtl;
        var left = entry.ExpiresAt - time.GetUtcNow();
        return left is { } rest && rest < ttl ? rest : ttl;
    }
}
