using Microsoft.Extensions.Logging;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Hosting.Files;
using Signet.Server.Upkeep;

namespace Signet.Server.Upstream;

/// <summary>Follows what stands above the server, and tells everybody what came of it.</summary>
internal sealed class UpstreamFollower(
    IUpstream upstream, RevocationListFile? list, AuthorityRotation authorities, Acknowledgements acknowledgements, ChangeSignal bundleChanges, ILogger<UpstreamFollower> log) : IAsyncDisposable
{
    /// <summary>What the configuration names, not yet asked anything; null when the server makes its own authorities.</summary>
    public static IUpstream? Open(ServerConfig config, TimeProvider time, Func<double> chance, ILoggerFactory logs) => config.Upstream switch
    {
        UpstreamConfig.Folder folder => new IssuerFolder(folder, config.TrustDomain, time, logs.CreateLogger<IssuerFolder>()),
        UpstreamConfig.Signer signer => new SignerFiles(signer, config.Authority, time, logs.CreateLogger<SignerFiles>()),
        UpstreamConfig.Server server => new ServerAbove(server, config.Authority, time, chance, logs.CreateLogger<ServerAbove>()),
        _ => null,
    };

    /// <summary>What there is at the start; null when nothing new is, or it can't be had, which is no reason not to start with what was installed before.</summary>
    public static async Task<ExternalIssuer?> FirstAsync(IUpstream upstream, AuthorityLedger ledger, ILogger log, CancellationToken cancellationToken)
    {
        ExternalIssuer? first = null;
        try
        {
            await upstream.TurnAsync(ledger, Keep, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is KeyManagerException or PlaceException)
        {
            if (!ledger.Issuing.Any())
            {
                throw new KeyManagerException($"there is no issuing authority yet, and none can be had from upstream: {e.Message}", e);
            }

            log.UpstreamRefused(e.Message);
        }

        return first;

        Task Keep(ExternalIssuer issuer, CancellationToken stop)
        {
            first = issuer;
            return Task.CompletedTask;
        }
    }

    /// <summary>Installs what has changed. One owner turns it.</summary>
    /// <exception cref="KeyManagerException">What stands above can't be had or used; the message says why. It is tried again.</exception>
    /// <exception cref="PlaceException">Files can't be read.</exception>
    public Task TurnAsync(CancellationToken cancellationToken) => upstream.TurnAsync(authorities.Current.Ledger, InstallAsync, cancellationToken);

    /// <summary>Takes over what anchors revoked elsewhere. One owner turns it.</summary>
    /// <exception cref="AuthorityException">A list can't be taken over; the message says why. It is tried again.</exception>
    /// <exception cref="PlaceException">The file can't be read.</exception>
    public async Task TurnListAsync(CancellationToken cancellationToken)
    {
        if (list is not null && await list.TurnAsync(authorities, cancellationToken).ConfigureAwait(false))
        {
            Tell();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await upstream.DisposeAsync().ConfigureAwait(false);
        await (list?.DisposeAsync() ?? ValueTask.CompletedTask).ConfigureAwait(false);
    }

    private async Task InstallAsync(ExternalIssuer issuer, CancellationToken cancellationToken)
    {
        if (await authorities.InstallAsync(issuer, cancellationToken).ConfigureAwait(false))
        {
            log.UpstreamInstalled(issuer.Certificate.ToString(), issuer.Certificate.NotAfter, issuer.Anchors.Count);
            Tell();
        }
    }

    private void Tell()
    {
        acknowledgements.Published();
        bundleChanges.Raise();
    }
}
