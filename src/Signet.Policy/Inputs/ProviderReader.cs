using System.Globalization;
using Signet.Identity.Spiffe;
using Signet.Policy.Reading;
using Signet.Policy.Yaml;

namespace Signet.Policy.Inputs;

/// <summary>Reads one of MeshConfig's extension providers.</summary>
internal static class ProviderReader
{
    private const int MaxTimeoutSeconds = 3600;

    private static readonly string[] OtherKinds =
    [
        "zipkin", "lightstep", "datadog", "stackdriver", "opencensus", "skywalking", "opentelemetry", "prometheus", "envoyFileAccessLog", "envoyHttpAls", "envoyTcpAls", "envoyOtelAls", "sds",
    ];

    private static readonly string[] NotDone = ["includeRequestBodyInCheck", "clearRouteCache"];

    private static readonly string[] GrpcFields = ["service", "port", "timeout", "failOpen", "statusOnError"];

    private static readonly string[] HttpFields =
    [
        .. GrpcFields, "pathPrefix", "includeHeadersInCheck", "includeRequestHeadersInCheck", "includeAdditionalHeadersInCheck", "headersToUpstreamOnAllow",
        "headersToDownstreamOnDeny", "headersToDownstreamOnAllow",
    ];

    /// <summary>The provider if it is an external authoriser; null for those of other kinds, and for those with a mistake.</summary>
    public static ExtensionProvider? Read(YamlNode node, string path, ProblemList problems)
    {
        if (Fields.Open(node, path, problems, ["name", "envoyExtAuthzGrpc", "envoyExtAuthzHttp", .. OtherKinds]) is not { } provider || provider.Text("name") is not { Length: > 0 } name)
        {
            problems.Error(node.Line, PolicyCodes.BadValue, $"{path} has no name");
            return null;
        }

        var grpc = provider.Open("envoyExtAuthzGrpc", [.. GrpcFields, .. NotDone]);
        var http = provider.Open("envoyExtAuthzHttp", [.. HttpFields, .. NotDone]);
        if (grpc is not null && http is not null)
        {
            problems.Error(http.Line, PolicyCodes.BadValue, $"{path} is both envoyExtAuthzGrpc and envoyExtAuthzHttp", "keep one of them");
            return null;
        }

        if ((grpc ?? http) is not { } fields)
        {
            // One that does not say what it is counts as an authoriser that nobody can ask.
            return Array.Exists(OtherKinds, kind => provider.Node(kind) is not null) ? null : new ExtensionProvider(name);
        }

        foreach (var key in NotDone.Where(fields.Has))
        {
            problems.Error(fields.LineOf(key), PolicyCodes.Unsupported, $"{fields.PathOf(key)} is not supported", "an authoriser sees the request's head only");
        }

        return new ExtensionProvider(name, fields.Flag("failOpen")) { Authoriser = ReadAuthoriser(fields, grpc is null, problems) };
    }

    private static ExternalAuthoriser? ReadAuthoriser(Fields fields, bool isHttp, ProblemList problems)
    {
        var service = fields.Text("service");
        var host = service?[(service.IndexOf('/', StringComparison.Ordinal) + 1)..];
        if (string.IsNullOrEmpty(host) || Uri.CheckHostName(host) == UriHostNameType.Unknown)
        {
            problems.Error(fields.LineOf("service"), PolicyCodes.BadValue, $"{fields.PathOf("service")} is \"{Printable.Of(service ?? "")}\"; a host name was expected, as authz.prod.svc.cluster.local");
            return null;
        }

        if (fields.Number("port", 1, ushort.MaxValue) is not { } port)
        {
            if (!fields.Has("port"))
            {
                problems.Error(fields.Line, PolicyCodes.BadValue, $"{fields.PathOf("port")} is missing");
            }

            return null;
        }

        var authoriser = new ExternalAuthoriser(isHttp ? AuthoriserProtocol.Http : AuthoriserProtocol.Grpc, host.ToLowerInvariant(), port);
        authoriser = authoriser with
        {
            Timeout = ReadTimeout(fields, problems) ?? authoriser.Timeout,
            StatusOnError = fields.Number("statusOnError", 400, 599) ?? authoriser.StatusOnError,
        };
        return isHttp ? ReadHttp(fields, authoriser, problems) : authoriser;
    }

    private static ExternalAuthoriser ReadHttp(Fields fields, ExternalAuthoriser authoriser, ProblemList problems)
    {
        var prefix = fields.Text("pathPrefix") ?? "";
        if (prefix.Length > 0 && (prefix[0] != '/' || prefix.AsSpan().IndexOfAnyExceptInRange('!', '~') >= 0 || prefix.AsSpan().ContainsAny('?', '#')))
        {
            problems.Error(fields.LineOf("pathPrefix"), PolicyCodes.BadValue, $"{fields.PathOf("pathPrefix")} is \"{Printable.Of(prefix)}\"; a path was expected, as /check");
        }

        var added = fields.TextMap("includeAdditionalHeadersInCheck");
        foreach (var (name, value) in added)
        {
            if (!IsName(name) || value.AsSpan().IndexOfAnyExceptInRange(' ', '~') >= 0)
            {
                problems.Error(
                    fields.LineOf("includeAdditionalHeadersInCheck"), PolicyCodes.BadValue,
                    $"{fields.PathOf("includeAdditionalHeadersInCheck")} has \"{Printable.Of(name)}\", which can't be a header field with that value");
            }
        }

        return authoriser with
        {
            PathPrefix = prefix.TrimEnd('/'),
            SentToIt = FieldNames.Of([.. Names(fields, "includeHeadersInCheck", problems), .. Names(fields, "includeRequestHeadersInCheck", problems)]),
            AlwaysSentToIt = added,
            ToUpstreamOnAllow = FieldNames.Of(Names(fields, "headersToUpstreamOnAllow", problems)),
            ToDownstreamOnAllow = FieldNames.Of(Names(fields, "headersToDownstreamOnAllow", problems)),
            ToDownstreamOnDeny = Names(fields, "headersToDownstreamOnDeny", problems) is { Count: > 0 } some ? FieldNames.Of(some) : null,
        };
    }

    private static List<string> Names(Fields fields, string key, ProblemList problems)
    {
        var names = new List<string>();
        foreach (var item in fields.Texts(key))
        {
            if (item.Value == "*" || !IsName(item.Value))
            {
                problems.Error(item.Line, PolicyCodes.BadValue, $"{fields.PathOf(key)} has \"{Printable.Of(item.Value)}\"; a header's name was expected, or its beginning with a star, or its end");
            }

            names.Add(item.Value);
        }

        return names;
    }

    private static bool IsName(string text) => text.Length > 0 && text.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal));

    private static TimeSpan? ReadTimeout(Fields fields, ProblemList problems)
    {
        if (fields.Text("timeout") is not { } text)
        {
            return null;
        }

        if (text.EndsWith('s') && double.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds)
            && seconds is > 0 and <= MaxTimeoutSeconds)
        {
            return TimeSpan.FromSeconds(seconds);
        }

        problems.Error(fields.LineOf("timeout"), PolicyCodes.BadValue, $"{fields.PathOf("timeout")} is \"{Printable.Of(text)}\"; seconds like 0.5s were expected, at most {MaxTimeoutSeconds}s");
        return null;
    }
}
