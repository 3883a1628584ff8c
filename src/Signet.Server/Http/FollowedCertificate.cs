using System.Collections.Immutable;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Files;
using Signet.Identity.X509;

namespace Signet.Server.Http;

/// <summary>
/// A certificate of the public web from files that somebody else renews. They are read again when they change; what does not hold (a new certificate
/// beside the old key, half a file) leaves the last good one in use. Thread-safe.
/// </summary>
internal sealed class FollowedCertificate : IAsyncDisposable
{
    private readonly ILogger _log;
    private readonly FileSetWatch _watch;
    private SslStreamCertificateContext _current;

    /// <exception cref="PlaceException">The files can't be read, or don't hold a certificate and its key.</exception>
    public FollowedCertificate(CertificateFiles files, TimeProvider time, ILogger log)
    {
        _log = log;
        var set = FileSet.Of(files.Certificate, files.Key);
        _current = TryRead(set.Read(), out var first, out var problem) ? first : throw new PlaceException("file", files.Certificate, problem);
        _watch = FileSetWatch.Start(set, Take, time, log);
    }

    /// <summary>What to present now.</summary>
    public SslStreamCertificateContext Current => Volatile.Read(ref _current);

    public ValueTask DisposeAsync() => _watch.DisposeAsync();

    private void Take(ImmutableArray<WatchedFile> files)
    {
        if (TryRead(files, out var next, out var problem))
        {
            Volatile.Write(ref _current, next);
            _log.WebCertificateTaken(files[0].Path, new DateTimeOffset(next.TargetCertificate.NotAfter.ToUniversalTime()));
        }
        else
        {
            _log.WebCertificateRefused(files[0].Path, problem);
        }
    }

    private static bool TryRead(ImmutableArray<WatchedFile> files, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out SslStreamCertificateContext? context, out string problem)
    {
        context = null;
        if (!Pem.TryReadCertificates(files[0].Text, out var chain, out problem))
        {
            return false;
        }

        if (!Pem.TryReadPrivateKey(files[1].Text, out var key, out problem))
        {
            problem = $"can't be used: {files[1].Path}: {problem}";
            return false;
        }

        using (key)
        {
            if (!chain[0].SubjectPublicKeyInfo.Span.SequenceEqual(KeyPair.ExportPublicKey(key)))
            {
                problem = $"can't be used: the key in {files[1].Path} is not that of the first certificate";
                return false;
            }

            if (key is not (ECDsa or RSA))
            {
                problem = $"can't be used: the key in {files[1].Path} is an Ed25519 key, which browsers and this endpoint do not take; use an EC or RSA key";
                return false;
            }

            using var bare = X509CertificateLoader.LoadCertificate(chain[0].Der.Span);
            var leaf = key is ECDsa ec ? bare.CopyWithPrivateKey(ec) : bare.CopyWithPrivateKey((RSA)key);
            context = SslStreamCertificateContext.Create(leaf, [.. chain.Skip(1).Select(one => X509CertificateLoader.LoadCertificate(one.Der.Span))], offline: true);
            return true;
        }
    }
}
