using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Bundle;
using Signet.Hosting.Grpc;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Server.Access;
using Signet.Server.Federation;
using Signet.Server.Registration;
using Signet.Server.Upkeep;
using WireBundle = Signet.Rpc.Wire.Spire.Types.Bundle;
using WireStatus = Signet.Rpc.Wire.Spire.Types.Status;

namespace Signet.Server.Api;

/// <summary>spire.api.server.bundle.v1.Bundle: the own trust domain's bundle and those of others.</summary>
internal sealed class BundleService(TrustDomain own, TrustFederation federation, EntryDirectory entries, BundleFetches fetches, ILogger<BundleService> log)
    : Signet.Rpc.Wire.Spire.Server.Bundle.Bundle.BundleBase
{
    /// <summary>What relying parties must trust at one moment, with a mark at what is being replaced.</summary>
    public static WireBundle Of(AuthoritySnapshot authorities)
    {
        var wire = authorities.Bundle.ToWire(authorities.JwtBundle);
        foreach (var (anchor, record) in wire.X509Authorities.Zip(authorities.Ledger.Anchors))
        {
            anchor.Tainted = record.State is SlotState.Old or SlotState.Tainted;
        }

        wire.WitAuthorities.AddRange(authorities.WitBundle.ToWire());
        foreach (var key in wire.WitAuthorities)
        {
            key.Tainted = authorities.Superseded.Contains(key.KeyId);
        }

        foreach (var key in wire.JwtAuthorities)
        {
            key.Tainted = authorities.Superseded.Contains(key.KeyId);
        }

        return wire;
    }

    public override Task<WireBundle> GetBundle(GetBundleRequest request, ServerCallContext context)
    {
        var bundle = federation.Published.Marked;
        if (CallOf.Of(context).Caller is Caller.Agent agent && request.OutputMask is not { X509Authorities: false })
        {
            fetches.Began(agent.Id);
            context.OnEnd(status =>
            {
                if (status.StatusCode == StatusCode.OK)
                {
                    fetches.Answered(agent.Id, bundle.SequenceNumber);
                }
            });
        }

        return Task.FromResult(bundle.Only(request.OutputMask));
    }

    public override Task<CountBundlesResponse> CountBundles(CountBundlesRequest request, ServerCallContext context) =>
        Task.FromResult(new CountBundlesResponse { Count = 1 + federation.Bundles.Current.Count });

    public override Task<WireBundle> AppendBundle(AppendBundleRequest request, ServerCallContext context) => throw OwnOnly();

    public override Task<PublishJWTAuthorityResponse> PublishJWTAuthority(PublishJWTAuthorityRequest request, ServerCallContext context) => throw OwnOnly();

    public override Task<PublishWITAuthorityResponse> PublishWITAuthority(PublishWITAuthorityRequest request, ServerCallContext context) => throw OwnOnly();

    public override Task<ListFederatedBundlesResponse> ListFederatedBundles(ListFederatedBundlesRequest request, ServerCallContext context)
    {
        var (page, next) = Pages.Take(federation.Bundles.Current.Values, bundle => bundle.TrustDomain.Name, bundle => bundle.ToWire().Only(request.OutputMask), request.PageSize, request.PageToken, Pages.MaxBatch);
        var response = new ListFederatedBundlesResponse { NextPageToken = next };
        response.Bundles.AddRange(page);
        return Task.FromResult(response);
    }

    public override Task<WireBundle> GetFederatedBundle(GetFederatedBundleRequest request, ServerCallContext context)
    {
        var trustDomain = Read(request.TrustDomain);
        return trustDomain == own ? throw Rpcs.Invalid($"{own} is this server's own trust domain; ask GetBundle")
            : federation.Bundles.Find(trustDomain) is { } bundle ? Task.FromResult(bundle.ToWire().Only(request.OutputMask))
            : throw Rpcs.NotFound(FederatedBundles.Missing(trustDomain).Reason);
    }

    public override Task<BatchCreateFederatedBundleResponse> BatchCreateFederatedBundle(BatchCreateFederatedBundleRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            var response = new BatchCreateFederatedBundleResponse();
            foreach (var (status, bundle) in await SetAllAsync(request.Bundle, Expected.Nothing, mask: null, context).ConfigureAwait(false))
            {
                response.Results.Add(new BatchCreateFederatedBundleResponse.Types.Result { Status = status, Bundle = bundle?.Only(request.OutputMask) });
            }

            return response;
        });

    public override Task<BatchUpdateFederatedBundleResponse> BatchUpdateFederatedBundle(BatchUpdateFederatedBundleRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            var response = new BatchUpdateFederatedBundleResponse();
            foreach (var (status, bundle) in await SetAllAsync(request.Bundle, Expected.Bundle, request.InputMask, context).ConfigureAwait(false))
            {
                response.Results.Add(new BatchUpdateFederatedBundleResponse.Types.Result { Status = status, Bundle = bundle?.Only(request.OutputMask) });
            }

            return response;
        });

    public override Task<BatchSetFederatedBundleResponse> BatchSetFederatedBundle(BatchSetFederatedBundleRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            var response = new BatchSetFederatedBundleResponse();
            foreach (var (status, bundle) in await SetAllAsync(request.Bundle, Expected.Either, mask: null, context).ConfigureAwait(false))
            {
                response.Results.Add(new BatchSetFederatedBundleResponse.Types.Result { Status = status, Bundle = bundle?.Only(request.OutputMask) });
            }

            return response;
        });

    public override Task<BatchDeleteFederatedBundleResponse> BatchDeleteFederatedBundle(BatchDeleteFederatedBundleRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            Pages.CheckBatch(request.TrustDomains.Count, "trust domains");
            var mode = request.Mode switch
            {
                BatchDeleteFederatedBundleRequest.Types.Mode.Restrict => DeletionMode.Restrict,
                BatchDeleteFederatedBundleRequest.Types.Mode.Delete => DeletionMode.Delete,
                BatchDeleteFederatedBundleRequest.Types.Mode.Dissociate => DeletionMode.Dissociate,
                var other => throw Rpcs.Invalid($"mode {(int)other} is not known"),
            };
            var response = new BatchDeleteFederatedBundleResponse();
            foreach (var name in request.TrustDomains)
            {
                var result = !TrustDomain.TryParse(name, out var trustDomain, out var problem) ? new FederationResult(FederationOutcome.Invalid, problem)
                    : trustDomain == own ? new FederationResult(FederationOutcome.Invalid, $"{own} is this server's own trust domain, whose bundle can't be deleted")
                    : await federation.DeleteBundleAsync(trustDomain, mode, entries, context.CancellationToken).ConfigureAwait(false);
                Log(result, trustDomain, "deleted", context);
                response.Results.Add(new BatchDeleteFederatedBundleResponse.Types.Result { Status = result.ToWire(), TrustDomain = name });
            }

            return response;
        });

    private async Task<IReadOnlyList<(WireStatus Status, WireBundle? Bundle)>> SetAllAsync(
        IReadOnlyCollection<WireBundle> wanted, Expected expected, BundleMask? mask, ServerCallContext context)
    {
        Pages.CheckBatch(wanted.Count, "bundles");
        var results = new List<(WireStatus, WireBundle?)>();
        foreach (var wire in wanted)
        {
            var (result, bundle) = await SetAsync(wire, expected, mask, context.CancellationToken).ConfigureAwait(false);
            Log(result, bundle?.TrustDomain, "set", context);
            results.Add((result.ToWire(), result.Outcome == FederationOutcome.Done ? bundle!.ToWire() : null));
        }

        return results;
    }

    private async Task<(FederationResult Result, SpiffeBundle? Bundle)> SetAsync(WireBundle wire, Expected expected, BundleMask? mask, CancellationToken cancellationToken)
    {
        if (mask is not null && TrustDomain.TryParse(wire.TrustDomain, out var trustDomain, out _) && federation.Bundles.Find(trustDomain) is { } kept)
        {
            wire = kept.ToWire().With(wire, mask);
        }

        return SpireMapping.TryReadWhole(wire, out var bundle, out var problem)
            ? (await federation.Bundles.SetAsync(bundle, expected, cancellationToken).ConfigureAwait(false), bundle)
            : (new FederationResult(FederationOutcome.Invalid, problem), null);
    }

    private void Log(FederationResult result, TrustDomain? trustDomain, string change, ServerCallContext context)
    {
        if (result.Outcome == FederationOutcome.Done)
        {
            log.BundleChanged(trustDomain!.Name, change, CallerOf.Name(context));
        }
    }

    private static TrustDomain Read(string name) => TrustDomain.TryParse(name, out var trustDomain, out var problem) ? trustDomain : throw Rpcs.Invalid(problem);

    // Whoever could add to what everybody here trusts would be an authority of this trust domain.
    private static RpcException OwnOnly() =>
        new(new Grpc.Core.Status(StatusCode.Unimplemented, "the bundle of this trust domain follows from the server's own authorities, and nothing else is added to it"));
}
