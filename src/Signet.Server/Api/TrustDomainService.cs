using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.TrustDomain;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Server.Federation;
using FederationRelationship = Signet.Server.Federation.FederationRelationship;
using Status = Grpc.Core.Status;
using TrustDomain = Signet.Identity.Spiffe.TrustDomain;
using WireRelationship = Signet.Rpc.Wire.Spire.Types.FederationRelationship;

namespace Signet.Server.Api;

/// <summary>spire.api.server.trustdomain.v1.TrustDomain: relationships with other trust domains.</summary>
internal sealed class TrustDomainService(TrustFederation federation, ILogger<TrustDomainService> log) : Signet.Rpc.Wire.Spire.Server.TrustDomain.TrustDomain.TrustDomainBase
{
    public override Task<ListFederationRelationshipsResponse> ListFederationRelationships(ListFederationRelationshipsRequest request, ServerCallContext context)
    {
        var shown = federation.Relationships.Current.Values.Where(relationship => request.IncludeStatic || !relationship.IsStatic);
        var (page, next) = Pages.Take(shown, relationship => relationship.TrustDomain.Name, relationship => ToWire(relationship, request.OutputMask), request.PageSize, request.PageToken);
        var response = new ListFederationRelationshipsResponse { NextPageToken = next };
        response.FederationRelationships.AddRange(page);
        return Task.FromResult(response);
    }

    public override Task<WireRelationship> GetFederationRelationship(GetFederationRelationshipRequest request, ServerCallContext context)
    {
        var found = Find(request.TrustDomain);
        return found.IsStatic && !request.IncludeStatic
            ? throw Rpcs.NotFound($"the relationship with {found.TrustDomain} stands in the server's configuration file; ask with include_static")
            : Task.FromResult(ToWire(found, request.OutputMask));
    }

    public override Task<BatchCreateFederationRelationshipResponse> BatchCreateFederationRelationship(BatchCreateFederationRelationshipRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            Pages.CheckBatch(request.FederationRelationship.Count, "relationships");
            var response = new BatchCreateFederationRelationshipResponse();
            foreach (var wire in request.FederationRelationship)
            {
                var result = await CreateAsync(wire, context).ConfigureAwait(false);
                response.Results.Add(new BatchCreateFederationRelationshipResponse.Types.Result { Status = result.ToWire(), FederationRelationship = Made(result, wire.TrustDomain, request.OutputMask) });
            }

            return response;
        });

    public override Task<BatchUpdateFederationRelationshipResponse> BatchUpdateFederationRelationship(BatchUpdateFederationRelationshipRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            Pages.CheckBatch(request.FederationRelationships.Count, "relationships");
            var response = new BatchUpdateFederationRelationshipResponse();
            foreach (var wire in request.FederationRelationships)
            {
                var result = await UpdateAsync(wire, request.InputMask, context).ConfigureAwait(false);
                response.Results.Add(new BatchUpdateFederationRelationshipResponse.Types.Result { Status = result.ToWire(), FederationRelationship = Made(result, wire.TrustDomain, request.OutputMask) });
            }

            return response;
        });

    public override Task<BatchDeleteFederationRelationshipResponse> BatchDeleteFederationRelationship(BatchDeleteFederationRelationshipRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            Pages.CheckBatch(request.TrustDomains.Count, "trust domains");
            var response = new BatchDeleteFederationRelationshipResponse();
            foreach (var name in request.TrustDomains)
            {
                var result = TrustDomain.TryParse(name, out var trustDomain, out var problem)
                    ? await federation.Relationships.DeleteAsync(trustDomain, context.CancellationToken).ConfigureAwait(false)
                    : new FederationResult(FederationOutcome.Invalid, problem);
                Log(result, name, "deleted", context);
                response.Results.Add(new BatchDeleteFederationRelationshipResponse.Types.Result { Status = result.ToWire(), TrustDomain = name });
            }

            return response;
        });

    public override Task<Empty> RefreshBundle(RefreshBundleRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            var relationship = Find(request.TrustDomain);
            var result = await federation.Refresher.RefreshAsync(relationship, context.CancellationToken).ConfigureAwait(false);
            return result.Outcome is RefreshOutcome.Changed or RefreshOutcome.Unchanged
                ? new Empty()
                : throw new RpcException(new Status(StatusCode.FailedPrecondition, $"the bundle of {relationship.TrustDomain} could not be fetched from {relationship.Url}: {result.Reason}"));
        });

    private async Task<FederationResult> CreateAsync(WireRelationship wire, ServerCallContext context)
    {
        if (!TryRead(wire, out var wanted, out var bootstrap, out var problem))
        {
            return new FederationResult(FederationOutcome.Invalid, problem);
        }

        // The first bundle comes before the relationship: it is needed as soon as there is one.
        var result = federation.Relationships.CheckNew(wanted);
        if (result.Outcome == FederationOutcome.Done)
        {
            await TakeAsync(bootstrap, context).ConfigureAwait(false);
            result = await federation.Relationships.CreateAsync(wanted, context.CancellationToken).ConfigureAwait(false);
        }

        Log(result, wanted.TrustDomain.Name, "created", context);
        return result;
    }

    private async Task<FederationResult> UpdateAsync(WireRelationship wire, FederationRelationshipMask? mask, ServerCallContext context)
    {
        if (!TrustDomain.TryParse(wire.TrustDomain, out var trustDomain, out var problem))
        {
            return new FederationResult(FederationOutcome.Invalid, problem);
        }

        if (federation.Relationships.Find(trustDomain) is not { } old)
        {
            return FederationRelationships.Missing(trustDomain);
        }

        var merged = ToWire(old, null);
        if (mask?.BundleEndpointUrl != false)
        {
            merged.BundleEndpointUrl = wire.BundleEndpointUrl;
        }

        if (mask?.BundleEndpointProfile != false)
        {
            merged.ClearBundleEndpointProfile();
            if (wire.HttpsSpiffe is { } spiffe)
            {
                merged.HttpsSpiffe = spiffe;
            }
            else if (wire.HttpsWeb is { } web)
            {
                merged.HttpsWeb = web;
            }
        }

        if (!TryRead(merged, out var wanted, out var bootstrap, out problem))
        {
            return new FederationResult(FederationOutcome.Invalid, problem);
        }

        if (!old.IsStatic)
        {
            await TakeAsync(bootstrap, context).ConfigureAwait(false);
        }

        var result = await federation.Relationships.UpdateAsync(wanted, context.CancellationToken).ConfigureAwait(false);
        Log(result, trustDomain.Name, "updated", context);
        return result;
    }

    private async Task TakeAsync(SpiffeBundle? bootstrap, ServerCallContext context)
    {
        if (bootstrap is not null && await federation.Bundles.SetAsync(bootstrap, Expected.Either, context.CancellationToken).ConfigureAwait(false) is { Outcome: FederationOutcome.Done })
        {
            log.BundleChanged(bootstrap.TrustDomain.Name, "set", CallerOf.Name(context));
        }
    }

    private FederationRelationship Find(string name) =>
        !TrustDomain.TryParse(name, out var trustDomain, out var problem) ? throw Rpcs.Invalid(problem)
        : federation.Relationships.Find(trustDomain) ?? throw Rpcs.NotFound(FederationRelationships.Missing(trustDomain).Reason);

    private WireRelationship? Made(FederationResult result, string name, FederationRelationshipMask? mask) =>
        result.Outcome == FederationOutcome.Done ? ToWire(Find(name), mask) : null;

    private void Log(FederationResult result, string trustDomain, string change, ServerCallContext context)
    {
        if (result.Outcome == FederationOutcome.Done)
        {
            log.RelationshipChanged(trustDomain, change, CallerOf.Name(context));
        }
    }

    private static WireRelationship ToWire(FederationRelationship relationship, FederationRelationshipMask? mask)
    {
        var wire = new WireRelationship { TrustDomain = relationship.TrustDomain.Name };
        if (mask?.BundleEndpointUrl != false)
        {
            wire.BundleEndpointUrl = relationship.Url.ToString();
        }

        if (mask?.BundleEndpointProfile != false)
        {
            if (relationship.Profile is EndpointProfile.HttpsSpiffe spiffe)
            {
                wire.HttpsSpiffe = new HTTPSSPIFFEProfile { EndpointSpiffeId = spiffe.EndpointId.Uri };
            }
            else
            {
                wire.HttpsWeb = new HTTPSWebProfile();
            }
        }

        return wire;
    }

    private static bool TryRead(
        WireRelationship wire, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out FederationRelationship? relationship, out SpiffeBundle? bootstrap, out string problem)
    {
        (relationship, bootstrap) = (null, null);
        if (!TrustDomain.TryParse(wire.TrustDomain, out var trustDomain, out problem) || !BundleEndpointUrl.TryParse(wire.BundleEndpointUrl, out var url, out problem))
        {
            return false;
        }

        switch (wire.BundleEndpointProfileCase)
        {
            case WireRelationship.BundleEndpointProfileOneofCase.HttpsWeb:
                relationship = new FederationRelationship(trustDomain, url, new EndpointProfile.HttpsWeb());
                return true;
            case WireRelationship.BundleEndpointProfileOneofCase.HttpsSpiffe:
                return TryReadSpiffe(wire.HttpsSpiffe, trustDomain, url, out relationship, out bootstrap, out problem);
            default:
                problem = "bundle_endpoint_profile is missing; it is https_web or https_spiffe";
                return false;
        }
    }

    private static bool TryReadSpiffe(
        HTTPSSPIFFEProfile wire,
        TrustDomain trustDomain,
        BundleEndpointUrl url,
        [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out FederationRelationship? relationship,
        out SpiffeBundle? bootstrap,
        out string problem)
    {
        (relationship, bootstrap) = (null, null);
        if (!SpiffeId.TryParse(wire.EndpointSpiffeId, out var id, out problem))
        {
            problem = $"endpoint_spiffe_id: {problem}";
            return false;
        }

        var wanted = new FederationRelationship(trustDomain, url, new EndpointProfile.HttpsSpiffe(id));
        if (wire.BootstrapBundle is { } first)
        {
            problem = !wanted.IsSelfServing ? $"bootstrap_bundle has no use here: the endpoint {id} is not of {trustDomain}, and is recognised by the bundle of its own trust domain"
                : first.TrustDomain != trustDomain.Name ? $"bootstrap_bundle is of trust domain \"{Printable.Of(first.TrustDomain)}\"; {trustDomain} was expected"
                : "";
            if (problem.Length > 0 || !SpireMapping.TryReadWhole(first, out bootstrap, out problem))
            {
                return false;
            }
        }

        relationship = wanted;
        return true;
    }
}
