using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Signet.Identity.X509;

/// <summary>Certificates and keys as PEM text (RFC 7468). Pure functions, thread-safe.</summary>
public static class Pem
{
    /// <summary>The longest text that is read, in characters.</summary>
    public const int MaxLength = 16 * 1024 * 1024;

    /// <summary>How many certificates a text may hold.</summary>
    public const int MaxCertificates = 10_000;

    private const string CertificateLabel = "CERTIFICATE";
    private const string KeyLabel = "PRIVATE KEY";
    private const string EncryptedKeyLabel = "ENCRYPTED PRIVATE KEY";
    private const int PassphraseRounds = 600_000;
    private const string Boundary = "-----BEGIN ";

    /// <summary>The certificates one after the other, each ending in a line break; empty text for none.</summary>
    public static string Encode(params IEnumerable<Certificate> certificates)
    {
        var text = new StringBuilder();
        foreach (var certificate in certificates)
        {
            text.Append(PemEncoding.Write(CertificateLabel, certificate.Der.Span)).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>A private key as unencrypted PKCS#8. The caller keeps the text secret.</summary>
    /// <exception cref="CryptographicException">The key cannot leave where it lives.</exception>
    public static string EncodePrivateKey(AsymmetricAlgorithm key)
    {
        var der = key.ExportPkcs8PrivateKey();
        try
        {
            return new string(PemEncoding.Write(KeyLabel, der)) + "\n";
        }
        finally
        {
            CryptographicOperations.ZeroMemory(der);
        }
    }

    /// <summary>Reads every certificate of a text, in order; blocks with another label are passed over, one at least must be a certificate.</summary>
    /// <param name="text">PEM text; prose between blocks is allowed.</param>
    /// <param name="certificates">What the text holds, when the answer is true; otherwise empty.</param>
    /// <param name="problem">What is wrong, when the answer is false; otherwise empty.</param>
    public static bool TryReadCertificates(string text, out IReadOnlyList<Certificate> certificates, out string problem)
    {
        certificates = [];
        if (!TryReadBlocks(text, label => label == CertificateLabel, out var blocks, out problem))
        {
            return false;
        }

        var found = new List<Certificate>(blocks.Count);
        foreach (var (_, der) in blocks)
        {
            if (!Certificate.TryParse(der, out var certificate, out problem))
            {
                problem = $"PEM certificate {found.Count + 1}: {problem}";
                return false;
            }

            found.Add(certificate);
        }

        problem = found.Count == 0 ? "the text has no PEM block \"CERTIFICATE\"" : "";
        certificates = found;
        return found.Count > 0;
    }

    /// <summary>
    /// Reads the authorities that a machine keeps. A few of them break the rules of their own encoding; those are passed over, since nothing can be
    /// believed on their word, and one at least must be left.
    /// </summary>
    /// <inheritdoc cref="TryReadCertificates"/>
    public static bool TryReadAuthorities(string text, out IReadOnlyList<Certificate> certificates, out string problem)
    {
        certificates = [];
        if (!TryReadBlocks(text, label => label == CertificateLabel, out var blocks, out problem))
        {
            return false;
        }

        certificates = [.. blocks.Select(block => Certificate.TryParse(block.Der, out var certificate, out _) ? certificate : null).OfType<Certificate>()];
        problem = certificates.Count > 0 ? "" : "the text has no PEM block \"CERTIFICATE\" that can be read";
        return certificates.Count > 0;
    }

    /// <summary>PKCS#8 under a passphrase: PBES2 with AES-256 and PBKDF2 over HMAC-SHA-256 (RFC 8018).</summary>
    public static string EncodePrivateKey(AsymmetricAlgorithm key, string passphrase) =>
        key.ExportEncryptedPkcs8PrivateKeyPem(passphrase, new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, PassphraseRounds)) + "\n";

    /// <summary>Reads the one private key of a text that <see cref="EncodePrivateKey(AsymmetricAlgorithm, string)"/> wrote, or any encrypted PKCS#8 key. Never throws.</summary>
    public static bool TryReadPrivateKey(string text, string passphrase, [NotNullWhen(true)] out AsymmetricAlgorithm? key, out string problem)
    {
        key = null;
        if (!TryReadBlocks(text, label => label == EncryptedKeyLabel, out var blocks, out problem))
        {
            return false;
        }

        if (blocks.Count != 1)
        {
            problem = $"the text has {blocks.Count} encrypted private keys; one was expected";
            return false;
        }

        foreach (AsymmetricAlgorithm empty in new AsymmetricAlgorithm[] { ECDsa.Create(), RSA.Create() })
        {
            try
            {
                empty.ImportEncryptedPkcs8PrivateKey(passphrase, blocks[0].Der, out _);
                key = empty;
                return true;
            }
            catch (CryptographicException)
            {
                empty.Dispose();
            }
        }

        problem = "the private key does not open: is the passphrase right?";
        return false;
    }

    /// <summary>Reads the one private key of a text: PKCS#8, SEC 1 or PKCS#1, unencrypted. Blocks that hold no key are passed over.</summary>
    public static bool TryReadPrivateKey(string text, [NotNullWhen(true)] out AsymmetricAlgorithm? key, out string problem)
    {
        key = null;
        if (!TryReadBlocks(text, label => label.EndsWith(KeyLabel, StringComparison.Ordinal), out var blocks, out problem))
        {
            return false;
        }

        try
        {
            if (blocks.Count != 1)
            {
                problem = blocks.Count == 0 ? "the text has no PEM block \"PRIVATE KEY\"" : $"the text has {blocks.Count} private keys; one was expected";
                return false;
            }

            var (label, der) = blocks[0];
            switch (label)
            {
                case KeyLabel:
                    return KeyPair.TryImportPkcs8(der, out key, out problem);
                case "EC PRIVATE KEY":
                    return KeyPair.TryImport(ECDsa.Create(), (ECDsa k, ReadOnlySpan<byte> bytes, out int read) => k.ImportECPrivateKey(bytes, out read), der, out key, out problem);
                case "RSA PRIVATE KEY":
                    return KeyPair.TryImport(RSA.Create(), (RSA k, ReadOnlySpan<byte> bytes, out int read) => k.ImportRSAPrivateKey(bytes, out read), der, out key, out problem);
                case EncryptedKeyLabel:
                    problem = "the private key is encrypted; store it unencrypted with mode 0600";
                    return false;
                default:
                    problem = $"the private key has the unknown PEM label \"{Spiffe.Printable.Of(label)}\"; PKCS#8 (\"PRIVATE KEY\") was expected";
                    return false;
            }
        }
        finally
        {
            foreach (var (_, der) in blocks)
            {
                CryptographicOperations.ZeroMemory(der);
            }
        }
    }

    /// <summary>The blocks whose label is wanted. A block that does not decode is an error, not something to skip.</summary>
    internal static bool TryReadBlocks(string text, Func<string, bool> isWanted, out List<(string Label, byte[] Der)> blocks, out string problem)
    {
        blocks = [];
        problem = "";
        if (text.Length > MaxLength)
        {
            problem = $"the PEM text is {text.Length} characters long; the limit is {MaxLength}";
            return false;
        }

        var rest = text.AsSpan();
        while (PemEncoding.TryFind(rest, out var fields))
        {
            if (rest[..fields.Location.Start.Value].Contains(Boundary, StringComparison.Ordinal))
            {
                break;
            }

            var label = rest[fields.Label].ToString();
            if (isWanted(label))
            {
                if (blocks.Count == MaxCertificates)
                {
                    problem = $"the PEM text has more than {MaxCertificates} blocks";
                    return false;
                }

                blocks.Add((label, Convert.FromBase64String(rest[fields.Base64Data].ToString())));
            }

            rest = rest[fields.Location.End.Value..];
        }

        if (rest.Contains(Boundary, StringComparison.Ordinal))
        {
            problem = $"the PEM text is damaged after block {blocks.Count}: a line \"-----BEGIN …-----\" has no proper content and end";
            return false;
        }

        return true;
    }
}
