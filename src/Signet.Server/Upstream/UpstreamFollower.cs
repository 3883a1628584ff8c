using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Hosting.Files;
using Signet.Identity.Spiffe;
using Signet.Server.Upkeep;

namespace Signet.Server.Upstream;

/// <summary>Follows the files of an issuing authority: a set that holds is installed, one that does not leaves the last good one in force and says why.</summary>
internal sealed class UpstreamFollower : IAsyncDisposable
{
    private readonly TrustDomain _trustDomain;
    private readonly AuthorityRotation _authorities;
    private readonly Acknowledgements _acknowledgements;
    private readonly ChangeSignal _bundleChanges;
    private readonly TimeProvider _time;
    private readonly ILogger<UpstreamFollower> _log;
    private readonly UpstreamConfig _config;
    private FileSetWatch? _watch;
    private ImmutableArray<WatchedFile> _installed;

    /// <summary>Begins to watch at the first turn: files that are being replaced just now are no reason not to start.</summary>
    public UpstreamFollower(
        UpstreamConfig config, TrustDomain trustDomain, AuthorityRotation authorities, Acknowledgements acknowledgements, ChangeSignal bundleChanges, TimeProvider time, ILogger<UpstreamFollower> log)
    {
        (_config, _trustDomain, _authorities, _acknowledgements, _bundleChanges, _time, _log) = (config, trustDomain, authorities, acknowledgements, bundleChanges, time, log);
    }

    /// <summary>What the files hold at the start; null when they can't be used, which is no reason not to start with what was installed before.</summary>
    public static ExternalIssuer? ReadFirst(UpstreamConfig config, TrustDomain trustDomain, TimeProvider time, ILogger log)
    {
        string problem;
        try
        {
            if (IssuerFiles.TryRead(IssuerFiles.Of(config).Read(), trustDomain, time.GetUtcNow(), out var issuer, out problem))
            {
                return issuer;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem = e.Message;
        }

        log.UpstreamRefused(problem);
        return null;
    }

    /// <summary>Installs what has changed. One owner turns it.</summary>
    /// <exception cref="KeyManagerException">What the files hold can't be used; the message says why. It is tried again.</exception>
    /// <exception cref="PlaceException">They can't be read.</exception>
    public async Task TurnAsync(CancellationToken cancellationToken)
    {
        _watch ??= FileSetWatch.Start(IssuerFiles.Of(_config), _ => { }, _time, _log);
        var files = _watch.Current;
        if (files == _installed)
        {
            return;
        }

        if (!IssuerFiles.TryRead(files, _trustDomain, _time.GetUtcNow(), out var issuer, out var problem))
        {
            throw new KeyManagerException(problem);
        }

        if (await _authorities.InstallAsync(issuer, cancellationToken).ConfigureAwait(false))
        {
            _log.UpstreamInstalled(issuer.Certificate.ToString(), issuer.Certificate.NotAfter, issuer.Anchors.Count);
            _acknowledgements.Published();
            _bundleChanges.Raise();
        }

        _installed = files;
    }

    public ValueTask DisposeAsync() => _watch?.DisposeAsync() ?? ValueTask.CompletedTask;
}
