using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Identities;
using Signet.Agent.WorkloadApi;
using Signet.Identity.Jose;
using Signet.Identity.X509;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Agent.DelegatedIdentity;
using Signet.Rpc.Wire.Spire.Types;

namespace Signet.Agent.Delegation;

/// <summary>
/// spire.api.agent.delegatedidentity.v1.DelegatedIdentity: the identities of other workloads, with their keys, for those that agent.yaml lets act for them.
/// Streams say at once what there is, and the whole of it at each change. Each question is logged.
/// </summary>
internal sealed class DelegatedIdentityService(Delegates delegates, WorkloadAttestor attestor, IdentityCache cache, JwtCache tokens, TimeProvider time, ILogger log) : DelegatedIdentity.DelegatedIdentityBase
{
    public override async Task SubscribeToX509SVIDs(SubscribeToX509SVIDsRequest request, IServerStreamWriter<SubscribeToX509SVIDsResponse> responseStream, ServerCallContext context)
    {
        var caller = delegates.Admit(context, "X509-SVIDs");
        var target = await DelegationTarget.OfAsync(request.Selectors, request.Pid, attestor, cache, time, context.CancellationToken).ConfigureAwait(false);
        Report(caller, "X509-SVIDs", target);
        await caller.Subject.FollowAsync(
            entitlement => Fingerprint(Now(caller, target, entitlement)),
            entitlement => responseStream.WriteAsync(ToWire(Now(caller, target, entitlement)), context.CancellationToken),
            context.CancellationToken).ConfigureAwait(false);
    }

    public override Task SubscribeToX509Bundles(SubscribeToX509BundlesRequest request, IServerStreamWriter<SubscribeToX509BundlesResponse> responseStream, ServerCallContext context)
    {
        var caller = delegates.Admit(context, "X.509 bundles");
        return caller.Subject.FollowAsync(
            entitlement =>
            {
                caller.Check(entitlement);
                return string.Join('\n', entitlement.Snapshot.View.Bundles.All.Select(bundle => $"{bundle.TrustDomain} {bundle.Digest}").Order(StringComparer.Ordinal));
            },
            entitlement =>
            {
                var response = new SubscribeToX509BundlesResponse();
                foreach (var bundle in entitlement.Snapshot.View.Bundles.All)
                {
                    response.CaCertificates[bundle.TrustDomain.IdString] = ByteString.CopyFrom(CertificateList.Encode(bundle.Authorities));
                }

                return responseStream.WriteAsync(response, context.CancellationToken);
            },
            context.CancellationToken);
    }

    public override async Task<FetchJWTSVIDsResponse> FetchJWTSVIDs(FetchJWTSVIDsRequest request, ServerCallContext context)
    {
        if (!JwtSvid.TryCheckAudiences(request.Audience, out var problem))
        {
            throw new RpcException(new Grpc.Core.Status(StatusCode.InvalidArgument, problem));
        }

        var caller = delegates.Admit(context, "JWT-SVIDs");
        var target = await DelegationTarget.OfAsync(request.Selectors, request.Pid, attestor, cache, time, context.CancellationToken).ConfigureAwait(false);
        Report(caller, "JWT-SVIDs", target);
        var matching = Now(caller, target, caller.Subject.Now()).Matching;
        if (matching.Count == 0)
        {
            throw new RpcException(new Grpc.Core.Status(StatusCode.PermissionDenied, "no identity issued"));
        }

        var response = new FetchJWTSVIDsResponse();
        foreach (var entry in matching)
        {
            var held = await tokens.GetAsync(entry, request.Audience, context.CancellationToken).ConfigureAwait(false);
            response.Svids.Add(new JWTSVID
            {
                Token = held.Token,
                Id = entry.SpiffeId.ToWire(),
                ExpiresAt = held.ExpiresAt.ToUnixTimeSeconds(),
                IssuedAt = held.ReceivedAt.ToUnixTimeSeconds(),
                Hint = entry.Hint,
            });
        }

        // What was asked for a process is not handed out once its number means another.
        Now(caller, target, caller.Subject.Now());
        return response;
    }

    public override Task SubscribeToJWTBundles(SubscribeToJWTBundlesRequest request, IServerStreamWriter<SubscribeToJWTBundlesResponse> responseStream, ServerCallContext context)
    {
        var caller = delegates.Admit(context, "JWT bundles");
        return caller.Subject.FollowAsync(
            entitlement =>
            {
                caller.Check(entitlement);
                return string.Join('\n', entitlement.Snapshot.View.JwtBundles.Values
                    .Select(bundle => string.Join(',', bundle.Authorities.Select(key => key.KeyId).Prepend(bundle.TrustDomain.Name)))
                    .Order(StringComparer.Ordinal));
            },
            entitlement =>
            {
                var response = new SubscribeToJWTBundlesResponse();
                foreach (var bundle in entitlement.Snapshot.View.JwtBundles.Values)
                {
                    response.Bundles[bundle.TrustDomain.IdString] = ByteString.CopyFromUtf8(bundle.ToJson());
                }

                return responseStream.WriteAsync(response, context.CancellationToken);
            },
            context.CancellationToken);
    }

    private static Entitlement Now(Delegate caller, DelegationTarget target, Entitlement own)
    {
        caller.Check(own);
        return target.Now();
    }

    private void Report(Delegate caller, string what, DelegationTarget target)
    {
        var gets = Now(caller, target, caller.Subject.Now()).Matching.Select(entry => entry.SpiffeId.Uri);
        log.DelegateServed(caller.Id.Uri, caller.Subject.Pid, what, target.ToString(), string.Join(' ', gets) is { Length: > 0 } ids ? ids : "none");
    }

    // While the first SVID is being signed nothing is said; that there is no identity is said.
    private static string? Fingerprint(Entitlement target) => target.Matching.Count > 0 && target.Svids.Count == 0
        ? null
        : string.Join('\n', target.Svids.Select(held => held.Svid.Leaf.Fingerprint + held.Svid.Hint).Concat(FederatesWith(target)));

    private static IEnumerable<string> FederatesWith(Entitlement target) =>
        target.Matching.SelectMany(entry => entry.FederatesWith).Distinct().Select(trustDomain => trustDomain.IdString).Order(StringComparer.Ordinal);

    private static SubscribeToX509SVIDsResponse ToWire(Entitlement target)
    {
        var response = new SubscribeToX509SVIDsResponse();
        foreach (var held in target.Svids)
        {
            var svid = SpireMapping.ToWire(held.Svid.Chain, held.Svid.Id);
            svid.Hint = held.Svid.Hint ?? "";
            response.X509Svids.Add(new X509SVIDWithKey { X509Svid = svid, X509SvidKey = ByteString.CopyFrom(held.Svid.ExportKeyPkcs8()) });
        }

        response.FederatesWith.AddRange(FederatesWith(target));
        return response;
    }
}
