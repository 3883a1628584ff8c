using Signet.Rpc.Protocol;

namespace Signet.Rpc;

/// <summary>The limits of a channel.</summary>
public sealed record GrpcChannelOptions
{
    /// <summary>The longest response message that is accepted, in bytes. A longer one ends its call with ResourceExhausted.</summary>
    public int MaxReceiveMessageLength { get; init; } = Frame.DefaultMaxMessageLength;

    /// <summary>The longest request message that is sent, in bytes. A longer one is refused before a byte of it leaves.</summary>
    public int MaxSendMessageLength { get; init; } = Frame.DefaultMaxMessageLength;

    /// <summary>How long a new connection may take, TLS handshake included.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// After how much silence a connection that has calls is pinged. By default 30 s on TCP and never on a Unix socket,
    /// where the kernel reports a dead peer at once and some servers close connections that ping.
    /// </summary>
    public TimeSpan? KeepAliveInterval { get; init; }

    /// <summary>How long the answer to a ping may take before the connection and its calls are given up.</summary>
    public TimeSpan KeepAliveTimeout { get; init; } = TimeSpan.FromSeconds(10);
}
