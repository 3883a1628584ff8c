namespace Signet.Hosting.Grpc;

/// <summary>The limits of the gRPC services of an application.</summary>
public sealed record GrpcServerOptions
{
    /// <summary>The longest request message that is accepted, in bytes. A longer one ends its call with ResourceExhausted.</summary>
    public int MaxReceiveMessageLength { get; init; } = 4 * 1024 * 1024;

    /// <summary>
    /// The longest response message that is sent, in bytes. A longer one ends its call with ResourceExhausted before a byte of it
    /// leaves. Peers accept 4 MiB unless they were told otherwise.
    /// </summary>
    public int MaxSendMessageLength { get; init; } = 4 * 1024 * 1024;
}
