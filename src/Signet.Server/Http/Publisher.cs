using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Server.Federation;
using Signet.Server.Upkeep;

namespace Signet.Server.Http;

/// <summary>The HTTPS listener with all that the configuration publishes on it; nothing when it publishes nothing.</summary>
internal sealed class Publisher : IAsyncDisposable
{
    private readonly FollowedCertificate? _certificate;

    private Publisher(PublicEndpoint endpoint, FollowedCertificate? certificate) => (Endpoint, _certificate) = (endpoint, certificate);

    public PublicEndpoint Endpoint { get; }

    /// <exception cref="Hosting.Files.PlaceException">The files of the certificate can't be used.</exception>
    public static Publisher? Create(ServerConfig config, ServerIdentity identity, PublishedBundle bundle, AuthorityRotation authorities, TimeProvider time, ILoggerFactory logs)
    {
        if (config.Http is not { } http)
        {
            return null;
        }

        var certificate = http.Files is { } files ? new FollowedCertificate(files, time, logs.CreateLogger<FollowedCertificate>()) : null;
        var endpoint = new PublicEndpoint(http.Listen, () => certificate?.Current ?? identity.Current.Context, Routes(config, bundle, authorities), logs);
        return new Publisher(endpoint, certificate);
    }

    public async ValueTask DisposeAsync()
    {
        await Endpoint.DisposeAsync().ConfigureAwait(false);
        if (_certificate is not null)
        {
            await _certificate.DisposeAsync().ConfigureAwait(false);
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
