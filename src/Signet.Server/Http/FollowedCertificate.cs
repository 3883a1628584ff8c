using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Acme;
using Signet.Hosting.Files;

namespace Signet.Server.Http;

/// <summary>
/// A certificate of the public web from files that somebody else renews. They are read again when they change; what does not hold (a new certificate
/// beside the old key, half a file) leaves the last good one in use. Thread-safe.
/// </summary>
internal sealed class FollowedCertificate : IAsyncDisposable
{
    private readonly ILogger _log;
    private readonly FileSetWatch _watch;
    private WebCertificate _current;

    /// <exception cref="PlaceException">The files can't be read, or don't hold a certificate and its key.</exception>
    public FollowedCertificate(CertificateFiles files, TimeProvider time, ILogger log)
    {
        _log = log;
        var set = FileSet.Of(files.Certificate, files.Key);
        _current = TryRead(set.Read(), out var first, out var problem) ? first : throw new PlaceException("file", files.Certificate, problem);
        _watch = FileSetWatch.Start(set, Take, time, log);
    }

    /// <summary>What to present now.</summary>
    public SslStreamCertificateContext Current => Volatile.Read(ref _current).Context;

    public ValueTask DisposeAsync() => _watch.DisposeAsync();

    private void Take(ImmutableArray<WatchedFile> files)
    {
        if (TryRead(files, out var next, out var problem))
        {
            Volatile.Write(ref _current, next);
            _log.WebCertificateTaken(files[0].Path, next.Leaf.NotAfter);
        }
        else
        {
            _log.WebCertificateRefused(files[0].Path, problem);
        }
    }

    private static bool TryRead(ImmutableArray<WatchedFile> files, [NotNullWhen(true)] out WebCertificate? certificate, out string problem) =>
        WebCertificate.TryRead(files[0].Text, files[1].Text, files[1].Path, out certificate, out problem);
}
