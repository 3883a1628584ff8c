using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;

namespace Signet.Identity.X509;

/// <summary>
/// A workload's identity: its certificate, the intermediates above it, and its private key (X509-SVID; Workload API §5.2.1). Immutable;
/// the key is not shown, logged or compared. Disposing the key is the owner's decision: nothing here does.
/// </summary>
public sealed class X509Svid
{
    /// <summary>How many certificates a chain may have.</summary>
    public const int MaxChain = 16;

    private X509Svid(SpiffeId id, IReadOnlyList<Certificate> chain, AsymmetricAlgorithm key, string? hint)
    {
        Id = id;
        Chain = chain;
        Key = key;
        Hint = hint;
    }

    public SpiffeId Id { get; }

    /// <summary>Leaf first, then each issuer, never the root.</summary>
    public IReadOnlyList<Certificate> Chain { get; }

    public Certificate Leaf => Chain[0];

    /// <summary>The certificate that signed the leaf, or null when a root did.</summary>
    public Certificate? Issuer => Chain.Count > 1 ? Chain[1] : null;

    /// <summary>The leaf's private key.</summary>
    public AsymmetricAlgorithm Key { get; }

    /// <summary>A word from the operator about what the identity is for, or null.</summary>
    public string? Hint { get; }

    public DateTimeOffset NotBefore => Leaf.NotBefore;

    /// <summary>The end of the leaf's life, or of an intermediate's that ends before it.</summary>
    public DateTimeOffset NotAfter => Chain.Min(c => c.NotAfter);

    /// <summary>From when until when peers accept it.</summary>
    public Validity Validity => new(NotBefore, NotAfter);

    /// <summary>
    /// Puts an identity together when everything fits: the key is the leaf's, the leaf keeps the profile, each certificate is signed by the next.
    /// A self-signed certificate at the end is a root and is left out. Validity in time is not looked at.
    /// </summary>
    public static bool TryCreate(
        IReadOnlyList<Certificate> chain, AsymmetricAlgorithm key, string? hint, [NotNullWhen(true)] out X509Svid? svid, out string problem)
    {
        svid = null;
        if (chain.Count is 0 or > MaxChain)
        {
            problem = $"the chain has {chain.Count} certificates; 1 to {MaxChain} were expected";
            return false;
        }

        var leaf = chain[0];
        if (!X509SvidProfile.TryCheckLeaf(leaf, out var id, out problem))
        {
            problem = $"{leaf} is not an X509-SVID: {problem}";
            return false;
        }

        if (!IsKeyOf(leaf, key))
        {
            problem = $"the private key does not belong to {leaf}";
            return false;
        }

        for (var i = 0; i + 1 < chain.Count; i++)
        {
            if (!X509SvidProfile.TryCheckAuthority(chain[i + 1], null, out problem))
            {
                problem = $"{chain[i + 1]} in the chain is not a signing certificate: {problem}";
                return false;
            }

            if (!chain[i].IssuerName.Equals(chain[i + 1].SubjectName) || !chain[i].IsSignedBy(chain[i + 1]))
            {
                problem = $"{chain[i]} was not issued by the next certificate in the chain, {chain[i + 1]}";
                return false;
            }
        }

        problem = "";
        svid = new X509Svid(id, WithoutRoot(chain), key, hint);
        return true;
    }

    /// <summary>The private key as unencrypted PKCS#8; the caller keeps it secret and clears it.</summary>
    /// <exception cref="CryptographicException">The key cannot leave where it lives.</exception>
    public byte[] ExportKeyPkcs8() => KeyPair.ExportPkcs8(Key);

    /// <summary>ID, serial and end of life; never the key.</summary>
    public override string ToString() => $"{Id} (serial {Leaf.SerialHex}, until {PathRules.Show(NotAfter)})";

    private static bool IsKeyOf(Certificate leaf, AsymmetricAlgorithm key)
    {
        try
        {
            return leaf.SubjectPublicKeyInfo.Span.SequenceEqual(KeyPair.ExportPublicKey(key));
        }
        catch (CryptographicException)
        {
            return false;
        }
    }

    private static Certificate[] WithoutRoot(IReadOnlyList<Certificate> chain) =>
        chain.Where((c, i) => i == 0 || i < chain.Count - 1 || !c.IsSelfIssued || !c.IsSignedBy(c)).ToArray();
}
