using System.Buffers;
using System.Globalization;
using System.Text;
using Signet.Proxy.Transport;

namespace Signet.Proxy.L7;

/// <summary>
/// Gathers a message's head and the payload that is already there, so that a small message leaves in one write. Whoever is about to wait
/// for more input flushes first. The buffer comes from the shared pool and goes back when it is empty; dispose to give up what is in it.
/// </summary>
internal sealed class OutputBuffer(ITransport to) : IDisposable
{
    private const int Capacity = 32 * 1024;
    private const int ChunkOverhead = 16;
    private const int FieldOverhead = 4;
    private const int DirectWrite = 8 * 1024;
    private const string EndOfLine = "\r\n";

    private byte[]? _buffer;
    private int _length;

    /// <summary>Writes a request's head.</summary>
    public ValueTask WriteRequestHeadAsync(string method, string path, IReadOnlyList<KeyValuePair<string, string>> fields, CancellationToken cancellationToken) =>
        WriteHeadAsync([method, " ", path, " HTTP/1.1\r\n"], fields, cancellationToken);

    /// <summary>Writes a response's head.</summary>
    public ValueTask WriteResponseHeadAsync(int status, string phrase, IReadOnlyList<KeyValuePair<string, string>> fields, CancellationToken cancellationToken) =>
        WriteHeadAsync(["HTTP/1.1 ", status.ToString(CultureInfo.InvariantCulture), " ", phrase, EndOfLine], fields, cancellationToken);

    /// <summary>Writes payload, as one or more chunks if so asked. An empty payload writes nothing: in chunks it would be the end.</summary>
    public ValueTask WritePayloadAsync(ReadOnlyMemory<byte> payload, bool asChunks, CancellationToken cancellationToken)
    {
        if (asChunks || payload.Length >= DirectWrite || payload.Length > Capacity - _length)
        {
            return WriteInPartsAsync(payload, asChunks, cancellationToken);
        }

        Append(payload.Span);
        return default;
    }

    private async ValueTask WriteInPartsAsync(ReadOnlyMemory<byte> payload, bool asChunks, CancellationToken cancellationToken)
    {
        if (!asChunks && payload.Length >= DirectWrite)
        {
            await FlushAsync(cancellationToken).ConfigureAwait(false);
            await to.WriteAsync(payload, cancellationToken).ConfigureAwait(false);
            return;
        }

        while (!payload.IsEmpty)
        {
            var overhead = asChunks ? ChunkOverhead : 0;
            if (Capacity - _length <= overhead)
            {
                await FlushAsync(cancellationToken).ConfigureAwait(false);
            }

            var part = payload[..Math.Min(payload.Length, Capacity - _length - overhead)];
            if (asChunks)
            {
                Append(string.Create(CultureInfo.InvariantCulture, $"{part.Length:x}\r\n"));
            }

            Append(part.Span);
            if (asChunks)
            {
                Append(EndOfLine);
            }

            payload = payload[part.Length..];
        }
    }

    /// <summary>Ends a message, in chunks with the last one and the trailer fields, and hands it over.</summary>
    public ValueTask EndAsync(bool asChunks, IReadOnlyList<KeyValuePair<string, string>> trailers, CancellationToken cancellationToken) =>
        asChunks ? EndChunksAsync(trailers, cancellationToken) : FlushAsync(cancellationToken);

    /// <summary>Hands over what was gathered.</summary>
    public ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        if (_length == 0)
        {
            return default;
        }

        var length = _length;
        _length = 0;
        var write = to.WriteAsync(_buffer.AsMemory(0, length), cancellationToken);
        if (!write.IsCompletedSuccessfully)
        {
            return FinishAsync(write);
        }

        write.GetAwaiter().GetResult();
        Dispose();
        return default;
    }

    public void Dispose()
    {
        _length = 0;
        if (_buffer is { } buffer)
        {
            _buffer = null;
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async ValueTask FinishAsync(ValueTask write)
    {
        await write.ConfigureAwait(false);
        Dispose();
    }

    private async ValueTask EndChunksAsync(IReadOnlyList<KeyValuePair<string, string>> trailers, CancellationToken cancellationToken)
    {
        await WriteHeadAsync(["0\r\n"], trailers, cancellationToken).ConfigureAwait(false);
        await FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private ValueTask WriteHeadAsync(ReadOnlySpan<string> startLine, IReadOnlyList<KeyValuePair<string, string>> fields, CancellationToken cancellationToken)
    {
        var size = EndOfLine.Length;
        foreach (var part in startLine)
        {
            size += part.Length;
        }

        for (var i = 0; i < fields.Count; i++)
        {
            size += fields[i].Key.Length + fields[i].Value.Length + FieldOverhead;
        }

        if (size > Capacity - _length)
        {
            return WriteLongHeadAsync(string.Concat(startLine), fields, cancellationToken);
        }

        foreach (var part in startLine)
        {
            Append(part);
        }

        for (var i = 0; i < fields.Count; i++)
        {
            var (name, value) = fields[i];
            Append(name);
            Append(": ");
            Append(value);
            Append(EndOfLine);
        }

        Append(EndOfLine);
        return default;
    }

    private async ValueTask WriteLongHeadAsync(string startLine, IReadOnlyList<KeyValuePair<string, string>> fields, CancellationToken cancellationToken)
    {
        await AppendAsync(startLine, cancellationToken).ConfigureAwait(false);
        for (var i = 0; i < fields.Count; i++)
        {
            await AppendAsync($"{fields[i].Key}: {fields[i].Value}{EndOfLine}", cancellationToken).ConfigureAwait(false);
        }

        await AppendAsync(EndOfLine, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Text that may be longer than the buffer.</summary>
    private async ValueTask AppendAsync(string text, CancellationToken cancellationToken)
    {
        var rest = text.AsMemory();
        while (!rest.IsEmpty)
        {
            if (_length == Capacity)
            {
                await FlushAsync(cancellationToken).ConfigureAwait(false);
            }

            var part = rest[..Math.Min(rest.Length, Capacity - _length)];
            Append(part.Span);
            rest = rest[part.Length..];
        }
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Room(bytes.Length));
        _length += bytes.Length;
    }

    private void Append(ReadOnlySpan<char> text) => _length += Encoding.Latin1.GetBytes(text, Room(text.Length));

    private Span<byte> Room(int count) => (_buffer ??= ArrayPool<byte>.Shared.Rent(Capacity)).AsSpan(_length, count);
}
