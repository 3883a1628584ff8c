using System.Buffers;
using System.Collections.Frozen;

namespace Signet.Proxy.L7;

/// <summary>
/// Which fields of a message go on to the next hop. Hop-by-hop fields end here (RFC 9110 §7.6.1); fields that say who the peer is are
/// ours alone, and whoever tries to slip them in by another way is refused.
/// </summary>
internal static class ForwardedHeaders
{
    public const string ClientCertificate = "x-forwarded-client-cert";
    public const string RequestId = "x-request-id";

    /// <summary>About so many are added to a message's own.</summary>
    private const int FieldsOfOurs = 4;

    private static readonly SearchValues<char> PlainMarks = SearchValues.Create("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private static readonly FrozenSet<string> HopByHop = new[]
    {
        "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "transfer-encoding", "upgrade", "http2-settings",
        ClientCertificate, "client-cert", "client-cert-chain",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>Fields that decide where a message ends, where it goes and whose it is.</summary>
    private static readonly FrozenSet<string> Protected = new[]
    {
        "host", "content-length", "transfer-encoding", ClientCertificate, "client-cert", "client-cert-chain", RequestId, "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    private static readonly FrozenSet<string> ForbiddenInTrailers = Protected.Concat(HopByHop).Concat(
    [
        "authorization", "cookie", "set-cookie", "content-type", "content-encoding", "content-range", "expect", "trailer",
    ]).ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>Whether only the proxy says what is in such a field, or whether it ends at each hop; spelled with '_' too.</summary>
    public static bool IsOurs(string name)
    {
        var plain = name.Replace('_', '-');
        return Protected.Contains(plain) || HopByHop.Contains(plain);
    }

    /// <summary>
    /// Refuses <c>x_forwarded_client_cert</c>, which many frameworks take for <c>x-forwarded-client-cert</c>; <c>Connection: host</c>, which
    /// asks a hop to remove what others rely on; and a repeated request ID.
    /// </summary>
    public static bool TryCheck(IReadOnlyList<KeyValuePair<string, string>> headers, out HttpProblem problem)
    {
        problem = HttpProblem.HeaderImitated;
        var requestIds = 0;
        for (var i = 0; i < headers.Count; i++)
        {
            var name = headers[i].Key;
            if (IsImitation(name))
            {
                return false;
            }

            if (name.Equals(RequestId, StringComparison.OrdinalIgnoreCase) && ++requestIds > 1)
            {
                problem = HttpProblem.HeaderRepeated;
                return false;
            }
        }

        var nominated = FieldLines.ListOf(headers, "Connection");
        problem = nominated.Count > HttpLimits.MaxMembers ? HttpProblem.TooManyHeaders : HttpProblem.HeaderNominated;
        return nominated.Count <= HttpLimits.MaxMembers && !nominated.Exists(Protected.Contains);
    }

    /// <summary>The fields that go on, in order.</summary>
    public static List<KeyValuePair<string, string>> EndToEnd(IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        var nominated = FieldLines.ListOf(headers, "Connection");
        var kept = new List<KeyValuePair<string, string>>(headers.Count + FieldsOfOurs);
        for (var i = 0; i < headers.Count; i++)
        {
            var field = headers[i];
            if (!HopByHop.Contains(field.Key) && (nominated.Count == 0 || !nominated.Contains(field.Key, StringComparer.OrdinalIgnoreCase)))
            {
                kept.Add(field);
            }
        }

        return kept;
    }

    /// <summary>Whether some server would take it for a protected field that it is not.</summary>
    private static bool IsImitation(string name) => name.AsSpan().ContainsAnyExcept(PlainMarks) && !Protected.Contains(name) && Protected.Contains(Plain(name));

    /// <summary>The name as servers see it that take every mark in it for the same.</summary>
    private static string Plain(string name) => string.Create(name.Length, name, static (plain, name) =>
    {
        for (var i = 0; i < name.Length; i++)
        {
            plain[i] = char.IsAsciiLetterOrDigit(name[i]) ? name[i] : '-';
        }
    });

    public static bool MayBeTrailers(IReadOnlyList<KeyValuePair<string, string>> trailers) =>
        !trailers.Any(field => ForbiddenInTrailers.Contains(field.Key) || ForbiddenInTrailers.Contains(Plain(field.Key)));
}
