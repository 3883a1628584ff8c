using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Signet.Identity.X509;

/// <summary>The kinds of keys that Signet makes.</summary>
public enum KeyType
{
    EcP256,
    EcP384,
    Rsa2048,
    Rsa4096,
    Ed25519,
}

/// <summary>
/// The names of key types as configuration writes them: <c>ec-p256</c>, <c>ec-p384</c>, <c>rsa-2048</c>, <c>rsa-4096</c>, and <c>ed25519</c> for what
/// is not an authority.
/// </summary>
public static class KeyTypes
{
    private static readonly string[] Names = ["ec-p256", "ec-p384", "rsa-2048", "rsa-4096", "ed25519"];

    public static bool TryParse(string? text, out KeyType keyType, out string problem)
    {
        var index = Array.IndexOf(Names, text);
        keyType = (KeyType)Math.Max(index, 0);
        problem = index >= 0 ? "" : $"key type \"{Spiffe.Printable.Of(text)}\" is unknown; write one of {string.Join(", ", Names)}";
        return index >= 0;
    }

    /// <summary>Like <see cref="TryParse"/>, for keys that sign certificates and tokens: every relying party can check those of EC and RSA.</summary>
    public static bool TryParseAuthority(string? text, out KeyType keyType, out string problem)
    {
        if (TryParse(text, out keyType, out problem) && keyType == KeyType.Ed25519)
        {
            problem = $"an authority cannot have a key of type {Names[(int)KeyType.Ed25519]}; write one of {string.Join(", ", Names[..(int)KeyType.Ed25519])}";
        }

        return problem.Length == 0;
    }

    /// <summary>The type of an encoded <c>SubjectPublicKeyInfo</c>; null for a key that is none of these types.</summary>
    public static KeyType? Of(ReadOnlyMemory<byte> subjectPublicKeyInfo)
    {
        try
        {
            var key = PublicKey.Read(subjectPublicKeyInfo);
            return (key.Kind, key.Size) switch
            {
                (PublicKeyKind.Ec, 256) => KeyType.EcP256,
                (PublicKeyKind.Ec, 384) => KeyType.EcP384,
                (PublicKeyKind.Rsa, 2048) => KeyType.Rsa2048,
                (PublicKeyKind.Rsa, 4096) => KeyType.Rsa4096,
                (PublicKeyKind.Ed25519, _) => KeyType.Ed25519,
                _ => null,
            };
        }
        catch (System.Formats.Asn1.AsnContentException)
        {
            return null;
        }
    }

    public static string Name(this KeyType keyType) => Names[(int)keyType];
}

/// <summary>Making, exporting and importing key pairs. Every key that is imported is as strong as a certificate's must be.</summary>
public static class KeyPair
{
    /// <summary>The longest PKCS#8 encoding that is read, in bytes.</summary>
    public const int MaxLength = 16 * 1024;

    /// <summary>A new key pair; the caller disposes it.</summary>
    /// <exception cref="CryptographicException">This machine cannot make such a key (<see cref="Ed25519Key.Problem"/>).</exception>
    public static AsymmetricAlgorithm Generate(KeyType keyType) => keyType switch
    {
        KeyType.EcP256 => ECDsa.Create(ECCurve.NamedCurves.nistP256),
        KeyType.EcP384 => ECDsa.Create(ECCurve.NamedCurves.nistP384),
        KeyType.Rsa2048 => RSA.Create(2048),
        KeyType.Rsa4096 => RSA.Create(4096),
        KeyType.Ed25519 => Ed25519Key.Generate(),
        _ => throw new ArgumentOutOfRangeException(nameof(keyType)),
    };

    /// <summary>The private key, unencrypted; the caller keeps it secret and clears it.</summary>
    /// <exception cref="CryptographicException">The key cannot leave where it lives.</exception>
    public static byte[] ExportPkcs8(AsymmetricAlgorithm key) => key.ExportPkcs8PrivateKey();

    /// <summary>The public half as <c>SubjectPublicKeyInfo</c>.</summary>
    public static byte[] ExportPublicKey(AsymmetricAlgorithm key) => key.ExportSubjectPublicKeyInfo();

    /// <summary>Reads an unencrypted PKCS#8 key of a kind that Signet trusts. Never throws; the caller disposes the key.</summary>
    public static bool TryImportPkcs8(ReadOnlyMemory<byte> pkcs8, [NotNullWhen(true)] out AsymmetricAlgorithm? key, out string problem)
    {
        if (pkcs8.Length > MaxLength || !Ed25519Key.IsPkcs8(pkcs8.Span))
        {
            return TryImportOfPlatform(pkcs8, out key, out problem);
        }

        var isRead = Ed25519Key.TryReadPkcs8(pkcs8, out var read, out problem);
        key = read;
        return isRead;
    }

    private static bool TryImportOfPlatform(ReadOnlyMemory<byte> pkcs8, [NotNullWhen(true)] out AsymmetricAlgorithm? key, out string problem) =>
        TryImport(ECDsa.Create(), (ECDsa k, ReadOnlySpan<byte> bytes, out int read) => k.ImportPkcs8PrivateKey(bytes, out read), pkcs8, out key, out problem)
        || TryImport(RSA.Create(), (RSA k, ReadOnlySpan<byte> bytes, out int read) => k.ImportPkcs8PrivateKey(bytes, out read), pkcs8, out key, out problem);

    internal delegate void Import<in T>(T key, ReadOnlySpan<byte> bytes, out int read);

    internal static bool TryImport<T>(T empty, Import<T> import, ReadOnlyMemory<byte> bytes, [NotNullWhen(true)] out AsymmetricAlgorithm? key, out string problem)
        where T : AsymmetricAlgorithm
    {
        key = null;
        problem = $"the private key is not a readable, unencrypted key of at most {MaxLength} bytes";
        try
        {
            if (bytes.Length <= MaxLength)
            {
                import(empty, bytes.Span, out var read);
                var weakness = PublicKey.Read(empty.ExportSubjectPublicKeyInfo()).Weakness;
                problem = read < bytes.Length ? "the private key has trailing bytes" : weakness;
                key = problem.Length == 0 ? empty : null;
            }
        }
        catch (Exception e) when (e is CryptographicException or System.Formats.Asn1.AsnContentException)
        {
            // The problem is already said; what the library says of a key is not for logs.
        }

        if (key is null)
        {
            empty.Dispose();
        }

        return key is not null;
    }
}
