using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Hosting.Acme;
using Signet.Hosting.Daemons;
using Signet.Server.Federation;
using Signet.Server.Upkeep;

namespace Signet.Server.Http;

/// <summary>The HTTPS listener with all that the configuration publishes on it; nothing when it publishes nothing.</summary>
internal sealed class Publisher : IAsyncDisposable
{
    private readonly FollowedCertificate? _followed;
    private readonly AcmeCertificate? _ordered;

    private Publisher(PublicEndpoint endpoint, FollowedCertificate? followed, AcmeCertificate? ordered)
    {
        (Endpoint, _followed, _ordered) = (endpoint, followed, ordered);
        Parts = ordered is null ? [endpoint] : [endpoint, new BackgroundPart("certificate of the web", ordered.RunAsync)];
    }

    public PublicEndpoint Endpoint { get; }

    /// <summary>What to start, in this order: the listener proves the names that its certificate is ordered for.</summary>
    public IReadOnlyList<IDaemonPart> Parts { get; }

    /// <exception cref="Hosting.Files.PlaceException">The files of the certificate can't be used.</exception>
    public static Publisher? Create(
        ServerConfig config, ServerIdentity identity, PublishedBundle bundle, AuthorityRotation authorities, TimeProvider time, Func<double> chance, ILoggerFactory logs)
    {
        if (config.Http is not { } http)
        {
            return null;
        }

        var followed = http.Files is { } files ? new FollowedCertificate(files, time, logs.CreateLogger<FollowedCertificate>()) : null;
        var ordered = http.Acme is { } acme ? new AcmeCertificate(acme, Path.Combine(config.DataDir, "acme"), time, chance, logs.CreateLogger<AcmeCertificate>()) : null;
        var endpoint = new PublicEndpoint(
            http.Listen, () => ordered is not null ? ordered.Current : followed?.Current ?? identity.Current.Context, ordered?.Challenges, Routes(config, bundle, authorities), time, logs);
        return new Publisher(endpoint, followed, ordered);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var part in Parts.OfType<IAsyncDisposable>())
        {
            await part.DisposeAsync().ConfigureAwait(false);
        }

        _ordered?.Dispose();
        if (_followed is not null)
        {
            await _followed.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static IEnumerable<PublicRoute> Routes(ServerConfig config, PublishedBundle bundle, AuthorityRotation authorities)
    {
        if (config.Federation.ServesBundle)
        {
            // The root is where readers look that were told a host only.
            yield return new PublicRoute("/", BundleAsync);
            yield return new PublicRoute("/bundle", BundleAsync);
        }

        if (config.JwtIssuer is { } issuer)
        {
            yield return new PublicRoute(OidcDocuments.DiscoveryPath, _ => Task.FromResult(PublicAnswer.Json(OidcDocuments.Discovery(issuer))));
            yield return new PublicRoute(OidcDocuments.KeysPath, _ => Task.FromResult(PublicAnswer.Json(authorities.Current.JwtBundle.ToWebJson(config.Authority.JwtAlgorithm))));
        }

        Task<PublicAnswer> BundleAsync(CancellationToken cancellationToken) => Task.FromResult(PublicAnswer.Json(bundle.Current.ToJson()));
    }
}
