using System.Text;
using Signet.Hosting;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Proxy.L7;

namespace Signet.Proxy.Authorization;

/// <summary>Asks by sending it the request's head, as Envoy does: 200 lets the request pass, 5xx is no answer, everything else denies.</summary>
internal sealed class HttpAuthoriser : IAuthoriser
{
    private const string FieldsToRemove = "x-envoy-auth-headers-to-remove";
    private const int MaxHeadKilobytes = 64;
    private const int MaxFields = 64;
    private const int MaxBody = 64 * 1024;

    private static readonly UriCreationOptions AsItIs = new() { DangerousDisablePathAndQueryCanonicalization = true };
    private static readonly string[] AlwaysOnDeny = ["content-type", "www-authenticate", "location"];
    private static readonly HashSet<string> NotForTheClient = new(StringComparer.OrdinalIgnoreCase) { "date", "server" };

    private readonly ExternalAuthoriser _settings;
    private readonly HttpMessageInvoker _http;
    private readonly string _authority;

    public HttpAuthoriser(ExternalAuthoriser settings, Func<CancellationToken, ValueTask<Stream>> connect)
    {
        (_settings, _authority) = (settings, AuthoriserRoute.Authority(settings));
        var handler = StrictHttpHandler.Create(MaxHeadKilobytes);
        handler.ConnectCallback = (_, cancellationToken) => connect(cancellationToken);
        handler.MaxResponseDrainSize = MaxBody;
        handler.RequestHeaderEncodingSelector = (_, _) => Encoding.Latin1;
        handler.ResponseHeaderEncodingSelector = (_, _) => Encoding.Latin1;
        _http = new HttpMessageInvoker(handler);
    }

    public async Task<CheckAnswer> CheckAsync(CheckSubject subject, CancellationToken cancellationToken)
    {
        if (subject.Http is not { } http)
        {
            return new CheckAnswer(CheckResult.Denied, "an HTTP authoriser can't be asked about a TCP connection");
        }

        try
        {
            using var request = RequestOf(http);
            using var response = await _http.SendAsync(request, cancellationToken).ConfigureAwait(false);
            return await ReadAsync(response, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return new CheckAnswer(CheckResult.Failed, Printable.Of((e.InnerException ?? e).Message));
        }
    }

    public void Dispose() => _http.Dispose();

    private HttpRequestMessage RequestOf(CheckedRequest http)
    {
        var request = new HttpRequestMessage(new HttpMethod(http.Method), new Uri($"http://{_authority}{_settings.PathPrefix}{(http.Path == "*" ? "/" : http.Path)}", AsItIs))
        {
            Content = new ByteArrayContent([]),
        };
        request.Headers.TryAddWithoutValidation("host", http.Host);
        foreach (var (name, value) in http.Fields)
        {
            if (_settings.SentToIt.Contain(name) && !_settings.AlwaysSentToIt.Keys.Contains(name, StringComparer.OrdinalIgnoreCase) && MaySend(name))
            {
                Add(request, name, value);
            }
        }

        foreach (var (name, value) in _settings.AlwaysSentToIt.Where(field => MaySend(field.Key)))
        {
            Add(request, name, value);
        }

        return request;
    }

    // The platform keeps fields about the body, such as content-type, apart.
    private static void Add(HttpRequestMessage request, string name, string value)
    {
        if (!request.Headers.TryAddWithoutValidation(name, value))
        {
            request.Content!.Headers.TryAddWithoutValidation(name, value);
        }
    }

    private static bool MaySend(string name) =>
        (!name.Equals("expect", StringComparison.OrdinalIgnoreCase) && !ForwardedHeaders.IsOurs(name)) || name.Equals(ForwardedHeaders.ClientCertificate, StringComparison.OrdinalIgnoreCase)
        || name.Equals(ForwardedHeaders.RequestId, StringComparison.OrdinalIgnoreCase) || name.StartsWith("x-forwarded-", StringComparison.OrdinalIgnoreCase);

    private async Task<CheckAnswer> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var status = (int)response.StatusCode;
        var fields = response.Headers.NonValidated.Concat(response.Content.Headers.NonValidated)
            .SelectMany(field => field.Value.Select(value => new KeyValuePair<string, string>(field.Key, value)))
            .ToList();
        if (status >= 500)
        {
            return new CheckAnswer(CheckResult.Failed, $"it answered {status}");
        }

        if (status == 200)
        {
            return new CheckAnswer(CheckResult.Allowed, "allowed") { ToUpstream = ToUpstream(fields), ToDownstream = Changes(fields, _settings.ToDownstreamOnAllow) };
        }

        var kept = fields
            .Where(field => _settings.ToDownstreamOnDeny is { } chosen
                ? chosen.Contain(field.Key) || AlwaysOnDeny.Contains(field.Key, StringComparer.OrdinalIgnoreCase)
                : !NotForTheClient.Contains(field.Key))
            .Where(field => FieldChange.IsSafe(field.Key, field.Value))
            .Take(MaxFields)
            .ToList();
        var body = await BoundedBody.ReadAsync(response.Content, MaxBody, cancellationToken).ConfigureAwait(false);
        return new CheckAnswer(CheckResult.Denied, $"it answered {status}")
        {
            Reply = new Reply(status is >= 300 and < 500 and not 304 ? status : 403, kept, body),
        };
    }

    private List<FieldChange> ToUpstream(List<KeyValuePair<string, string>> fields) =>
    [
        .. fields.Where(field => field.Key.Equals(FieldsToRemove, StringComparison.OrdinalIgnoreCase))
            .SelectMany(field => field.Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            .Where(name => FieldChange.IsSafe(name, ""))
            .Take(MaxFields)
            .Select(name => new FieldChange(FieldAction.Remove, name, "")),
        .. Changes(fields, _settings.ToUpstreamOnAllow),
    ];

    /// <summary>The first line of a field replaces what is there, further ones are added to it.</summary>
    private static List<FieldChange> Changes(List<KeyValuePair<string, string>> fields, FieldNames chosen)
    {
        var changes = new List<FieldChange>();
        foreach (var (name, value) in fields.Where(field => chosen.Contain(field.Key) && FieldChange.IsSafe(field.Key, field.Value)).Take(MaxFields))
        {
            var isFirst = !changes.Exists(change => change.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
            changes.Add(new FieldChange(isFirst ? FieldAction.Set : FieldAction.Append, name, value));
        }

        return changes;
    }
}
