using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Delegation;
using Signet.Agent.Identities;
using Signet.Agent.WorkloadApi;
using Signet.Hosting.PeerCredentials;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Broker;
using Signet.Rpc.Wire.GoogleRpc;
using RpcStatus = Signet.Rpc.Wire.GoogleRpc.Status;
using Status = Grpc.Core.Status;

namespace Signet.Agent.Broker;

/// <summary>
/// spiffe.broker.API: what a workload of this machine would get of the Workload API, for a broker that names its process. Another kind of reference is not
/// understood. What is sent is what the workload itself would be sent: the messages are the Workload API's, field for field.
/// </summary>
internal sealed class BrokerService(BrokerGate gate, WorkloadAttestor attestor, IdentityCache cache, JwtCache tokens, TimeProvider time, ILogger log) : API.APIBase
{
    /// <summary>How often it is looked whether workload and broker are still what they were.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(5);

    // The published names of the one message: the standard's, and that of the package it moved to.
    private static readonly string[] ProcessReferences = ["spiffe.broker.WorkloadPIDReference", "spiffe.reference.WorkloadPIDReference"];

    public override Task SubscribeToX509SVID(SubscribeToX509SVIDRequest request, IServerStreamWriter<SubscribeToX509SVIDResponse> responseStream, ServerCallContext context) => FollowAsync(
        request.Reference,
        "X509-SVIDs",
        entitlement => entitlement.Svids.Count > 0 ? SubscribeToX509SVIDResponse.Parser.ParseFrom(WorkloadApiService.Svids(entitlement).ToByteString()) : null,
        responseStream,
        context);

    public override Task SubscribeToX509Bundles(SubscribeToX509BundlesRequest request, IServerStreamWriter<SubscribeToX509BundlesResponse> responseStream, ServerCallContext context) => FollowAsync(
        request.Reference,
        "X.509 bundles",
        entitlement => SubscribeToX509BundlesResponse.Parser.ParseFrom(WorkloadApiService.X509Bundles(entitlement).ToByteString()),
        responseStream,
        context);

    public override Task SubscribeToJWTBundles(SubscribeToJWTBundlesRequest request, IServerStreamWriter<SubscribeToJWTBundlesResponse> responseStream, ServerCallContext context) => FollowAsync(
        request.Reference,
        "JWT bundles",
        entitlement => SubscribeToJWTBundlesResponse.Parser.ParseFrom(WorkloadApiService.JwtBundlesOf(entitlement).ToByteString()),
        responseStream,
        context);

    public override async Task<FetchJWTSVIDResponse> FetchJWTSVID(FetchJWTSVIDRequest request, ServerCallContext context)
    {
        SpiffeId? wanted = null;
        if (!JwtSvid.TryCheckAudiences(request.Audience, out var problem) || (request.SpiffeId.Length > 0 && !SpiffeId.TryParse(request.SpiffeId, out wanted, out problem)))
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, problem));
        }

        var target = await ResolveAsync(request.Reference, "JWT-SVIDs", context).ConfigureAwait(false);
        var matching = Now(target).Matching.Where(entry => wanted is null || entry.SpiffeId == wanted).ToList();
        if (matching.Count == 0)
        {
            throw NotEntitled();
        }

        var response = new FetchJWTSVIDResponse();
        var hints = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in matching)
        {
            var held = await tokens.GetAsync(entry, request.Audience, context.CancellationToken).ConfigureAwait(false);
            response.Svids.Add(new JWTSVID { SpiffeId = entry.SpiffeId.Uri, Svid = held.Token, Hint = entry.Hint.Length > 0 && hints.Add(entry.Hint) ? entry.Hint : "" });
        }

        // Not for a number that means another process by now.
        Now(target);
        return response;
    }

    /// <summary>Says at once what there is, and again whenever it is something else, until the workload, its standing or the broker's ends.</summary>
    private async Task FollowAsync<T>(WorkloadReference? reference, string what, Func<Entitlement, T?> make, IServerStreamWriter<T> responses, ServerCallContext context)
        where T : class, IMessage<T>
    {
        var target = await ResolveAsync(reference, what, context).ConfigureAwait(false);
        T? sent = null;
        while (true)
        {
            var seen = cache.Changes.Version;
            gate.Admit(context);
            if (make(Now(target)) is { } message && !message.Equals(sent))
            {
                await responses.WriteAsync(message, context.CancellationToken).ConfigureAwait(false);
                sent = message;
            }

            using var woken = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
            await Task.WhenAny(cache.Changes.WaitAsync(seen, woken.Token), Task.Delay(LookAgain, time, woken.Token)).ConfigureAwait(false);
            await woken.CancelAsync().ConfigureAwait(false);
            context.CancellationToken.ThrowIfCancellationRequested();
        }
    }

    private async Task<DelegationTarget> ResolveAsync(WorkloadReference? reference, string what, ServerCallContext context)
    {
        var target = await TargetAsync(reference, context.CancellationToken).ConfigureAwait(false);
        var gets = string.Join(' ', Now(target).Matching.Select(entry => entry.SpiffeId.Uri));
        log.DelegateServed(gate.Admit(context).Uri, context.PeerCredential().Pid, what, target.ToString(), gets);
        return target;
    }

    private async Task<DelegationTarget> TargetAsync(WorkloadReference? reference, CancellationToken cancellationToken)
    {
        if (reference?.Reference is not { } any || !ProcessReferences.Contains(Any.GetTypeName(any.TypeUrl), StringComparer.Ordinal))
        {
            throw Refused(StatusCode.InvalidArgument, "WORKLOAD_REFERENCE_INVALID", "a reference by process is needed (spiffe.broker.WorkloadPIDReference); others are not understood here");
        }

        int pid;
        try
        {
            pid = WorkloadPIDReference.Parser.ParseFrom(any.Value).Pid;
        }
        catch (InvalidProtocolBufferException)
        {
            pid = 0;
        }

        if (pid <= 0)
        {
            throw Refused(StatusCode.InvalidArgument, "WORKLOAD_REFERENCE_INVALID", "the reference names no process; its number must be positive");
        }

        try
        {
            return await DelegationTarget.OfAsync([], pid, attestor, cache, time, cancellationToken).ConfigureAwait(false);
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.NotFound)
        {
            throw Refused(StatusCode.NotFound, "WORKLOAD_NOT_FOUND", e.Status.Detail);
        }
    }

    private static Entitlement Now(DelegationTarget target)
    {
        try
        {
            return target.Now() is { Matching.Count: > 0 } entitlement ? entitlement : throw NotEntitled();
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.NotFound)
        {
            throw Refused(StatusCode.NotFound, "WORKLOAD_NOT_FOUND", e.Status.Detail);
        }
    }

    private static RpcException NotEntitled() => Refused(StatusCode.PermissionDenied, "WORKLOAD_NOT_ENTITLED", "no identity issued");

    /// <summary>A refusal with its cause for programs (Broker API §4.8).</summary>
    private static RpcException Refused(StatusCode code, string cause, string reason)
    {
        var status = new RpcStatus { Code = (int)code, Message = reason, Details = { Any.Pack(new ErrorInfo { Reason = cause, Domain = "spiffe.io" }) } };
        return new RpcException(new Status(code, reason), new Metadata { { "grpc-status-details-bin", status.ToByteArray() } });
    }
}
