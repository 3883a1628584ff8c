using System.Net;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Proxy.L7;

namespace Signet.Proxy.Authorization;

/// <summary>What an external authoriser is told.</summary>
/// <param name="Began">When the connection or request began.</param>
/// <param name="Source">The peer's address.</param>
/// <param name="Destination">The address that it connected to.</param>
/// <param name="Peer">The authenticated peer, or null.</param>
/// <param name="Self">The own identity, or null.</param>
/// <param name="Sni">The server name that was asked for, or null.</param>
/// <param name="Http">The request; null for a TCP connection.</param>
internal sealed record CheckSubject(DateTimeOffset Began, IPEndPoint Source, IPEndPoint? Destination, SpiffeId? Peer, SpiffeId? Self, string? Sni, CheckedRequest? Http);

/// <param name="Id">The request's ID.</param>
/// <param name="Version">As in <c>HTTP/1.1</c> or <c>HTTP/2</c>.</param>
/// <param name="Method">The method.</param>
/// <param name="Host">The host.</param>
/// <param name="Path">The path as it was judged, with the query as it came.</param>
/// <param name="Size">The body's length in bytes; -1 when it is not known.</param>
/// <param name="Fields">The fields that would go to the application.</param>
internal sealed record CheckedRequest(string? Id, string Version, string Method, string Host, string Path, long Size, IReadOnlyList<KeyValuePair<string, string>> Fields);

/// <summary>How asking an external authoriser ended: the label of its metric.</summary>
internal enum CheckResult
{
    Allowed,
    Denied,

    /// <summary>No answer in time.</summary>
    TimedOut,

    /// <summary>It could not be reached, or its answer could not be understood.</summary>
    Failed,

    /// <summary>There is no way to it on which nobody could answer in its place. Denied even when the provider fails open.</summary>
    Unsafe,
}

/// <summary>What an external authoriser said, or why it said nothing.</summary>
/// <param name="Result">How it ended.</param>
/// <param name="Reason">For the operator.</param>
internal sealed record CheckAnswer(CheckResult Result, string Reason)
{
    /// <summary>What it changes in a request that passes.</summary>
    public IReadOnlyList<FieldChange> ToUpstream { get; init; } = [];

    /// <summary>What it changes in the response to a request that passes.</summary>
    public IReadOnlyList<FieldChange> ToDownstream { get; init; } = [];

    /// <summary>What the client gets when the request does not pass; null for the proxy's own words.</summary>
    public Reply? Reply { get; init; }

    public CustomAnswer ForPolicy => new(
        Result switch
        {
            CheckResult.Allowed => CustomOutcome.Allowed,
            CheckResult.Denied or CheckResult.Unsafe => CustomOutcome.Denied,
            _ => CustomOutcome.NoAnswer,
        },
        Reason);
}
