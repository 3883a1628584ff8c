using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Signet.Identity.Jose;

/// <summary>
/// A signed token taken apart, nothing of it verified: <c>BASE64URL(header) "." BASE64URL(claims) "." BASE64URL(signature)</c> (RFC 7515 §7.1,
/// RFC 7519 §7.2). The JSON serialisation is not read. Dispose it when its elements are no longer looked at.
/// </summary>
public sealed class CompactJws : IDisposable
{
    /// <summary>The longest token that is looked at, in characters.</summary>
    public const int MaxLength = 16 * 1024;

    private const int MaxDepth = 16;

    private readonly JsonDocument _header;
    private readonly JsonDocument _claims;

    private CompactJws(JsonDocument header, JsonDocument claims, byte[] signed, byte[] signature) =>
        (_header, _claims, Signed, Signature) = (header, claims, signed, signature);

    /// <summary>An object.</summary>
    public JsonElement Header => _header.RootElement;

    /// <summary>An object.</summary>
    public JsonElement Claims => _claims.RootElement;

    /// <summary>What the signature is over.</summary>
    public byte[] Signed { get; }

    public byte[] Signature { get; }

    /// <summary>Takes a token apart. Never throws; bounded in length and depth; a name that occurs twice is a problem.</summary>
    /// <param name="token">What somebody sent.</param>
    /// <param name="jws">The parts.</param>
    /// <param name="problem">What is wrong; it never contains the token.</param>
    public static bool TryParse(string token, [NotNullWhen(true)] out CompactJws? jws, out string problem)
    {
        (jws, problem) = (null, "");
        var firstDot = token.IndexOf('.', StringComparison.Ordinal);
        var lastDot = token.LastIndexOf('.');
        if (token.Length > MaxLength || firstDot <= 0 || lastDot <= firstDot || token.AsSpan(firstDot + 1, lastDot - firstDot - 1).Contains('.'))
        {
            problem = "the token is not a signed JWT";
            return false;
        }

        JsonDocument? header = null;
        JsonDocument? claims = null;
        try
        {
            header = Decode(token.AsSpan(0, firstDot));
            claims = Decode(token.AsSpan(firstDot + 1, lastDot - firstDot - 1));
            if (header.RootElement.ValueKind == JsonValueKind.Object && claims.RootElement.ValueKind == JsonValueKind.Object)
            {
                jws = new CompactJws(header, claims, Encoding.ASCII.GetBytes(token[..lastDot]), Base64Url.DecodeFromChars(token.AsSpan(lastDot + 1)));
                return true;
            }

            problem = "the token's header or claims are not objects";
        }
        catch (Exception bad) when (bad is JsonException or FormatException or InvalidOperationException)
        {
            problem = "the token can't be decoded";
        }

        header?.Dispose();
        claims?.Dispose();
        return false;
    }

    /// <summary>A text of the header, or null.</summary>
    public string? HeaderText(string name) => JwsKey.Text(Header, name);

    /// <summary>A claim that is a text, or null.</summary>
    public string? ClaimText(string name) => JwsKey.Text(Claims, name);

    /// <summary>A claim that is a text or a list of texts; empty when absent.</summary>
    public IReadOnlyList<string> ClaimTexts(string name) => !Claims.TryGetProperty(name, out var value) ? [] : value.ValueKind switch
    {
        JsonValueKind.String => [value.GetString()!],
        JsonValueKind.Array => [.. value.EnumerateArray().Where(one => one.ValueKind == JsonValueKind.String).Select(one => one.GetString()!)],
        _ => [],
    };

    /// <summary>A claim that is a NumericDate (RFC 7519 §2): true and null when absent, false when it is something else.</summary>
    public bool TryClaimTime(string name, out DateTimeOffset? time)
    {
        time = null;
        if (!Claims.TryGetProperty(name, out var value))
        {
            return true;
        }

        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out var seconds) || seconds is < 0 or > 253402300799)
        {
            return false;
        }

        time = DateTimeOffset.FromUnixTimeSeconds((long)seconds);
        return true;
    }

    public void Dispose()
    {
        _header.Dispose();
        _claims.Dispose();
    }

    // Whoever asks for a text later must not meet one that is none: bytes that are not UTF-8, or half a surrogate pair in an escape.
    private static JsonDocument Decode(ReadOnlySpan<char> part)
    {
        var json = Base64Url.DecodeFromChars(part);
        if (!Utf8.IsValid(json))
        {
            throw new FormatException();
        }

        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
        while (reader.Read())
        {
            if (reader.ValueIsEscaped)
            {
                reader.GetString();
            }
        }

        return JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
    }
}
