using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Spiffe;
using Status = Grpc.Core.Status;

namespace Signet.Agent.WorkloadApi;

/// <summary>The JWT profile (Workload API §6).</summary>
internal sealed partial class WorkloadApiService
{
    public override async Task<JWTSVIDResponse> FetchJWTSVID(JWTSVIDRequest request, ServerCallContext context)
    {
        if (!JwtSvid.TryCheckAudiences(request.Audience, out var problem))
        {
            throw Invalid(problem);
        }

        SpiffeId? wanted = null;
        if (request.SpiffeId.Length > 0 && !SpiffeId.TryParse(request.SpiffeId, out wanted, out problem))
        {
            throw Invalid(problem);
        }

        // Without an ID, a token of each identity (Workload API §6.2.1); with one, of that or of none.
        var matching = subjects.Of(context).Now().Matching.Where(entry => wanted is null || entry.SpiffeId == wanted).ToList();
        if (matching.Count == 0)
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, $"no identity issued with the SPIFFE ID {wanted}"));
        }

        var response = new JWTSVIDResponse();
        var hints = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in matching)
        {
            var held = await tokens.GetAsync(entry, request.Audience, context.CancellationToken).ConfigureAwait(false);
            response.Svids.Add(new JWTSVID { SpiffeId = entry.SpiffeId.Uri, Svid = held.Token, Hint = entry.Hint.Length > 0 && hints.Add(entry.Hint) ? entry.Hint : "" });
        }

        return response;
    }

    public override Task FetchJWTBundles(JWTBundlesRequest request, IServerStreamWriter<JWTBundlesResponse> responseStream, ServerCallContext context) =>
        subjects.Of(context).FollowAsync(
            entitlement => new Fingerprint(string.Join('\n', JwtBundles(entitlement).Select(bundle => string.Join(',', bundle.Authorities.Select(key => key.KeyId).Prepend(bundle.TrustDomain.Name))))),
            entitlement => responseStream.WriteAsync(JwtBundlesOf(entitlement), context.CancellationToken),
            context.CancellationToken);

    /// <summary>The whole of what there is of keys.</summary>
    internal static JWTBundlesResponse JwtBundlesOf(Entitlement entitlement)
    {
        var response = new JWTBundlesResponse();
        foreach (var bundle in JwtBundles(entitlement))
        {
            response.Bundles[bundle.TrustDomain.IdString] = ByteString.CopyFromUtf8(bundle.ToJson());
        }

        return response;
    }

    public override Task<ValidateJWTSVIDResponse> ValidateJWTSVID(ValidateJWTSVIDRequest request, ServerCallContext context)
    {
        if (request.Audience.Length == 0 || request.Svid.Length == 0)
        {
            throw Invalid("audience and svid must not be empty");
        }

        var trusted = JwtBundles(subjects.Of(context).Now()).ToDictionary(bundle => bundle.TrustDomain);
        var verdict = JwtSvidVerifier.Verify(request.Svid, trusted.GetValueOrDefault, request.Audience, time.GetUtcNow());
        return verdict.IsTrusted
            ? Task.FromResult(new ValidateJWTSVIDResponse { SpiffeId = verdict.Id!.Uri, Claims = Struct.Parser.ParseJson(verdict.Claims.GetRawText()) })
            : throw Invalid(verdict.Reason);
    }

    /// <summary>The own trust domain's keys first, then those of the domains that the entries federate with.</summary>
    private static IEnumerable<JwtBundle> JwtBundles(Entitlement entitlement) =>
        entitlement.Matching
            .SelectMany(entry => entry.FederatesWith)
            .Prepend(entitlement.Matching[0].SpiffeId.TrustDomain)
            .Distinct()
            .Select(entitlement.Snapshot.View.JwtBundles.GetValueOrDefault)
            .OfType<JwtBundle>();

    private static RpcException Invalid(string problem) => new(new Status(StatusCode.InvalidArgument, problem));
}
