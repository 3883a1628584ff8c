namespace Signet.Proxy.L7;

public enum BodyStepKind
{
    NeedMore,
    Payload,
    End,
    Malformed,
}

/// <summary>What the front of the received bytes is: <paramref name="Skip"/> bytes of framing, then <paramref name="Length"/> bytes of payload.</summary>
public readonly record struct BodyStep(BodyStepKind Kind, int Skip, int Length, HttpProblem Problem)
{
    internal static BodyStep Need(int skip) => new(BodyStepKind.NeedMore, skip, 0, default);

    internal static BodyStep Data(int skip, int length) => new(BodyStepKind.Payload, skip, length, default);

    internal static BodyStep Done(int skip) => new(BodyStepKind.End, skip, 0, default);

    internal static BodyStep Bad(HttpProblem problem) => new(BodyStepKind.Malformed, 0, 0, problem);
}

/// <summary>
/// Takes the framing off a body, step by step, without I/O: the caller shows what it has, takes off what the step says, and comes again.
/// Chunk extensions are dropped; the sender behind frames the payload anew.
/// </summary>
public sealed class BodyDecoder
{
    private List<KeyValuePair<string, string>>? _trailers;
    private HeadScanner _trailerScanner;
    private BodyKind _kind;
    private State _state;
    private long _left;

    public BodyDecoder(BodyFraming framing) => Begin(framing);

    private enum State
    {
        ChunkLine,
        Data,
        ChunkEnd,
        Trailers,
        UntilClose,
        End,
    }

    /// <summary>Trailer fields, known once the body has ended.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Trailers => _trailers ?? (IReadOnlyList<KeyValuePair<string, string>>)[];

    /// <summary>Whether the connection's end is the body's.</summary>
    public bool EndsAtClose => _state == State.UntilClose;

    /// <summary>Whether the whole body has been seen.</summary>
    public bool IsComplete => _state == State.End;

    /// <summary>Begins with another body.</summary>
    public void Begin(BodyFraming framing)
    {
        (_trailers, _trailerScanner) = (null, default);
        (_kind, _left) = (framing.Kind, framing.Length);
        _state = framing.Kind switch
        {
            BodyKind.None => State.End,
            BodyKind.Length => State.Data,
            BodyKind.Chunked => State.ChunkLine,
            _ => State.UntilClose,
        };
    }

    /// <summary>Judges the front of what has been received and not yet taken off.</summary>
    public BodyStep Next(ReadOnlySpan<byte> received)
    {
        var skip = 0;
        while (true)
        {
            var rest = received[skip..];
            switch (_state)
            {
                case State.End:
                    return BodyStep.Done(skip);

                case State.UntilClose:
                    return rest.IsEmpty ? BodyStep.Need(skip) : BodyStep.Data(skip, rest.Length);

                case State.Data:
                    if (rest.IsEmpty)
                    {
                        return BodyStep.Need(skip);
                    }

                    var length = (int)Math.Min(_left, rest.Length);
                    _left -= length;
                    if (_left == 0)
                    {
                        _state = _kind == BodyKind.Chunked ? State.ChunkEnd : State.End;
                    }

                    return BodyStep.Data(skip, length);

                // chunk-data is followed by CR LF, exactly
                case State.ChunkEnd:
                    if ((rest.Length > 0 && rest[0] != '\r') || (rest.Length > 1 && rest[1] != '\n'))
                    {
                        return BodyStep.Bad(HttpProblem.ChunkMalformed);
                    }

                    if (rest.Length < 2)
                    {
                        return BodyStep.Need(skip);
                    }

                    skip += 2;
                    _state = State.ChunkLine;
                    break;

                // chunk-size [ ";" chunk-ext ] CR LF
                case State.ChunkLine:
                    var end = rest.IndexOf((byte)'\n');
                    if (end < 0 ? rest.Length > HttpLimits.MaxChunkLine : end > HttpLimits.MaxChunkLine)
                    {
                        return BodyStep.Bad(HttpProblem.ChunkMalformed);
                    }

                    if (end < 0)
                    {
                        return BodyStep.Need(skip);
                    }

                    if (!TryReadSize(rest[..end], out _left))
                    {
                        return BodyStep.Bad(HttpProblem.ChunkMalformed);
                    }

                    skip += end + 1;
                    _state = _left == 0 ? State.Trailers : State.Data;
                    break;

                case State.Trailers:
                    return ReadTrailers(rest, skip);
            }
        }
    }

    private BodyStep ReadTrailers(ReadOnlySpan<byte> rest, int skip)
    {
        // The scanner remembers how far it looked, counted from the section's first byte, so framing before it is given up first.
        if (skip > 0)
        {
            return BodyStep.Data(skip, 0);
        }

        if (!_trailerScanner.TryFindEnd(rest, out var length, out var problem))
        {
            return problem is { } malformed ? BodyStep.Bad(malformed)
                : rest.Length >= HttpLimits.MaxTrailers ? BodyStep.Bad(HttpProblem.TrailersTooLarge)
                : BodyStep.Need(0);
        }

        if (length > HttpLimits.MaxTrailers)
        {
            return BodyStep.Bad(HttpProblem.TrailersTooLarge);
        }

        _trailers = [];
        if (!FieldLines.TryRead(rest[..length], _trailers, out var fieldProblem))
        {
            return BodyStep.Bad(fieldProblem);
        }

        if (!ForwardedHeaders.MayBeTrailers(_trailers))
        {
            return BodyStep.Bad(HttpProblem.TrailerForbidden);
        }

        _state = State.End;
        return BodyStep.Done(length);
    }

    private static bool TryReadSize(ReadOnlySpan<byte> line, out long size)
    {
        size = 0;
        if (!line.EndsWith("\r"u8))
        {
            return false;
        }

        line = line[..^1];
        var digits = 0;
        while (digits < line.Length && char.IsAsciiHexDigit((char)line[digits]))
        {
            if (digits == HttpLimits.MaxChunkDigits)
            {
                return false;
            }

            var digit = line[digits++];
            size = (size << 4) | (digit <= '9' ? digit - (long)'0' : (digit | 0x20) - (long)'a' + 10);
        }

        var extension = line[digits..];
        return digits > 0 && (extension.IsEmpty || (extension[0] == ';' && extension.IndexOfAnyExceptInRange((byte)' ', (byte)'~') < 0));
    }
}
