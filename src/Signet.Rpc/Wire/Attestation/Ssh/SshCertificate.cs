using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using Signet.Identity.Spiffe;

namespace Signet.Rpc.Wire.Attestation.Ssh;

/// <summary>A certificate of OpenSSH (its PROTOCOL.certkeys), read; whether it is to be believed <see cref="Problem"/> says. Immutable, thread-safe.</summary>
public sealed record SshCertificate
{
    /// <summary>The longest encoding, in bytes.</summary>
    public const int MaxLength = 16 * 1024;

    /// <summary>How many names one may have.</summary>
    public const int MaxPrincipals = 256;

    private const string Suffix = "-cert-v01@openssh.com";
    private const uint HostKind = 2;

    private SshCertificate()
    {
    }

    /// <summary>As it is written before its base64.</summary>
    public required ReadOnlyMemory<byte> Encoded { get; init; }

    /// <summary>The key that it is about.</summary>
    public required SshPublicKey Key { get; init; }

    public required ulong Serial { get; init; }

    public required bool IsOfHost { get; init; }

    /// <summary>What its authority calls it.</summary>
    public required string KeyId { get; init; }

    /// <summary>The names of the host.</summary>
    public required IReadOnlyList<string> Principals { get; init; }

    /// <summary>Seconds since 1970; all ones for ever.</summary>
    public required ulong ValidAfter { get; init; }

    /// <inheritdoc cref="ValidAfter"/>
    public required ulong ValidBefore { get; init; }

    /// <summary>The names of the options that whoever believes it must understand.</summary>
    public required IReadOnlyList<string> CriticalOptions { get; init; }

    /// <summary>The key that signed it.</summary>
    public required SshPublicKey Authority { get; init; }

    /// <summary>SHA-256 of the encoding in base64 that goes into addresses: how SPIRE names it.</summary>
    public string Fingerprint => System.Buffers.Text.Base64Url.EncodeToString(SHA256.HashData(Encoded.Span));

    private ReadOnlyMemory<byte> Signed { get; init; }

    private string SignatureFormat { get; init; } = "";

    private ReadOnlyMemory<byte> Signature { get; init; }

    /// <summary>Why it is not the certificate of a host by one of these authorities; empty when it is.</summary>
    /// <param name="authorities">Who is believed.</param>
    /// <param name="now">The time.</param>
    public string Problem(IEnumerable<SshPublicKey> authorities, DateTimeOffset now)
    {
        var time = (ulong)Math.Max(0, now.ToUnixTimeSeconds());
        return !IsOfHost ? "it is the certificate of a user, not of a host"
            : Principals.Count == 0 ? "it names no host, which would stand for all"
            : CriticalOptions.Count > 0 ? $"it has the critical option \"{CriticalOptions[0]}\", which is not understood"
            : !authorities.Any(authority => authority.Encoded.Span.SequenceEqual(Authority.Encoded.Span)) ? "its authority is not one that is believed"
            : time < ValidAfter || time >= ValidBefore ? string.Create(CultureInfo.InvariantCulture, $"it is valid from {Shown(ValidAfter)} to {Shown(ValidBefore)}, but it is {now:u}")
            : !Authority.Verifies(Signed.Span, SignatureFormat, Signature.Span, withSha1: false) ? "its authority did not sign it, or with SHA-1"
            : "";
    }

    /// <summary>Reads the line of a <c>-cert.pub</c> file. Never throws.</summary>
    public static bool TryParse(string line, [NotNullWhen(true)] out SshCertificate? certificate, out string problem)
    {
        (certificate, problem) = (null, "it is not a line such as \"ssh-ed25519-cert-v01@openssh.com AAAA…\"");
        var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var bytes = new byte[MaxLength];
        return words.Length >= 2 && Convert.TryFromBase64String(words[1].TrimEnd(), bytes, out var length) && TryRead(bytes.AsMemory(0, length), out certificate, out problem);
    }

    /// <summary>Reads one. Never throws.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> encoded, [NotNullWhen(true)] out SshCertificate? certificate, out string problem)
    {
        (certificate, problem) = (null, "");
        var reader = new SshReader(encoded.Length <= MaxLength ? encoded.Span : []);
        var type = reader.Text();
        if (!type.EndsWith(Suffix, StringComparison.Ordinal))
        {
            problem = $"it is not a certificate of OpenSSH, but \"{Printable.Of(type)}\"";
            return false;
        }

        reader.Bytes();
        var (keyType, keyStart) = (type[..^Suffix.Length], reader.Offset);
        if (!SshPublicKey.TryReadParts(ref reader, keyType, [], out var key, out problem))
        {
            return false;
        }

        // The key's own encoding is its type and the parts as they stand here.
        byte[] keyEncoded = [.. new SshWriter().Text(keyType).ToArray(), .. encoded.Span[keyStart..reader.Offset]];
        var (serial, kind, keyId) = (reader.LongNumber(), reader.Number(), reader.Text());
        var principals = Texts(reader.Bytes());
        var (after, before) = (reader.LongNumber(), reader.LongNumber());
        var options = Names(reader.Bytes());
        var extensions = Names(reader.Bytes());
        reader.Bytes();
        var authority = reader.Bytes();
        var signed = reader.Offset;
        var signature = new SshReader(reader.Bytes());
        var format = signature.Text();
        var blob = signature.Bytes().ToArray();
        if (!reader.IsWhole || !signature.IsWhole || principals is null || options is null || extensions is null)
        {
            problem = "it is cut off, or has more in it than a certificate";
            return false;
        }

        if (!SshPublicKey.TryRead(keyEncoded, out key, out problem) || !SshPublicKey.TryRead(authority, out var by, out problem))
        {
            return false;
        }

        certificate = new SshCertificate
        {
            Encoded = encoded.ToArray(),
            Key = key,
            Serial = serial,
            IsOfHost = kind == HostKind,
            KeyId = keyId,
            Principals = principals,
            ValidAfter = after,
            ValidBefore = before,
            CriticalOptions = options,
            Authority = by,
            Signed = encoded[..signed].ToArray(),
            SignatureFormat = format,
            Signature = blob,
        };
        return true;
    }

    private static List<string>? Texts(ReadOnlySpan<byte> list)
    {
        var texts = new List<string>();
        var reader = new SshReader(list);
        while (reader.HasMore && texts.Count <= MaxPrincipals)
        {
            texts.Add(reader.Text());
        }

        return reader.IsWhole && texts.Count <= MaxPrincipals ? texts : null;
    }

    // Pairs of a name and a value.
    private static List<string>? Names(ReadOnlySpan<byte> pairs)
    {
        var names = new List<string>();
        var reader = new SshReader(pairs);
        while (reader.HasMore && names.Count <= MaxPrincipals)
        {
            names.Add(reader.Text());
            reader.Bytes();
        }

        return reader.IsWhole && names.Count <= MaxPrincipals ? names : null;
    }

    private static string Shown(ulong seconds) => seconds <= 253402300799 ? string.Create(CultureInfo.InvariantCulture, $"{DateTimeOffset.FromUnixTimeSeconds((long)seconds):u}") : "the end of time";
}
