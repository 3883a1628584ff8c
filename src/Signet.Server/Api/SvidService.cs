using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Authority.Issuance;
using Signet.Authority.Rotation;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.SVID;
using Signet.Server.Access;
using Signet.Server.Limits;
using Signet.Server.Registration;
using Signet.Server.Telemetry;
using JWTSVID = Signet.Rpc.Wire.Spire.Types.JWTSVID;
using WireStatus = Signet.Rpc.Wire.Spire.Types.Status;

namespace Signet.Server.Api;

/// <summary>spire.api.server.svid.v1.SVID: agents ask for their entries' identities, operators mint by hand.</summary>
internal sealed partial class SvidService(
    ServerConfig config,
    AuthorityRotation authorities,
    SvidIssuer issuer,
    JwtIssuer jwtIssuer,
    WitIssuer witIssuer,
    DownstreamIssuer downstream,
    AuthorizedEntries authorized,
    CallLimits limits,
    ServerMetrics metrics,
    TimeProvider time,
    ILogger<SvidService> log)
    : SVID.SVIDBase
{
    public override Task<BatchNewX509SVIDResponse> BatchNewX509SVID(BatchNewX509SVIDRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            Pages.CheckBatch(request.Params.Count, "requests");
            if (request.Params.Count == 0)
            {
                throw Rpcs.Invalid("missing parameters");
            }

            var agent = CallerOf.Agent(context);
            TakeTurn(agent, request.Params.Count);
            var mine = authorized.For(agent).ById;
            var checks = request.Params.Select(one => Check(one, mine, agent)).ToArray();
            var issued = new Queue<IssuedSvid>(await IssueAsync(
                [.. checks.Where(check => check.Request is not null).Select(check => check.Request!)], context.CancellationToken).ConfigureAwait(false));
            var (call, response) = (CallOf.Of(context), new BatchNewX509SVIDResponse());
            foreach (var check in checks)
            {
                var result = new BatchNewX509SVIDResponse.Types.Result { Status = new WireStatus { Code = (int)check.Code, Message = check.Problem } };
                if (check.Request is not null)
                {
                    var svid = issued.Dequeue();
                    result.Svid = SpireMapping.ToWire(svid.Chain, svid.SpiffeId);
                    call.About($"{svid.SpiffeId}, serial {svid.Leaf.SerialHex}");
                }
                else
                {
                    call.About($"{check.Code}: {check.Problem}");
                }

                response.Results.Add(result);
            }

            return response;
        });

    public override Task<MintX509SVIDResponse> MintX509SVID(MintX509SVIDRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            if (!RequestedKey.TryReadLeaf(request.Csr.Memory, config.TrustDomain, out var csr, out var problem))
            {
                throw Rpcs.Invalid(problem);
            }

            if (csr.UriNames.Count == 0)
            {
                throw Rpcs.Invalid("CSR names no URI; exactly one SPIFFE ID is expected");
            }

            var id = SpiffeId.Parse(csr.UriNames[0]);
            if (!IsWorkload(id))
            {
                throw Rpcs.Invalid($"CSR: {id} is not a workload of trust domain {config.TrustDomain}");
            }

            if (csr.DnsNames.FirstOrDefault(name => !DnsName.IsValid(name)) is { } bad)
            {
                throw Rpcs.Invalid($"CSR: \"{Printable.Of(bad)}\" is not a DNS name");
            }

            var call = CallOf.Of(context);
            call.Demand(call.Caller.Rights.JudgeMint(id, csr.DnsNames), id.Uri);
            var ttl = request.Ttl > 0 ? TimeSpan.FromSeconds(request.Ttl) : config.X509Ttl;
            var wanted = new SvidRequest(id, csr.SubjectPublicKeyInfo, ttl, csr.DnsNames, CallerOf.Name(context));
            var issued = await IssueAsync([wanted], context.CancellationToken).ConfigureAwait(false);
            call.About($"serial {issued[0].Leaf.SerialHex}");
            return new MintX509SVIDResponse { Svid = SpireMapping.ToWire(issued[0].Chain, id) };
        });

    public override Task<NewJWTSVIDResponse> NewJWTSVID(NewJWTSVIDRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(() =>
        {
            var agent = CallerOf.Agent(context);
            TakeTurn(agent, 1);
            var entry = authorized.For(agent).ById.GetValueOrDefault(request.EntryId)
                ?? throw Rpcs.NotFound($"entry \"{Printable.Of(request.EntryId)}\" is not one that {agent} may serve");
            CallOf.Of(context).About($"{entry.SpiffeId} for {string.Join(", ", request.Audience.Take(8))}");
            return Task.FromResult(new NewJWTSVIDResponse { Svid = SignToken(entry.SpiffeId, request.Audience, TtlOf(entry, entry.JwtTtl ?? config.JwtTtl)) });
        });

    public override Task<MintJWTSVIDResponse> MintJWTSVID(MintJWTSVIDRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(() =>
        {
            if (!SpireMapping.TryRead(request.Id, "id", out var id, out var problem))
            {
                throw Rpcs.Invalid(problem);
            }

            if (!IsWorkload(id))
            {
                throw Rpcs.Invalid($"{id} is not a workload of trust domain {config.TrustDomain}");
            }

            CallOf.Of(context).Demand(AccessAction.SvidMint, id);
            var svid = SignToken(id, request.Audience, request.Ttl > 0 ? TimeSpan.FromSeconds(request.Ttl) : config.JwtTtl);
            log.TokenMinted(id.Uri, string.Join(", ", request.Audience.Select(audience => Printable.Of(audience))), CallerOf.Name(context));
            return Task.FromResult(new MintJWTSVIDResponse { Svid = svid });
        });

    /// <summary>An authority for a server below this one; the gate has made sure that the caller has a downstream entry.</summary>
    public override Task<NewDownstreamX509CAResponse> NewDownstreamX509CA(NewDownstreamX509CARequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            if (!RequestedKey.TryReadAuthority(request.Csr.Memory, config.TrustDomain, out var csr, out var problem))
            {
                throw Rpcs.Invalid(problem);
            }

            var call = CallOf.Of(context);
            var caller = call.Caller as Caller.Workload ?? throw Rpcs.Denied("only a server below this one may call this");
            TakeTurn(caller.Id, 1);
            var ttl = request.PreferredTtl > 0 ? TimeSpan.FromSeconds(request.PreferredTtl) : config.Authority.IssuingTtl;
            var signed = await downstream.IssueAsync(csr.SubjectPublicKeyInfo, ttl, caller.Id.Uri, context.CancellationToken).ConfigureAwait(false);
            call.About($"authority {signed.SerialHex} until {signed.NotAfter:u}");
            log.DownstreamAuthoritySigned(signed.SerialHex, signed.NotAfter, caller.Id.Uri);
            var response = new NewDownstreamX509CAResponse();
            response.CaCertChain.Add(ByteString.CopyFrom(signed.Der.Span));
            response.X509Authorities.AddRange(authorities.Current.Bundle.Authorities.Select(anchor => ByteString.CopyFrom(anchor.Der.Span)));
            return response;
        });

    private JWTSVID SignToken(SpiffeId id, IReadOnlyList<string> audiences, TimeSpan ttl)
    {
        if (!JwtSvid.TryCheckAudiences(audiences, out var problem))
        {
            throw Rpcs.Invalid(problem);
        }

        var issued = jwtIssuer.Issue(id, audiences, ttl);
        metrics.TokenSigned();
        return new JWTSVID
        {
            Token = issued.Token,
            Id = id.ToWire(),
            IssuedAt = issued.IssuedAt.ToUnixTimeSeconds(),
            ExpiresAt = issued.ExpiresAt.ToUnixTimeSeconds(),
        };
    }

    private bool IsWorkload(SpiffeId id) => id.IsMemberOf(config.TrustDomain) && id.HasPath && !ReservedIds.IsReserved(id);

    private void TakeTurn(SpiffeId caller, int count)
    {
        if (limits.TakeSignatures(caller, count) is { } limit)
        {
            metrics.Limited(limit.Name);
            throw Rpcs.Limited(limit);
        }
    }

    private async Task<IReadOnlyList<IssuedSvid>> IssueAsync(IReadOnlyList<SvidRequest> requests, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        var issued = await issuer.IssueAsync(requests, cancellationToken).ConfigureAwait(false);
        metrics.Signed(issued.Count, time.GetElapsedTime(start));
        return issued;
    }

    private (SvidRequest? Request, StatusCode Code, string Problem) Check(
        NewX509SVIDParams wanted, IReadOnlyDictionary<string, RegistrationEntry> mine, SpiffeId agent)
    {
        if (!mine.TryGetValue(wanted.EntryId, out var entry))
        {
            return (null, StatusCode.NotFound, $"entry \"{Printable.Of(wanted.EntryId)}\" is not one that {agent} may serve");
        }

        if (!RequestedKey.TryReadLeaf(wanted.Csr.Memory, config.TrustDomain, out var csr, out var problem))
        {
            return (null, StatusCode.InvalidArgument, problem);
        }

        if (entry.Template.KeyType is { } keyType && KeyTypes.Of(csr.SubjectPublicKeyInfo) != keyType)
        {
            return (null, StatusCode.InvalidArgument, $"CSR: its key is {csr.KeyDescription}, but entry \"{entry.Id}\" wants {keyType.Name()}");
        }

        // Of the request only the key counts: what the certificate says is the entry's.
        if (!entry.Template.TryFill(entry, out var names, out problem))
        {
            return (null, StatusCode.FailedPrecondition, $"entry \"{entry.Id}\": {problem}");
        }

        if (names.Subject is { } subject && authorities.Current.IsAuthorityName(subject))
        {
            return (null, StatusCode.FailedPrecondition, $"entry \"{entry.Id}\": the subject {subject} is the name of an authority; a workload needs another");
        }

        var ttl = TtlOf(entry, entry.X509Ttl ?? config.X509Ttl);
        return (
            new SvidRequest(entry.SpiffeId, csr.SubjectPublicKeyInfo, ttl, names.DnsNames, agent.Uri) { Subject = names.Subject, IpAddresses = names.IpAddresses, EmailAddresses = names.EmailAddresses },
            StatusCode.OK,
            "");
    }

    // An SVID does not outlive the entry that granted it.
    private TimeSpan TtlOf(RegistrationEntry entry, TimeSpan ttl)
    {
        var left = entry.ExpiresAt - time.GetUtcNow();
        return left is { } rest && rest < ttl ? rest : ttl;
    }
}
