using Grpc.Core;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Bundle;
using Signet.Rpc.Wire.Spire.Server.TrustDomain;
using Signet.Rpc.Wire.Spire.Types;
using BundleApi = Signet.Rpc.Wire.Spire.Server.Bundle.Bundle;
using DeleteMode = Signet.Rpc.Wire.Spire.Server.Bundle.BatchDeleteFederatedBundleRequest.Types.Mode;
using TrustDomain = Signet.Identity.Spiffe.TrustDomain;
using TrustDomainApi = Signet.Rpc.Wire.Spire.Server.TrustDomain.TrustDomain;

namespace Signet.Cli.Clients;

/// <summary>A relationship with another trust domain as the server lists it.</summary>
/// <param name="TrustDomain">Whose bundle is fetched.</param>
/// <param name="Url">From where.</param>
/// <param name="EndpointId">Whom that place must be; null when it proves itself by a certificate of the web.</param>
/// <param name="IsStatic">Whether it stands in the server's configuration file.</param>
internal sealed record ListedRelationship(TrustDomain TrustDomain, string Url, string? EndpointId, bool IsStatic)
{
    public string Profile => EndpointId is null ? "https_web" : "https_spiffe";
}

/// <content>Other trust domains.</content>
internal sealed partial class AdminClient
{
    /// <summary>The whole bundle of the own trust domain.</summary>
    public async Task<SpiffeBundle> OwnBundleAsync(CancellationToken cancellationToken) =>
        Read(await new BundleApi.BundleClient(channel).GetBundleAsync(new GetBundleRequest(), Options(cancellationToken)));

    public async Task<SpiffeBundle> FederatedBundleAsync(TrustDomain trustDomain, CancellationToken cancellationToken) =>
        Read(await new BundleApi.BundleClient(channel).GetFederatedBundleAsync(new GetFederatedBundleRequest { TrustDomain = trustDomain.Name }, Options(cancellationToken)));

    public async Task<IReadOnlyList<SpiffeBundle>> FederatedBundlesAsync(CancellationToken cancellationToken)
    {
        var bundles = new List<SpiffeBundle>();
        var request = new ListFederatedBundlesRequest { PageSize = Page };
        do
        {
            var response = await new BundleApi.BundleClient(channel).ListFederatedBundlesAsync(request, Options(cancellationToken));
            bundles.AddRange(response.Bundles.Select(Read));
            request.PageToken = response.NextPageToken;
        }
        while (request.PageToken.Length > 0);

        return bundles;
    }

    public async Task<int> CountBundlesAsync(CancellationToken cancellationToken) =>
        (await new BundleApi.BundleClient(channel).CountBundlesAsync(new CountBundlesRequest(), Options(cancellationToken))).Count;

    public async Task SetBundleAsync(SpiffeBundle bundle, CancellationToken cancellationToken)
    {
        var response = await new BundleApi.BundleClient(channel).BatchSetFederatedBundleAsync(
            new BatchSetFederatedBundleRequest { Bundle = { bundle.ToWire() } }, Options(cancellationToken));
        Check(response.Results.Select(result => result.Status));
    }

    public async Task DeleteBundleAsync(TrustDomain trustDomain, DeleteMode mode, CancellationToken cancellationToken)
    {
        var response = await new BundleApi.BundleClient(channel).BatchDeleteFederatedBundleAsync(
            new BatchDeleteFederatedBundleRequest { TrustDomains = { trustDomain.Name }, Mode = mode }, Options(cancellationToken));
        Check(response.Results.Select(result => result.Status));
    }

    public async Task<IReadOnlyList<ListedRelationship>> RelationshipsAsync(CancellationToken cancellationToken)
    {
        var all = await RelationshipsAsync(includeStatic: true, cancellationToken).ConfigureAwait(false);
        var made = (await RelationshipsAsync(includeStatic: false, cancellationToken).ConfigureAwait(false)).Select(one => one.TrustDomain).ToHashSet(StringComparer.Ordinal);
        return [.. all.Select(wire => Read(wire, isStatic: !made.Contains(wire.TrustDomain)))];
    }

    public async Task CreateRelationshipAsync(FederationRelationship wanted, CancellationToken cancellationToken)
    {
        var response = await new TrustDomainApi.TrustDomainClient(channel).BatchCreateFederationRelationshipAsync(
            new BatchCreateFederationRelationshipRequest { FederationRelationship = { wanted } }, Options(cancellationToken));
        Check(response.Results.Select(result => result.Status));
    }

    public async Task UpdateRelationshipAsync(FederationRelationship wanted, FederationRelationshipMask mask, CancellationToken cancellationToken)
    {
        var response = await new TrustDomainApi.TrustDomainClient(channel).BatchUpdateFederationRelationshipAsync(
            new BatchUpdateFederationRelationshipRequest { FederationRelationships = { wanted }, InputMask = mask }, Options(cancellationToken));
        Check(response.Results.Select(result => result.Status));
    }

    public async Task DeleteRelationshipAsync(TrustDomain trustDomain, CancellationToken cancellationToken)
    {
        var response = await new TrustDomainApi.TrustDomainClient(channel).BatchDeleteFederationRelationshipAsync(
            new BatchDeleteFederationRelationshipRequest { TrustDomains = { trustDomain.Name } }, Options(cancellationToken));
        Check(response.Results.Select(result => result.Status));
    }

    /// <summary>Has the server fetch a bundle now.</summary>
    public async Task RefreshAsync(TrustDomain trustDomain, CancellationToken cancellationToken) =>
        await new TrustDomainApi.TrustDomainClient(channel).RefreshBundleAsync(new RefreshBundleRequest { TrustDomain = trustDomain.Name }, Options(cancellationToken));

    private async Task<IReadOnlyList<FederationRelationship>> RelationshipsAsync(bool includeStatic, CancellationToken cancellationToken)
    {
        var relationships = new List<FederationRelationship>();
        var request = new ListFederationRelationshipsRequest { PageSize = Page, IncludeStatic = includeStatic };
        do
        {
            var response = await new TrustDomainApi.TrustDomainClient(channel).ListFederationRelationshipsAsync(request, Options(cancellationToken));
            relationships.AddRange(response.FederationRelationships);
            request.PageToken = response.NextPageToken;
        }
        while (request.PageToken.Length > 0);

        return relationships;
    }

    private static SpiffeBundle Read(Rpc.Wire.Spire.Types.Bundle wire) => SpireMapping.TryReadWhole(wire, out var bundle, out var problem) ? bundle : throw Broken(problem);

    private static ListedRelationship Read(FederationRelationship wire, bool isStatic) => TrustDomain.TryParse(wire.TrustDomain, out var trustDomain, out var problem)
        ? new ListedRelationship(trustDomain, wire.BundleEndpointUrl, wire.HttpsSpiffe?.EndpointSpiffeId, isStatic)
        : throw Broken(problem);

    private static void Check(IEnumerable<Rpc.Wire.Spire.Types.Status> statuses)
    {
        var status = statuses.SingleOrDefault() ?? throw Broken("the server did not answer for the one that was asked for");
        if (status.Code != (int)StatusCode.OK)
        {
            throw new RpcException(new Grpc.Core.Status((StatusCode)status.Code, status.Message));
        }
    }
}
