using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Signet.Identity.Spiffe;

namespace Signet.Identity.Jose;

/// <summary>A public key that signs JWT-SVIDs or WIT-SVIDs of a trust domain (JWT-SVID §6.1, WIT-SVID §6.1). Immutable, thread-safe; equal when ID and key are.</summary>
public sealed class JwtAuthority : IEquatable<JwtAuthority>
{
    /// <summary>The longest key ID, in characters.</summary>
    public const int MaxKeyIdLength = 256;

    private const int KeyIdBytes = 16;

    private JwtAuthority(JwsKey key, DateTimeOffset? expiresAt) => (Key, ExpiresAt) = (key, expiresAt);

    /// <summary><c>kid</c>: an authority always has one.</summary>
    public string KeyId => Key.KeyId!;

    public JwsKey Key { get; }

    /// <summary>After this nothing new is signed with it and nothing signed with it holds; null when nobody said.</summary>
    public DateTimeOffset? ExpiresAt { get; }

    /// <summary>Takes a key. Never throws.</summary>
    public static bool TryCreate(string keyId, ReadOnlyMemory<byte> subjectPublicKeyInfo, DateTimeOffset? expiresAt, [NotNullWhen(true)] out JwtAuthority? authority, out string problem)
    {
        authority = null;
        if (!JwsKey.TryCreate(subjectPublicKeyInfo, keyId, algorithm: null, out var key, out problem))
        {
            problem = $"JWT key \"{Printable.Of(keyId)}\": {problem}";
            return false;
        }

        return TryCreate(key, expiresAt, out authority, out problem);
    }

    /// <summary>Takes a key that has an ID. Never throws.</summary>
    public static bool TryCreate(JwsKey key, DateTimeOffset? expiresAt, [NotNullWhen(true)] out JwtAuthority? authority, out string problem)
    {
        authority = null;
        if (key.KeyId is not { Length: > 0 and <= MaxKeyIdLength })
        {
            problem = $"a JWT key has no kid of at most {MaxKeyIdLength} characters";
            return false;
        }

        (authority, problem) = (new JwtAuthority(key, expiresAt), "");
        return true;
    }

    /// <summary>An ID for a key, made of the key itself.</summary>
    public static string KeyIdOf(ReadOnlySpan<byte> subjectPublicKeyInfo) => Convert.ToHexStringLower(SHA256.HashData(subjectPublicKeyInfo).AsSpan(0, KeyIdBytes));

    public bool Equals(JwtAuthority? other) =>
        other is not null && KeyId == other.KeyId && ExpiresAt == other.ExpiresAt && Key.SubjectPublicKeyInfo.Span.SequenceEqual(other.Key.SubjectPublicKeyInfo.Span);

    public override bool Equals(object? obj) => Equals(obj as JwtAuthority);

    public override int GetHashCode() => KeyId.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => KeyId;
}
