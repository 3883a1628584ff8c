using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Google.Protobuf;
using Grpc.Core;
using Signet.Client.Wire;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire.Spiffe;

namespace Signet.Client;

/// <summary>
/// The Workload API, call by call: nothing is cached and nothing is tried again. To have an identity that stays fresh use <see cref="X509Source"/>,
/// <see cref="JwtSource"/>, <see cref="X509BundleSource"/> and <see cref="JwtBundleSource"/>. Thread-safe; disposing cancels what is under way.
/// </summary>
/// <remarks>
/// Every call may throw <see cref="RpcException"/>: <see cref="StatusCode.PermissionDenied"/> when this process has no such identity,
/// <see cref="StatusCode.Unavailable"/> when the agent can't be reached or is starting, <see cref="StatusCode.InvalidArgument"/> when an argument is wrong;
/// and <see cref="WorkloadApiException"/> when the answer can't be used.
/// </remarks>
public sealed class WorkloadApiClient : IDisposable
{
    private readonly GrpcChannel _channel;
    private readonly SpiffeWorkloadAPI.SpiffeWorkloadAPIClient _api;

    /// <summary>Connects when the first call needs it.</summary>
    /// <param name="address">Where the Workload API is; <see cref="WorkloadApiAddress.TryFromEnvironment"/> finds it.</param>
    /// <param name="time">The clock.</param>
    public WorkloadApiClient(WorkloadApiAddress address, TimeProvider time)
    {
        _channel = WorkloadApi.Connect(address, time);
        _api = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(_channel);
    }

    /// <summary>This process's X.509-SVIDs and bundles as they are now (§5.2.1).</summary>
    public Task<X509Context> FetchX509Async(CancellationToken cancellationToken) => FirstAsync(WatchX509Async(cancellationToken));

    /// <summary>This process's X.509-SVIDs and bundles, and again after each change, until the stream breaks, which ends or throws. Each replaces the one before.</summary>
    public IAsyncEnumerable<X509Context> WatchX509Async(CancellationToken cancellationToken) => WatchAsync(
        options => _api.FetchX509SVID(new X509SVIDRequest(), options),
        message => X509ContextWire.TryRead(message, out var context, out var problem) ? context : throw new WorkloadApiException(problem),
        cancellationToken);

    /// <summary>The X.509 bundles that this process may use as they are now (§5.2.2).</summary>
    public Task<TrustBundles> FetchX509BundlesAsync(CancellationToken cancellationToken) => FirstAsync(WatchX509BundlesAsync(cancellationToken));

    /// <inheritdoc cref="WatchX509Async"/>
    public IAsyncEnumerable<TrustBundles> WatchX509BundlesAsync(CancellationToken cancellationToken) => WatchAsync(
        options => _api.FetchX509Bundles(new X509BundlesRequest(), options),
        message => X509ContextWire.TryRead(message, out var bundles, out var problem) ? bundles : throw new WorkloadApiException(problem),
        cancellationToken);

    /// <summary>The keys of JWT-SVIDs as they are now, by trust domain (§6.2.2).</summary>
    public Task<ImmutableDictionary<TrustDomain, JwtBundle>> FetchJwtBundlesAsync(CancellationToken cancellationToken) => FirstAsync(WatchJwtBundlesAsync(cancellationToken));

    /// <inheritdoc cref="WatchX509Async"/>
    public IAsyncEnumerable<ImmutableDictionary<TrustDomain, JwtBundle>> WatchJwtBundlesAsync(CancellationToken cancellationToken) => WatchAsync(
        options => _api.FetchJWTBundles(new JWTBundlesRequest(), options),
        message => JwtBundlesWire.TryRead(message, out var bundles, out var problem) ? bundles : throw new WorkloadApiException(problem),
        cancellationToken);

    /// <summary>Both halves of the bundles that this process may use as they are now, by name of the trust domain.</summary>
    public async Task<IReadOnlyList<SpiffeBundle>> FetchBundlesAsync(CancellationToken cancellationToken)
    {
        var x509 = await FetchX509BundlesAsync(cancellationToken).ConfigureAwait(false);
        var jwt = await FetchJwtBundlesAsync(cancellationToken).ConfigureAwait(false);
        return [.. x509.All.Select(bundle => bundle.TrustDomain).Union(jwt.Keys)
            .OrderBy(trustDomain => trustDomain.Name, StringComparer.Ordinal)
            .Select(trustDomain => SpiffeBundle.Of(x509.Find(trustDomain) ?? X509Bundle.Create(trustDomain, []), jwt.GetValueOrDefault(trustDomain) ?? JwtBundle.Empty(trustDomain)))];
    }

    /// <summary>Tokens of this process's identities for these audiences, the default identity first (§6.2.1). At least one.</summary>
    /// <param name="audiences">At least one; a token should be for one service.</param>
    /// <param name="id">Of this identity only; null asks for all.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<IReadOnlyList<FetchedJwt>> FetchJwtAsync(IReadOnlyList<string> audiences, SpiffeId? id, CancellationToken cancellationToken)
    {
        var request = new JWTSVIDRequest { SpiffeId = id?.Uri ?? "" };
        request.Audience.AddRange(audiences);
        var response = await _api.FetchJWTSVIDAsync(request, WorkloadApi.Options(cancellationToken)).ResponseAsync.ConfigureAwait(false);
        var fetched = response.Svids.Select(Read).ToList();
        return fetched.Count > 0 ? fetched : throw new WorkloadApiException("the Workload API answered without a token");
    }

    /// <summary>Has the Workload API verify a token (§6.2.3).</summary>
    /// <param name="audience">What the verifier is called.</param>
    /// <param name="token">What somebody sent.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="WorkloadApiException">The token is not believed; the message says why.</exception>
    public async Task<ValidatedJwt> ValidateJwtAsync(string audience, string token, CancellationToken cancellationToken)
    {
        ValidateJWTSVIDResponse response;
        try
        {
            var request = new ValidateJWTSVIDRequest { Audience = audience, Svid = token };
            response = await _api.ValidateJWTSVIDAsync(request, WorkloadApi.Options(cancellationToken)).ResponseAsync.ConfigureAwait(false);
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.InvalidArgument)
        {
            throw new WorkloadApiException(e.Status.Detail);
        }

        if (!SpiffeId.TryParse(response.SpiffeId, out var id, out var problem))
        {
            throw new WorkloadApiException($"the Workload API believes the token, but not whose it is: {problem}");
        }

        using var claims = JsonDocument.Parse(response.Claims is { } given ? JsonFormatter.Default.Format(given) : "{}");
        return new ValidatedJwt(id, claims.RootElement.Clone());
    }

    public void Dispose() => _channel.Dispose();

    private static async IAsyncEnumerable<TOut> WatchAsync<TWire, TOut>(
        Func<CallOptions, AsyncServerStreamingCall<TWire>> open, Func<TWire, TOut> read, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var call = open(WorkloadApi.Options(cancellationToken));
        await foreach (var message in call.ResponseStream.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            yield return read(message);
        }
    }

    private static async Task<T> FirstAsync<T>(IAsyncEnumerable<T> stream)
    {
        await foreach (var first in stream.ConfigureAwait(false))
        {
            return first;
        }

        throw new WorkloadApiException("the Workload API ended the stream without a word");
    }

    private static FetchedJwt Read(JWTSVID wire)
    {
        if (!CompactJws.TryParse(wire.Svid, out var token, out var problem))
        {
            throw new WorkloadApiException($"the Workload API answered what is no token: {problem}");
        }

        using (token)
        {
            return !JwtSvid.TryReadSubject(token, out var id, out problem) ? throw new WorkloadApiException($"the Workload API's token does not hold: {problem}")
                : id.Uri != wire.SpiffeId ? throw new WorkloadApiException($"the Workload API says {Printable.Of(wire.SpiffeId)}, but the token says {id}")
                : new FetchedJwt(id, wire.Svid, token.TryClaimTime("exp", out var expires) ? expires!.Value : default, wire.Hint.Length > 0 ? wire.Hint : null);
        }
    }
}
