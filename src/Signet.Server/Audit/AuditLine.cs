using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Signet.Server.Audit;

/// <summary>A place in the chain: how many records there are up to it, and the hash of the last of them.</summary>
public sealed record AuditPosition(long Sequence, string Hash)
{
    /// <summary>Before the first record.</summary>
    public static AuditPosition Origin { get; } = new(0, new string('0', AuditLine.HashLength));

    /// <summary>Reads <c>SEQUENCE:HASH</c>.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out AuditPosition? position, out string problem)
    {
        var parts = (text ?? "").Split(':');
        var good = parts.Length == 2 && long.TryParse(parts[0], out var sequence) && sequence >= 0 && AuditLine.IsHash(parts[1]);
        position = good ? new AuditPosition(long.Parse(parts[0], System.Globalization.CultureInfo.InvariantCulture), parts[1]) : null;
        problem = good ? "" : "a position in the audit trail is written SEQUENCE:HASH, as signet audit verify prints it";
        return good;
    }

    public override string ToString() => $"{Sequence}:{Hash}";
}

/// <summary>
/// One line of the trail: <c>HASH JSON</c>, where HASH is the lower-case hex SHA-256 of the hash before (as 64 hex digits) followed by the JSON.
/// So a line can be checked with any tool, and none can be changed, taken out or moved without changing all hashes after it.
/// </summary>
public sealed record AuditLine(AuditPosition Position, AuditKind Kind, ReadOnlyMemory<byte> Json)
{
    /// <summary>The longest line, in bytes; the limits of <see cref="AuditEvent"/> keep records well below it.</summary>
    public const int MaxLength = 1024 * 1024;

    internal const int HashLength = 64;

    /// <summary>The hash of a record that follows another.</summary>
    public static string Hash(string before, ReadOnlySpan<byte> json)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.ASCII.GetBytes(before));
        hash.AppendData(json);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Reads a line without its newline. Never throws; whether the hash holds is not looked at.</summary>
    public static bool TryParse(ReadOnlyMemory<byte> line, [NotNullWhen(true)] out AuditLine? read)
    {
        read = null;
        if (line.Length is <= HashLength + 1 or > MaxLength || line.Span[HashLength] != ' ')
        {
            return false;
        }

        var hash = Encoding.ASCII.GetString(line.Span[..HashLength]);
        var json = line[(HashLength + 1)..];
        if (!IsHash(hash))
        {
            return false;
        }

        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 3 });
            if (document.RootElement.ValueKind != JsonValueKind.Object
                || !document.RootElement.TryGetProperty("seq", out var number) || !number.TryGetInt64(out var sequence)
                || !document.RootElement.TryGetProperty("kind", out var kind) || !Enum.TryParse<AuditKind>(kind.GetString(), ignoreCase: true, out var parsed))
            {
                return false;
            }

            read = new AuditLine(new AuditPosition(sequence, hash), parsed, json);
            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>How a record names the bytes of one that was cut short.</summary>
    internal static string NameOf(ReadOnlySpan<byte> unfinished) => $"{unfinished.Length} bytes, sha256:{Convert.ToHexStringLower(SHA256.HashData(unfinished))}";

    internal static bool IsHash(string text) => text.Length == HashLength && text.All(char.IsAsciiHexDigitLower);
}
