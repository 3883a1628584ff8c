using Signet.Proxy.Http2;

namespace Signet.Proxy.L7;

/// <summary>The payload that the other side sends on a stream, handed on in the buffers in which it arrived.</summary>
internal sealed class Http2Body(Http2Stream stream) : IBodySource
{
    private Inbox _taken;

    public IReadOnlyList<KeyValuePair<string, string>> Trailers => stream.Trailers;

    public bool IsUntouched { get; private set; } = true;

    public BodyStepKind Next(out ReadOnlyMemory<byte> payload, out HttpProblem problem)
    {
        stream.Take(ref _taken);
        (payload, problem) = (_taken.Memory, default);
        if (!payload.IsEmpty)
        {
            IsUntouched = false;
            return BodyStepKind.Payload;
        }

        if (!stream.IsRead)
        {
            return BodyStepKind.NeedMore;
        }

        problem = HttpProblem.TrailerForbidden;
        return ForwardedHeaders.MayBeTrailers(stream.Trailers) ? BodyStepKind.End : BodyStepKind.Malformed;
    }

    public async ValueTask WaitAsync(CancellationToken cancellationToken) => await stream.ReadAsync(Memory<byte>.Empty, cancellationToken).ConfigureAwait(false);

    /// <summary>Nobody reads on. What was taken last may still be under way, so its buffer is left to the garbage collector.</summary>
    public void Leave()
    {
        var count = _taken.Length;
        _taken = default;
        if (count > 0)
        {
            stream.GiveUp(count);
        }
    }
}
