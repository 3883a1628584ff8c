using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Envoy.Core;
using Signet.Rpc.Wire.Envoy.Discovery;
using RpcStatus = Signet.Rpc.Wire.GoogleRpc.Status;

namespace Signet.Agent.Sds;

/// <summary>What a request meant; it can mean two things at once.</summary>
[Flags]
internal enum SdsEvent
{
    /// <summary>It answers a response that was superseded; nothing follows from that.</summary>
    Stale = 0,

    /// <summary>The newest response was taken over.</summary>
    Accepted = 1,

    /// <summary>The newest response was refused; the client keeps what it had.</summary>
    Rejected = 2,

    /// <summary>The client wants something that it has not been told yet.</summary>
    Subscribed = 4,
}

/// <summary>A request, understood.</summary>
/// <param name="Event">What it meant.</param>
/// <param name="Problem">Why the newest response was refused; empty when it was not. From the client, made safe to show.</param>
internal readonly record struct SdsReading(SdsEvent Event, string Problem = "");

/// <summary>A response, and under which version the client knows what it then has.</summary>
internal readonly record struct SdsReply<TResponse>(TResponse Message, string Version);

/// <summary>
/// One client's stream under one of the two xDS protocols: what it wants, what it was told, whether it took that over. No I/O; not thread-safe.
/// </summary>
internal interface ISdsDialogue<TRequest, TResponse>
    where TResponse : class
{
    /// <summary>Whether the client has asked for anything at all.</summary>
    bool IsOpen { get; }

    /// <summary>Whether the client wants something that it has not been told yet.</summary>
    bool Owes { get; }

    /// <summary>Whether the newest response was answered, or there was none.</summary>
    bool IsSettled { get; }

    /// <summary>Whether it wants everything that it may have, beside <see cref="Names"/>.</summary>
    bool IsWildcard { get; }

    /// <summary>The names that it asks for.</summary>
    IReadOnlyCollection<string> Names { get; }

    /// <summary>Why a request can't be taken; empty when it can.</summary>
    string ProblemOf(TRequest request);

    /// <summary>Who the client says it is; null in most requests but the first.</summary>
    Node? NodeOf(TRequest request);

    SdsReading Take(TRequest request);

    /// <summary>What is to be said, or null when it is nothing new.</summary>
    SdsReply<TResponse>? Reply(IReadOnlyList<NamedAnswer> answers);
}

/// <summary>What both protocols have in common.</summary>
internal static class SdsRules
{
    public const string TypeUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

    /// <summary>The name for everything.</summary>
    public const string Wildcard = "*";

    /// <summary>How many names a stream may ask for.</summary>
    public const int MaxNames = 256;

    /// <summary>How much goes into one response, in bytes; what is beyond waits or is left out.</summary>
    public const int MaxResponseBytes = 3 * 1024 * 1024;

    /// <summary>The most of a client's complaint that is kept, in characters.</summary>
    public const int MaxProblem = 256;

    public static string ProblemOf(string typeUrl, IReadOnlyCollection<string> names) =>
        typeUrl.Length > 0 && typeUrl != TypeUrl ? $"type \"{Printable.Of(typeUrl)}\" is not served here; only {TypeUrl}"
        : names.Count > MaxNames ? $"{names.Count} names in one request; the limit is {MaxNames}"
        : names.Any(name => name.Length > SecretName.MaxLength) ? $"a name is longer than {SecretName.MaxLength} characters"
        : "";

    public static string NewNonce() => Guid.NewGuid().ToString("N");

    public static string Complaint(RpcStatus status)
    {
        var text = status.Message.Length <= MaxProblem ? status.Message : status.Message[..MaxProblem];
        return string.Concat(text.Chunk(128).Select(piece => Printable.Of(piece))) is { Length: > 0 } said ? said : $"code {status.Code}";
    }

    public static Any Pack(SecretAnswer.Found found) => Any.Pack(found.Make());

    /// <summary>A name's own refusal, for clients that read it.</summary>
    public static ResourceError ErrorOf(string name, StatusCode code, string reason) =>
        new() { ResourceName = new ResourceName { Name = name }, ErrorDetail = new RpcStatus { Code = (int)code, Message = reason } };

    public static int SizeOf(IMessage message) => message.CalculateSize();
}
