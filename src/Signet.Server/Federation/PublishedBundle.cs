using System.Security.Cryptography;
using System.Text;
using Signet.Authority.Rotation;
using Signet.Identity.Jose;

namespace Signet.Server.Federation;

/// <summary>
/// The own trust domain's bundle as others get it: always the newest, under a sequence number that grows with every change of its keys, across
/// restarts too (SPIFFE Trust Domain and Bundle §4.1.1), and with the hint how often to look again. Thread-safe.
/// </summary>
public sealed class PublishedBundle(AuthorityRotation authorities, IPublicationStore store, TimeSpan refreshHint) : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);
    private (AuthoritySnapshot Of, SpiffeBundle Bundle)? _last;
    private Publication? _publication;

    /// <summary>The bundle as it is now.</summary>
    /// <exception cref="Storage.StoreException">The new sequence number could not be kept; without that nothing is published under it.</exception>
    public async Task<SpiffeBundle> CurrentAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var snapshot = authorities.Current;
            if (_last is not { } last || !ReferenceEquals(last.Of, snapshot))
            {
                var bundle = SpiffeBundle.Of(snapshot.Bundle, snapshot.JwtBundle);
                last = (snapshot, bundle.As(await SequenceOfAsync(bundle, cancellationToken).ConfigureAwait(false), refreshHint));
                _last = last;
            }

            return last.Bundle;
        }
        finally
        {
            _turn.Release();
        }
    }

    public void Dispose() => _turn.Dispose();

    private async Task<ulong> SequenceOfAsync(SpiffeBundle bundle, CancellationToken cancellationToken)
    {
        var digest = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(bundle.As(null, null).ToJson())));
        _publication ??= await store.LoadPublicationAsync(cancellationToken).ConfigureAwait(false);
        if (_publication?.Digest != digest)
        {
            var next = new Publication(digest, (_publication?.Sequence ?? 0) + 1);
            await store.SaveAsync(next, cancellationToken).ConfigureAwait(false);
            _publication = next;
        }

        return _publication!.Value.Sequence;
    }
}
