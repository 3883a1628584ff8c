using System.Globalization;
using System.Text;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Policy.Objects;
using Signet.Policy.Yaml;

namespace Signet.Policy.Reading;

internal static class RequestAuthenticationReader
{
    public static readonly string[] SpecFields = ["selector", "targetRef", "targetRefs", "jwtRules"];

    private const int MaxRules = 4096;

    private static readonly string[] NotFromTokens =
    [
        "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "upgrade", "trailer", "expect", "x-forwarded-client-cert", "x-forwarded-for", "x-forwarded-host",
        "x-forwarded-proto", "forwarded", "x-request-id", "cookie",
    ];

    private static readonly CompositeFormat At = CompositeFormat.Parse("spec.jwtRules[{0}]");

    public static PolicyObject Read(Header header, Fields spec, ReadingContext context)
    {
        var items = spec.Items("jwtRules");
        if (items.Count > MaxRules)
        {
            context.Problems.Error(spec.LineOf("jwtRules"), PolicyCodes.BadValue, $"spec.jwtRules has {items.Count} rules; the limit is {MaxRules}");
        }

        return new RequestAuthentication
        {
            Namespace = header.Namespace,
            Name = header.Name,
            File = header.File,
            Line = header.Line,
            Created = header.Created,
            Selector = context.Selector(spec),
            HasTargetRefs = context.HasTargetRefs(spec),
            Rules = [.. items.Take(MaxRules).Select((item, i) => ReadRule(item, string.Format(CultureInfo.InvariantCulture, At, i), context.Problems)).OfType<JwtRule>()],
        };
    }

    private static JwtRule? ReadRule(YamlNode node, string path, ProblemList problems)
    {
        var rule = Fields.Open(
            node, path, problems, "issuer", "audiences", "jwksUri", "jwks_uri", "jwks", "fromHeaders", "fromParams", "fromCookies", "forwardOriginalToken",
            "outputPayloadToHeader", "outputClaimToHeaders", "spaceDelimitedClaims", "timeout");
        var issuer = rule?.Text("issuer");
        if (string.IsNullOrEmpty(issuer))
        {
            problems.Error(node.Line, PolicyCodes.BadValue, $"{path} has no issuer");
            return null;
        }

        var trustDomain = new JwtRule { Line = node.Line, Issuer = issuer }.TrustDomain;
        if (issuer.StartsWith(SpiffeId.SchemePrefix, StringComparison.Ordinal) && trustDomain is null)
        {
            problems.Error(rule!.LineOf("issuer"), PolicyCodes.BadValue, $"{path}.issuer is \"{Printable.Of(issuer)}\", which is no trust domain", "for JWT-SVIDs write spiffe:// and the trust domain, without a path");
        }

        if (trustDomain is not null && rule!.Texts("audiences").Count == 0)
        {
            problems.Error(
                node.Line, PolicyCodes.BadValue, $"{path} takes the JWT-SVIDs of {trustDomain} and names no audiences; a token made for somebody else would do",
                "write audiences: with the names that this workload answers to");
        }

        if (trustDomain is null && !rule!.Has("jwks") && !rule.Has("jwksUri") && !rule.Has("jwks_uri"))
        {
            problems.Warning(
                node.Line, PolicyCodes.KeysNowhere, $"{path} has neither jwks nor jwksUri; keys are not looked up by the issuer's name, so its tokens are refused",
                "write the jwks_uri of the issuer's .well-known/openid-configuration as jwksUri");
        }

        var spaced = rule!.Texts("spaceDelimitedClaims").Select(item => item.Value).ToList();
        return new JwtRule
        {
            Line = node.Line,
            Issuer = issuer,
            Audiences = [.. rule.Texts("audiences").Select(item => item.Value)],
            Jwks = ReadKeys(rule, problems),
            JwksUri = ReadUri(rule, problems),
            Timeout = ReadTimeout(rule, problems),
            FromHeaders = [.. rule.Items("fromHeaders").Select(item => ReadHeader(item, rule.PathOf("fromHeaders"), problems)).OfType<JwtHeader>()],
            FromParams = [.. rule.Texts("fromParams").Select(item => item.Value)],
            FromCookies = [.. rule.Texts("fromCookies").Select(item => item.Value)],
            ForwardOriginalToken = rule.Flag("forwardOriginalToken"),
            OutputPayloadToHeader = ReadFieldName(rule, "outputPayloadToHeader", problems),
            OutputClaimToHeaders = [.. rule.Items("outputClaimToHeaders").Select(item => ReadClaimToHeader(item, rule.PathOf("outputClaimToHeaders"), problems)).OfType<ClaimToHeader>()],
            SpaceDelimitedClaims = [.. JwtRule.DefaultSpaceDelimited.Union(spaced, StringComparer.Ordinal)],
        };
    }

    private static string? ReadKeys(Fields rule, ProblemList problems)
    {
        if (rule.Text("jwks") is not { } jwks)
        {
            return null;
        }

        if (!JsonWebKeys.TryParse(jwks, out _, out var problem))
        {
            problems.Error(rule.LineOf("jwks"), PolicyCodes.BadValue, $"{rule.PathOf("jwks")}: {problem}");
        }

        if (rule.Has("jwksUri") || rule.Has("jwks_uri"))
        {
            problems.Error(rule.LineOf("jwks"), PolicyCodes.BadValue, $"{rule.PathOf("jwks")} and jwksUri exclude each other", "keep one of them");
        }

        return jwks;
    }

    private static Uri? ReadUri(Fields rule, ProblemList problems)
    {
        var key = rule.Has("jwks_uri") ? "jwks_uri" : "jwksUri";
        if (rule.Text(key) is not { } text)
        {
            return null;
        }

        if (Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && uri.UserInfo.Length == 0)
        {
            if (uri.Scheme == "http" && !uri.IsLoopback)
            {
                problems.Warning(
                    rule.LineOf(key), PolicyCodes.KeysOverPlaintext,
                    $"{rule.PathOf(key)} is plaintext to another machine, and who sits between could make tokens: keys are not fetched, tokens are refused", "write https://…");
            }

            return uri;
        }

        problems.Error(rule.LineOf(key), PolicyCodes.BadValue, $"{rule.PathOf(key)} is \"{Printable.Of(text)}\"; an https:// address was expected");
        return null;
    }

    private static TimeSpan ReadTimeout(Fields rule, ProblemList problems)
    {
        if (rule.Text("timeout") is not { } text)
        {
            return TimeSpan.FromSeconds(5);
        }

        if (text.EndsWith('s') && double.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds is > 0 and <= 300)
        {
            return TimeSpan.FromSeconds(seconds);
        }

        problems.Error(rule.LineOf("timeout"), PolicyCodes.BadValue, $"{rule.PathOf("timeout")} is \"{Printable.Of(text)}\"; seconds like 5s were expected, at most 300s");
        return TimeSpan.FromSeconds(5);
    }

    private static JwtHeader? ReadHeader(YamlNode node, string path, ProblemList problems)
    {
        var fields = Fields.Open(node, path, problems, "name", "prefix");
        if (fields?.Text("name") is { Length: > 0 } name)
        {
            return new JwtHeader(name, fields.Text("prefix") ?? "");
        }

        problems.Error(node.Line, PolicyCodes.BadValue, $"{path} has an entry without a name");
        return null;
    }

    // Fields that frame a message or say who the peer is can't be filled from a token.
    private static string? ReadFieldName(Fields fields, string key, ProblemList problems)
    {
        if (fields.Text(key) is { } name
            && (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') || NotFromTokens.Contains(name.Replace('_', '-'), StringComparer.OrdinalIgnoreCase)))
        {
            problems.Error(fields.LineOf(key), PolicyCodes.BadValue, $"{fields.PathOf(key)} is \"{Printable.Of(name)}\", which is no header that a token may fill", "write a name of your own, as x-jwt-sub");
        }

        return fields.Text(key);
    }

    private static ClaimToHeader? ReadClaimToHeader(YamlNode node, string path, ProblemList problems)
    {
        var fields = Fields.Open(node, path, problems, "header", "claim");
        if (fields is not null && ReadFieldName(fields, "header", problems) is { Length: > 0 } header && fields.Text("claim") is { Length: > 0 } claim)
        {
            return new ClaimToHeader(header, claim);
        }

        problems.Error(node.Line, PolicyCodes.BadValue, $"{path} has an entry without header and claim");
        return null;
    }
}
