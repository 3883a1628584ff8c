using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Hosting.Files;
using Signet.Identity.X509.Revocation;

namespace Signet.Server.Upstream;

/// <summary>
/// Revocation lists of anchors whose keys are elsewhere, in one PEM file that is followed. There need not be one; one that goes away or does not hold leaves
/// what was revoked before revoked. One owner turns it.
/// </summary>
internal sealed class RevocationListFile(string path, TimeProvider time, ILogger log) : IAsyncDisposable
{
    private FileSetWatch? _watch;
    private ImmutableArray<WatchedFile> _taken;

    /// <summary>Takes over what is new.</summary>
    /// <returns>Whether there was anything.</returns>
    /// <exception cref="AuthorityException">A list can't be taken over; the message says why. It is tried again.</exception>
    /// <exception cref="PlaceException">The file can't be read.</exception>
    public async Task<bool> TurnAsync(AuthorityRotation authorities, CancellationToken cancellationToken)
    {
        if (_watch is null && !File.Exists(path))
        {
            return false;
        }

        _watch ??= FileSetWatch.Start(FileSet.Of(path), _ => { }, time, log);
        var files = _watch.Current;
        if (files == _taken)
        {
            return false;
        }

        if (!CertificateRevocationList.TryReadPem(files[0].Text, out var lists, out var problem))
        {
            throw new AuthorityException($"{path}: {problem}");
        }

        var any = false;
        foreach (var list in lists)
        {
            any |= await TakeAsync(authorities, list, cancellationToken).ConfigureAwait(false);
        }

        _taken = files;
        return any;
    }

    public ValueTask DisposeAsync() => _watch?.DisposeAsync() ?? ValueTask.CompletedTask;

    private async Task<bool> TakeAsync(AuthorityRotation authorities, CertificateRevocationList list, CancellationToken cancellationToken)
    {
        try
        {
            if (await authorities.TakeListAsync(list, cancellationToken).ConfigureAwait(false) is not { } revoked)
            {
                return false;
            }

            log.RevocationListTaken(list.NumberHex, list.NextUpdate, revoked.Count, string.Join(", ", revoked.Select(authority => authority.Id)));
            return true;
        }
        catch (AuthorityException e)
        {
            throw new AuthorityException($"the revocation list in {path} is not taken over: {e.Message}");
        }
    }
}
