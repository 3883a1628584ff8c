namespace Grpc.Core;

/// <summary>What a handler can learn about its call, and say beside its response.</summary>
public abstract class ServerCallContext
{
    /// <summary>The path on the wire: <c>/grpc.health.v1.Health/Check</c>.</summary>
    public abstract string Method { get; }

    /// <summary>The other end of the connection: <c>unix:</c>, <c>ipv4:192.0.2.1:443</c> or <c>ipv6:[2001:db8::1]:443</c>.</summary>
    public abstract string Peer { get; }

    /// <summary>When the caller stops waiting, in UTC; <see cref="DateTime.MaxValue"/> when it did not say.</summary>
    public abstract DateTime Deadline { get; }

    public abstract Metadata RequestHeaders { get; }

    /// <summary>Fires when nobody waits for the answer any more: the caller left, its deadline passed or the server stops.</summary>
    public abstract CancellationToken CancellationToken { get; }

    /// <summary>Sent after the response, with the status.</summary>
    public Metadata ResponseTrailers { get; } = [];

    /// <summary>What a filter found out and a handler wants to know. Not thread-safe.</summary>
    public IDictionary<object, object> UserState { get; } = new Dictionary<object, object>();

    /// <summary>The status that a handler which returns normally ends with.</summary>
    public Status Status { get; set; } = Status.DefaultSuccess;

    /// <summary>Sends headers ahead of the first response.</summary>
    /// <exception cref="InvalidOperationException">Headers have left already.</exception>
    public abstract Task WriteResponseHeadersAsync(Metadata responseHeaders);
}
