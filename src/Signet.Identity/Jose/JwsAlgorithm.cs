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

    /// <summary>The names of all of them.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(one => one.Name)];

    /// <summary>The algorithm of that name, or null.</summary>
    public static JwsAlgorithm? Find(string? name) => Array.Find(All, one => one.Name == name);

    /// <summary>The type of key that goes with it.</summary>
    /// <param name="usual">Taken when it fits: RSA keys of any size do for the RSA algorithms.</param>
    public KeyType KeyType(KeyType usual) => CurveBits switch
    {
        256 => X509.KeyType.EcP256,
        384 => X509.KeyType.EcP384,
        521 => X509.KeyType.EcP521,
        _ => usual is X509.KeyType.Rsa2048 or X509.KeyType.Rsa4096 ? usual : X509.KeyType.Rsa2048,
    };

    /// <summary>The algorithm that the private half of a key signs with here.</summary>
    /// <param name="key">The key.</param>
    /// <param name="wished">Taken when it goes with the key. Otherwise it is the curve's own, or RS256.</param>
    /// <exception cref="CryptographicException">The key is of a kind that has none.</exception>
    internal static JwsAlgorithm Of(PublicKey key, JwsAlgorithm? wished = null) =>
        wished?.GoesWith(key) == true ? wished : Array.Find(All, one => one.GoesWith(key)) ?? throw new CryptographicException("a key of this kind can't sign tokens");

    internal bool GoesWith(PublicKey key) => Signature.KeyKind == key.Kind && (CurveBits == 0 || CurveBits == key.Size);

    private static JwsAlgorithm Ec(string name, HashAlgorithmName hash, int curveBits) => new(name, SignatureAlgorithm.OfToken(name, PublicKeyKind.Ec, hash, null), curveBits);

    private static JwsAlgorithm Rsa(string name, HashAlgorithmName hash, RSASignaturePadding padding) => new(name, SignatureAlgorithm.OfToken(name, PublicKeyKind.Rsa, hash, padding), 0);
}
