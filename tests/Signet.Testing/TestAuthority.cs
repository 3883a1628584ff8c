using System.Security.Cryptography;
using Signet.Client;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;

namespace Signet.Testing;

/// <summary>
/// A trust domain of a test: an anchor, an issuing authority below it, and as many SVIDs as wanted, all in memory. Thread-safe.
/// </summary>
public sealed class TestAuthority
{
    private static readonly TimeSpan Life = TimeSpan.FromHours(1);

    private readonly AsymmetricAlgorithm _issuingKey = KeyPair.Generate(KeyType.EcP256);
    private readonly DateTimeOffset _now;

    /// <param name="now">The middle of every lifetime that is not given.</param>
    /// <param name="trustDomain">Whose authority it is.</param>
    public TestAuthority(DateTimeOffset now, string trustDomain = "example.org")
    {
        _now = now;
        TrustDomain = TrustDomain.Parse(trustDomain);
        var anchorKey = KeyPair.Generate(KeyType.EcP256);
        Anchor = CertificateTemplate.Authority(TrustDomain, KeyPair.ExportPublicKey(anchorKey), now.AddDays(-100), now.AddDays(100), "anchor").SignSelf(anchorKey);
        Issuing = CertificateTemplate.Authority(TrustDomain, KeyPair.ExportPublicKey(_issuingKey), now.AddDays(-50), now.AddDays(50), "issuing", pathLength: 0).Sign(Anchor, anchorKey);
    }

    public TrustDomain TrustDomain { get; }

    /// <summary>The root, in the bundle.</summary>
    public Certificate Anchor { get; }

    /// <summary>The intermediate, in every chain.</summary>
    public Certificate Issuing { get; }

    public X509Bundle Bundle => X509Bundle.Create(TrustDomain, [Anchor]);

    /// <summary>A new key and SVID; valid from an hour before to an hour after now unless said otherwise.</summary>
    /// <param name="path">As <c>/ns/default/sa/web</c>.</param>
    /// <param name="notBefore">The first second.</param>
    /// <param name="notAfter">The last second.</param>
    /// <param name="keyType">The kind of its key.</param>
    /// <param name="dnsNames">Names beside its ID.</param>
    public X509Svid Svid(string path, DateTimeOffset? notBefore = null, DateTimeOffset? notAfter = null, KeyType keyType = KeyType.EcP256, params string[] dnsNames)
    {
        var key = KeyPair.Generate(keyType);
        var leaf = CertificateTemplate
            .Leaf(SpiffeId.Of(TrustDomain, path), KeyPair.ExportPublicKey(key), notBefore ?? _now - Life, notAfter ?? _now + Life, dnsNames)
            .Sign(Issuing, _issuingKey);
        return X509Svid.TryCreate([leaf, Issuing], key, hint: null, out var svid, out var problem) ? svid : throw new InvalidOperationException(problem);
    }

    /// <summary>The chain of an SVID whose key is elsewhere.</summary>
    public IReadOnlyList<Certificate> Sign(SpiffeId id, ReadOnlyMemory<byte> publicKey, DateTimeOffset notBefore, DateTimeOffset notAfter) =>
        [CertificateTemplate.Leaf(id, publicKey, notBefore, notAfter).Sign(Issuing, _issuingKey), Issuing];

    /// <summary>What the issuing authority says of a certificate (OCSP), in DER.</summary>
    public byte[] Say(Certificate leaf, OcspStatus status, DateTimeOffset from, DateTimeOffset until) => OcspResponse.Sign(
        Issuing, _issuingKey, from, [new OcspAnswer(OcspCertificateId.Of(Issuing, leaf.SerialHex, HashAlgorithmName.SHA1), status, from, until)]);

    /// <summary>The issuing authority's revocation list.</summary>
    public CertificateRevocationList Revoke(params Certificate[] certificates) => CertificateRevocationList.Sign(Issuing, _issuingKey, _now.AddHours(-1), _now.AddDays(1), 1, certificates);

    /// <summary>An SVID below an authority that the issuing one had no right to make: its path length is 0.</summary>
    public X509Svid SvidBelowAnotherAuthority(string path)
    {
        var (authorityKey, key) = (KeyPair.Generate(KeyType.EcP256), KeyPair.Generate(KeyType.EcP256));
        var authority = CertificateTemplate
            .Authority(TrustDomain, KeyPair.ExportPublicKey(authorityKey), _now - Life, _now + Life, "usurper")
            .Sign(Issuing, _issuingKey);
        var leaf = CertificateTemplate.Leaf(SpiffeId.Of(TrustDomain, path), KeyPair.ExportPublicKey(key), _now - Life, _now + Life).Sign(authority, authorityKey);
        return X509Svid.TryCreate([leaf, authority, Issuing], key, hint: null, out var svid, out var problem) ? svid : throw new InvalidOperationException(problem);
    }

    /// <summary>An SVID with the bundles that its holder believes: the own one, and others'.</summary>
    public X509Context Context(X509Svid svid, params TestAuthority[] others) =>
        new([svid], TrustBundles.Of([Bundle, .. others.Select(other => other.Bundle)]));

    /// <inheritdoc cref="Svid"/>
    public X509Context Context(string path) => Context(Svid(path));
}

/// <summary>An identity that changes when the test says so.</summary>
public sealed class TestIdentity(X509Context? first = null) : IX509Source
{
    private readonly List<Action> _callbacks = [];
    private X509Context? _current = first;

    public X509Context? Current => Volatile.Read(ref _current);

    public string? Problem => Current is null ? "the test gave none" : null;

    /// <summary>Rotates, withdraws (null) or gives back.</summary>
    public void Publish(X509Context? context)
    {
        Volatile.Write(ref _current, context);
        Action[] callbacks;
        lock (_callbacks)
        {
            callbacks = [.. _callbacks];
        }

        foreach (var callback in callbacks)
        {
            callback();
        }
    }

    public async Task<X509Context> WaitAsync(CancellationToken cancellationToken)
    {
        var given = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var subscription = OnChange(() => given.TrySetResult());
        if (Current is null)
        {
            await given.Task.WaitAsync(cancellationToken);
        }

        return Current!;
    }

    public IDisposable OnChange(Action changed)
    {
        lock (_callbacks)
        {
            _callbacks.Add(changed);
        }

        return new Subscription(this, changed);
    }

    private sealed class Subscription(TestIdentity owner, Action changed) : IDisposable
    {
        public void Dispose()
        {
            lock (owner._callbacks)
            {
                owner._callbacks.Remove(changed);
            }
        }
    }
}
