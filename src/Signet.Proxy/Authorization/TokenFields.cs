using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using Signet.Policy.Jwt;
using Signet.Policy.Objects;
using Signet.Proxy.L7;

namespace Signet.Proxy.Authorization;

/// <summary>
/// What RequestAuthentication does to a request beside letting it pass: fields that say what a token says are the proxy's alone, and the token
/// itself goes no further unless a rule wants it to. Pure.
/// </summary>
internal static class TokenFields
{
    private const int MaxDepth = 16;

    /// <summary>Takes away whatever the client wrote into fields that rules fill, however it spelled their names.</summary>
    public static void RemoveForged(IReadOnlyList<JwtRule> rules, List<KeyValuePair<string, string>> fields)
    {
        if (rules.Count > 0)
        {
            fields.RemoveAll(field => rules.Any(rule => NamesOf(rule).Any(name => IsSame(name, field.Key))));
        }
    }

    /// <summary>Takes the believed token off the request and adds what the rule wants to be said of it.</summary>
    /// <param name="verdict">A valid token.</param>
    /// <param name="fields">The request's fields.</param>
    /// <param name="target">The request target, query included.</param>
    /// <returns>The request target without the token.</returns>
    public static string Apply(TokenVerdict verdict, List<KeyValuePair<string, string>> fields, string target)
    {
        var (rule, token) = (verdict.Rule!, verdict.Token!);
        if (!rule.ForwardOriginalToken)
        {
            fields.RemoveAll(field => !field.Key.Equals("cookie", StringComparison.OrdinalIgnoreCase) && IsToken(field.Value, token));
            target = WithoutParameter(target, token);
        }

        var payload = token[(token.IndexOf('.', StringComparison.Ordinal) + 1)..token.LastIndexOf('.')];
        if (rule.OutputPayloadToHeader is { } name && FieldChange.IsSafe(name, payload))
        {
            fields.Add(new(name, payload));
        }

        if (rule.OutputClaimToHeaders.Count > 0)
        {
            using var claims = JsonDocument.Parse(Base64Url.DecodeFromChars(payload), new JsonDocumentOptions { MaxDepth = MaxDepth });
            foreach (var (header, claim) in rule.OutputClaimToHeaders)
            {
                if (TextOf(claims.RootElement, claim) is { } text && FieldChange.IsSafe(header, text))
                {
                    fields.Add(new(header, text));
                }
            }
        }

        return target;
    }

    /// <summary>The request target for the access log: without what stands where rules look for tokens.</summary>
    public static string WithoutSecrets(IReadOnlyList<JwtRule> rules, string target)
    {
        var query = target.IndexOf('?', StringComparison.Ordinal);
        if (query < 0 || rules.Count == 0)
        {
            return target;
        }

        var names = rules.SelectMany(rule => rule.FromParams).Append("access_token").ToHashSet(StringComparer.Ordinal);
        return target[..(query + 1)] + string.Join('&', target[(query + 1)..].Split('&').Select(pair =>
            pair.IndexOf('=', StringComparison.Ordinal) is > 0 and var equals && names.Contains(pair[..equals]) ? pair[..(equals + 1)] + "REDACTED" : pair));
    }

    private static IEnumerable<string> NamesOf(JwtRule rule) =>
        rule.OutputClaimToHeaders.Select(output => output.Header).Concat(rule.OutputPayloadToHeader is { } name ? [name] : []).Where(name => !ForwardedHeaders.IsOurs(name));

    /// <summary>Many frameworks take '_' for '-' and forget case.</summary>
    private static bool IsSame(string name, string other) => name.Replace('_', '-').Equals(other.Replace('_', '-'), StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether a field is the token, alone or behind a prefix such as <c>Bearer</c>.</summary>
    private static bool IsToken(string value, string token) => value.TrimEnd().EndsWith(token, StringComparison.Ordinal);

    private static string WithoutParameter(string target, string token)
    {
        var query = target.IndexOf('?', StringComparison.Ordinal);
        if (query < 0 || !target.AsSpan(query).Contains(token, StringComparison.Ordinal))
        {
            return target;
        }

        var kept = string.Join('&', target[(query + 1)..].Split('&').Where(pair => !pair.EndsWith("=" + token, StringComparison.Ordinal)));
        return kept.Length == 0 ? target[..query] : target[..(query + 1)] + kept;
    }

    /// <summary>A claim that is a text, a number or a boolean; a dot leads into an object. Null for others.</summary>
    private static string? TextOf(JsonElement claims, string claim)
    {
        if (!claims.TryGetProperty(claim, out var value))
        {
            value = claims;
            foreach (var name in claim.Split('.'))
            {
                if (value.ValueKind != JsonValueKind.Object || !value.TryGetProperty(name, out value))
                {
                    return null;
                }
            }
        }

        return value.ValueKind switch
        {
            // Header fields are bytes; text that is not ASCII travels as UTF-8.
            JsonValueKind.String => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(value.GetString()!)),
            JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
            _ => null,
        };
    }
}
