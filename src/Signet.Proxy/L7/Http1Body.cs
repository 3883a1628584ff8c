using Signet.Proxy.Transport;

namespace Signet.Proxy.L7;

/// <summary>The bodies that one side of an HTTP/1 connection sends, one after the other.</summary>
internal sealed class Http1Body(BufferedTransport from) : IBodySource
{
    private readonly BodyDecoder _decoder = new(BodyFraming.None);
    private bool _hasPeerEnded;

    public IReadOnlyList<KeyValuePair<string, string>> Trailers => _decoder.Trailers;

    /// <summary>Whether the whole body was taken, so that what follows on the connection is the next message.</summary>
    public bool IsComplete => _decoder.IsComplete;

    public bool IsUntouched => false;

    /// <summary>The next message's body.</summary>
    public void Begin(BodyFraming framing)
    {
        _decoder.Begin(framing);
        _hasPeerEnded = false;
    }

    public BodyStepKind Next(out ReadOnlyMemory<byte> payload, out HttpProblem problem)
    {
        while (true)
        {
            var step = _decoder.Next(from.Available.Span);
            from.Consume(step.Skip);
            (payload, problem) = (default, step.Problem);
            switch (step.Kind)
            {
                case BodyStepKind.Payload when step.Length == 0:
                    continue;

                case BodyStepKind.Payload:
                    payload = from.Available[..step.Length];
                    from.Consume(step.Length);
                    return BodyStepKind.Payload;

                case BodyStepKind.NeedMore when _hasPeerEnded:
                    problem = HttpProblem.BodyCutShort;
                    return _decoder.EndsAtClose ? BodyStepKind.End : BodyStepKind.Malformed;

                default:
                    return step.Kind;
            }
        }
    }

    public async ValueTask WaitAsync(CancellationToken cancellationToken) =>
        _hasPeerEnded = !await from.ReadMoreAsync(HttpLimits.BodyBuffer, cancellationToken).ConfigureAwait(false);
}
