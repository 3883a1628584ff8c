using System.Collections.Concurrent;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Signet.Hosting.Acme;

/// <summary>
/// Open tls-alpn-01 challenges (RFC 8737): the authority connects to the name, offers only <c>acme-tls/1</c>, and must be shown a certificate made for the
/// occasion. Whoever terminates TLS asks here for those who offer that, and for nobody else. Thread-safe.
/// </summary>
public sealed class TlsAlpnChallenges
{
    /// <summary>The challenge's type on the wire.</summary>
    public const string Type = "tls-alpn-01";

    /// <summary>id-pe-acmeIdentifier (RFC 8737 §3).</summary>
    private const string AcmeIdentifier = "1.3.6.1.5.5.7.1.31";

    private readonly ConcurrentDictionary<string, SslStreamCertificateContext> _open = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>What the authority offers by ALPN.</summary>
    public static SslApplicationProtocol Protocol { get; } = new("acme-tls/1");

    /// <summary>Whether nobody is to be let in by a challenge now.</summary>
    public bool IsEmpty => _open.IsEmpty;

    /// <summary>What to present to whoever offered the protocol for this name; null when no challenge is open for it.</summary>
    public SslStreamCertificateContext? Find(string name) => _open.GetValueOrDefault(name);

    /// <summary>Opens a challenge until it is disposed.</summary>
    /// <param name="name">The DNS name.</param>
    /// <param name="keyAuthorization">What the certificate must prove to know.</param>
    public IDisposable Open(string name, string keyAuthorization)
    {
        // Dates far around now, since the authority looks at none.
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        var digest = SHA256.HashData(Encoding.ASCII.GetBytes(keyAuthorization));
        request.CertificateExtensions.Add(new X509Extension(AcmeIdentifier, [0x04, (byte)digest.Length, .. digest], critical: true));
        var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        _open[name] = SslStreamCertificateContext.Create(certificate, additionalCertificates: null, offline: true);
        return new Closing(() => _open.TryRemove(name, out _));
    }

    private sealed class Closing(Action close) : IDisposable
    {
        public void Dispose() => close();
    }
}
