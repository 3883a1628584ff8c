using System.Security.Cryptography;
using Signet.Identity.X509;

namespace Signet.Identity.Jose;

/// <summary>
/// The algorithms that tokens may be signed with: those of RFC 7518 §3.1 that have a public key, which are those of JWT-SVID §2.1. What is not
/// here (<c>none</c>, <c>HS256</c>) is never accepted.
/// </summary>
public sealed class JwsAlgorithm
{
    private static readonly JwsAlgorithm[] All =
    [
        Ec("ES256", HashAlgorithmName.SHA256, 256), Ec("ES384", HashAlgorithmName.SHA384, 384), Ec("ES512", HashAlgorithmName.SHA512, 521),
        Rsa("RS256", HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1), Rsa("RS384", HashAlgorithmName.SHA384, RSASignaturePadding.Pkcs1),
        Rsa("RS512", HashAlgorithmName.SHA512, RSASignaturePadding.Pkcs1), Rsa("PS256", HashAlgorithmName.SHA256, RSASignaturePadding.Pss),
        Rsa("PS384", HashAlgorithmName.SHA384, RSASignaturePadding.Pss), Rsa("PS512", HashAlgorithmName.SHA512, RSASignaturePadding.Pss),
    ];

    private JwsAlgorithm(string name, SignatureAlgorithm signature, int curveBits) => (Name, Signature, CurveBits) = (name, signature, curveBits);

    /// <summary>The <c>alg</c>.</summary>
    public string Name { get; }

    internal SignatureAlgorithm Signature { get; }

    /// <summary>The size of the curve that goes with it (RFC 7518 §3.4); 0 for RSA.</summary>
    internal int CurveBits { get; }

    /// <summary>The algorithm of that name, or null.</summary>
    public static JwsAlgorithm? Find(string? name) => Array.Find(All, one => one.Name == name);

    /// <summary>The algorithm that Signet signs with under a key.</summary>
    /// <exception cref="CryptographicException">The key is of a kind that has none.</exception>
    internal static JwsAlgorithm For(AsymmetricAlgorithm key) =>
        Array.Find(All, one => key is RSA ? one.Name == "RS256" : key is ECDsa ec && one.CurveBits == ec.KeySize) ?? throw new CryptographicException("a key of this kind can't sign tokens");

    /// <summary>The algorithm that the private half of a key signs with here.</summary>
    /// <exception cref="CryptographicException">The key is of a kind that has none.</exception>
    internal static JwsAlgorithm Of(PublicKey key) =>
        Array.Find(All, one => key.Kind == PublicKeyKind.Rsa ? one.Name == "RS256" : key.Kind == PublicKeyKind.Ec && one.CurveBits == key.Size) ?? throw new CryptographicException("a key of this kind can't sign tokens");

    private static JwsAlgorithm Ec(string name, HashAlgorithmName hash, int curveBits) => new(name, SignatureAlgorithm.OfToken(name, PublicKeyKind.Ec, hash, null), curveBits);

    private static JwsAlgorithm Rsa(string name, HashAlgorithmName hash, RSASignaturePadding padding) => new(name, SignatureAlgorithm.OfToken(name, PublicKeyKind.Rsa, hash, padding), 0);
}
