using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Hosting.Files;
using Signet.Identity.Spiffe;

namespace Signet.Server.Upstream;

/// <summary>An issuing authority in files, followed: a set that holds is installed, one that does not leaves the last good one in force.</summary>
internal sealed class IssuerFolder(UpstreamConfig.Folder config, TrustDomain trustDomain, TimeProvider time, ILogger log) : IUpstream
{
    private FileSetWatch? _watch;
    private ImmutableArray<WatchedFile> _installed;

    public async Task TurnAsync(AuthorityLedger ledger, InstallIssuer install, CancellationToken cancellationToken)
    {
        // Begins to watch at the first turn: files that are being replaced just now are no reason not to start.
        _watch ??= FileSetWatch.Start(IssuerFiles.Of(config), _ => { }, time, log);
        var files = _watch.Current;
        if (files == _installed)
        {
            return;
        }

        if (!IssuerFiles.TryRead(files, trustDomain, time.GetUtcNow(), out var issuer, out var problem))
        {
            throw new KeyManagerException(problem);
        }

        await install(issuer, cancellationToken).ConfigureAwait(false);
        _installed = files;
    }

    public ValueTask DisposeAsync() => _watch?.DisposeAsync() ?? ValueTask.CompletedTask;
}
