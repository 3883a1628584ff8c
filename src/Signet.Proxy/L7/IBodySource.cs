namespace Signet.Proxy.L7;

/// <summary>The payload of one message as it comes, without its framing. One reader.</summary>
internal interface IBodySource
{
    /// <summary>Looks at what has arrived, without waiting.</summary>
    /// <param name="payload">The next piece of payload; valid until the next call.</param>
    /// <param name="problem">What is wrong with it, if something is.</param>
    BodyStepKind Next(out ReadOnlyMemory<byte> payload, out HttpProblem problem);

    /// <summary>Waits for more.</summary>
    /// <exception cref="IOException">The message broke off.</exception>
    ValueTask WaitAsync(CancellationToken cancellationToken);

    /// <summary>The fields after the payload, once that has ended.</summary>
    IReadOnlyList<KeyValuePair<string, string>> Trailers { get; }

    /// <summary>Whether nothing was taken from it yet, so that it can be read from the beginning by somebody else.</summary>
    bool IsUntouched { get; }
}

/// <summary>Where the payload of one message goes; it puts on the framing that belongs there. One writer.</summary>
internal interface IBodySink
{
    /// <summary>Takes payload, perhaps to send it later together with more.</summary>
    /// <exception cref="IOException">Nobody takes it any more.</exception>
    ValueTask WriteAsync(ReadOnlyMemory<byte> payload, CancellationToken cancellationToken);

    /// <summary>Sends what was gathered. Whoever is about to wait for more input calls this first.</summary>
    /// <exception cref="IOException">Nobody takes it any more.</exception>
    ValueTask FlushAsync(CancellationToken cancellationToken);

    /// <summary>Says that the message is complete, and sends it.</summary>
    /// <exception cref="IOException">Nobody takes it any more.</exception>
    ValueTask EndAsync(IReadOnlyList<KeyValuePair<string, string>> trailers, CancellationToken cancellationToken);
}
