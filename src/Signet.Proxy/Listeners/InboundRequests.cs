using Signet.Policy;
using Signet.Policy.Jwt;
using Signet.Proxy.Authorization;
using Signet.Proxy.Connections;
using Signet.Proxy.L7;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Tls;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Listeners;

/// <summary>
/// The requests of a peer to the workload: those of an HTTP/1 connection one after the other, or the one of an HTTP/2 stream. What was
/// permitted is asked about again while it lives, where it lives long. Used again and again, since deciding needs buffers.
/// </summary>
internal sealed class InboundRequests : IHttpRole
{
    private static readonly Reply InvalidToken = new(401, [new("www-authenticate", "Bearer error=\"invalid_token\"")]);

    private readonly InboundConnection _connection;
    private readonly Authorisers _authorisers;
    private readonly ProxyCore _core;
    private readonly RequestFacts _facts;
    private readonly Func<LiveConnection.Closure?> _recheck;
    private LiveConnection _life;
    private bool _isStream;

    public InboundRequests(InboundConnection connection, Authorisers authorisers, ProxyCore core, LiveConnection life, RequestFacts facts)
    {
        (_connection, _authorisers, _core, _life, _facts) = (connection, authorisers, core, life, facts);
        _recheck = () => _connection.CheckTrust() ?? _connection.CheckPolicy(_facts);
    }

    public UpstreamPool Pool => _connection.Pool;

    public AccessRecord NewRecord()
    {
        var record = _connection.NewRecord();
        record.Protocol = "http";
        return record;
    }

    public IHttpRole ForStream(LiveConnection stream) => _connection.RequestsOf(stream);

    /// <summary>Serves a stream from now on.</summary>
    public InboundRequests On(LiveConnection stream)
    {
        (_life, _isStream) = (stream, true);
        return this;
    }

    /// <summary>Nobody is asked about the request any more.</summary>
    public void Dispose()
    {
        if (_isStream)
        {
            _life.KeepAsking(null);
            _connection.GiveBack(this);
        }
    }

    /// <summary>
    /// Judges by the fields that would be forwarded. External authorisers come first, as in Istio: what they do to a request may bring the token
    /// that is looked at next. Then every other policy decides.
    /// </summary>
    public async ValueTask<Ruling> JudgeAsync(RequestHead head, List<KeyValuePair<string, string>> fields, AccessRecord record)
    {
        var model = _core.Model!;
        var rules = model.Policy.JwtRules;
        record.Path = TokenFields.WithoutSecrets(rules, head.Path);
        _connection.Hop.Apply(head.Headers, head.Host, record.Version!, fields, record);
        if (_core.RateLimits.Judge(_connection.RateLimit, record) is { } tooMany)
        {
            return tooMany;
        }

        _facts.ResetRequest();
        (_facts.Protocol, _facts.Method, _facts.Host, _facts.Path, _facts.Headers) = (Signet.Policy.Protocol.Http, head.Method, head.Host, head.Path, fields);

        // 1. External authorisers.
        TokenFields.RemoveForged(rules, fields);
        Hearing? hearing = null;
        Func<CheckSubject>? subject = null;
        if (model.MayAsk)
        {
            (hearing, subject) = (new Hearing(_authorisers, model.Policy, _facts, fields), SubjectOf(head, fields, record));
            await hearing.DecideAsync(subject, _life.Token).ConfigureAwait(false);
            TokenFields.RemoveForged(rules, fields);
            if (hearing.PassedOver is { } open)
            {
                record.Detail = open;
            }
        }

        // 2. Tokens; one that is not believed ends the request, unless an authoriser has already done so.
        if (rules.Count > 0 && hearing is not { Reply: not null })
        {
            var token = await _core.TokenKeys.VerifyAsync(rules, fields, head.Path, _life.Token).ConfigureAwait(false);
            switch (token.Outcome)
            {
                case TokenOutcome.Invalid:
                    record.Refuse(RefusalReason.TokenInvalid, token.Reason);
                    return new Ruling(null, InvalidToken);
                case TokenOutcome.Valid:
                    _facts.Jwt = token.Jwt;
                    _facts.Path = TokenFields.Apply(token, fields, head.Path);
                    break;
            }
        }

        // 3. Decide.
        var decision = hearing is null ? model.Policy.Decide(_facts) : await hearing.DecideAsync(subject!, _life.Token).ConfigureAwait(false);
        record.Verdict = decision.Verdict;
        if (decision.Permit is not { } permit)
        {
            (record.Refusal, record.Detail) = (RefusalReason.PolicyDenied, null);
            return decision.Verdict.Stage == Stage.Custom ? new Ruling(null, hearing?.Reply) : Ruling.Refused;
        }

        KeepAsking(permit, model);
        return new Ruling(new Forwarding(Clearance.Inbound(permit), JudgedPath(), fields, hearing?.ToDownstream ?? []), null);
    }

    /// <summary>What authorisers are told, as it is when one is asked.</summary>
    private Func<CheckSubject> SubjectOf(RequestHead head, List<KeyValuePair<string, string>> fields, AccessRecord record) => () =>
    {
        List<KeyValuePair<string, string>> seen = [.. fields];
        var size = head.Body.Kind == BodyKind.Chunked ? -1 : head.Body.Length;
        return _connection.Subject(record, new CheckedRequest(record.RequestId, record.HttpVersion!, head.Method, head.Host, JudgedPath(), size, seen));
    };

    /// <summary>The path as policy has just judged it, with its query.</summary>
    private string JudgedPath()
    {
        var path = _facts.Path!;
        var query = path.IndexOf('?', StringComparison.Ordinal);
        return query >= 0 ? string.Concat(_facts.NormalizedPath, path.AsSpan(query))
            : _facts.NormalizedPath.SequenceEqual(path) ? path
            : _facts.NormalizedPath.ToString();
    }

    public void Reached(TlsSession? server)
    {
        // Nobody proves to be the own application.
    }

    public void KeepAsking(TlsSession? upstream, bool isTunnel) => _life.KeepAsking(isTunnel ? _recheck : _connection.IsAuthenticated ? _connection.CheckTrust : null);

    /// <summary>A stream may last for hours. What was decided a moment ago is not decided again, unless policies have changed meanwhile.</summary>
    private void KeepAsking(Permit permit, ProxyModel model)
    {
        _life.Policy = permit.Policy;
        if (_isStream)
        {
            _life.KeepAsking(_recheck, askNow: !ReferenceEquals(_core.Model, model));
        }
    }
}
