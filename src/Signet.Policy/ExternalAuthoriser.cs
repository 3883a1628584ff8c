namespace Signet.Policy;

/// <summary>How an external authoriser is asked.</summary>
public enum AuthoriserProtocol
{
    /// <summary><c>envoy.service.auth.v3.Authorization/Check</c>.</summary>
    Grpc,

    /// <summary>The request's head is sent to it; 200 lets the request pass.</summary>
    Http,
}

/// <summary>Where an external authoriser is and how it is asked: <c>envoyExtAuthzGrpc</c> or <c>envoyExtAuthzHttp</c> of a provider. Immutable.</summary>
/// <param name="Protocol">What it speaks.</param>
/// <param name="Host">Its service's name, without the namespace that may stand before it.</param>
/// <param name="Port">Its service's port.</param>
public sealed record ExternalAuthoriser(AuthoriserProtocol Protocol, string Host, int Port)
{
    /// <summary>How long an answer is waited for.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(600);

    /// <summary>What a client gets when there is no answer: 400 to 599.</summary>
    public int StatusOnError { get; init; } = 403;

    /// <summary>HTTP only: stands before the request's path.</summary>
    public string PathPrefix { get; init; } = "";

    /// <summary>HTTP only: the request's fields that it gets.</summary>
    public FieldNames SentToIt { get; init; } = FieldNames.None;

    /// <summary>HTTP only: fields that it always gets, with their values.</summary>
    public IReadOnlyDictionary<string, string> AlwaysSentToIt { get; init; } = new Dictionary<string, string>();

    /// <summary>HTTP only: fields of a positive answer that replace the request's.</summary>
    public FieldNames ToUpstreamOnAllow { get; init; } = FieldNames.None;

    /// <summary>HTTP only: fields of a positive answer that replace the response's.</summary>
    public FieldNames ToDownstreamOnAllow { get; init; } = FieldNames.None;

    /// <summary>HTTP only: fields of a negative answer that the client gets; null for all.</summary>
    public FieldNames? ToDownstreamOnDeny { get; init; }
}

/// <summary>Names of header fields: exact, <c>abc*</c> or <c>*abc</c>, in any case. Immutable.</summary>
public sealed class FieldNames
{
    private readonly StringPattern[] _patterns;

    private FieldNames(IEnumerable<string> patterns) => _patterns = [.. patterns.Select(StringPattern.Of)];

    public static FieldNames None { get; } = new([]);

    public static FieldNames Of(IEnumerable<string> patterns) => new(patterns);

    public bool Contain(string name)
    {
        foreach (var pattern in _patterns)
        {
            if (pattern.Matches(name, ignoreCase: true))
            {
                return true;
            }
        }

        return false;
    }
}
