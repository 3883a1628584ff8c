using System.Buffers;
using System.Runtime.CompilerServices;

namespace Signet.Proxy.Transport;

/// <summary>
/// A transport whose next bytes can be looked at before they are taken: sniffing and the HTTP codec read through it, and whoever takes
/// over afterwards (TLS, a relay) reads the same bytes again. The buffer comes from the shared pool and goes back when it is empty.
/// </summary>
public sealed class BufferedTransport(ITransport below) : ITransport
{
    private const int FirstBuffer = 4 * 1024;

    private byte[]? _buffer;
    private int _start;
    private int _end;

    /// <summary>Bytes that were read and not yet taken. Valid until the next call.</summary>
    public ReadOnlyMemory<byte> Available => _buffer is null ? default : _buffer.AsMemory(_start, _end - _start);

    /// <summary>Waits until there is something to read, or the end, without a buffer. Nothing may be <see cref="Available"/>.</summary>
    public ValueTask<int> WaitAsync(CancellationToken cancellationToken)
    {
        ReleaseIfEmpty();
        return below.ReadAsync(Memory<byte>.Empty, cancellationToken);
    }

    /// <summary>Reads more bytes behind those that are <see cref="Available"/>, of which there may then be up to <paramref name="limit"/>.</summary>
    /// <returns>False when the peer has ended its direction.</returns>
    /// <exception cref="InvalidOperationException">The limit is already reached; the caller must look before it reads.</exception>
    public ValueTask<bool> ReadMoreAsync(int limit, CancellationToken cancellationToken)
    {
        if (_end - _start >= limit)
        {
            throw new InvalidOperationException($"{_end - _start} bytes are waiting; the limit is {limit}");
        }

        if (_buffer is null)
        {
            // An idle connection holds no buffer: wait first, rent when there is something to put into it.
            var wait = below.ReadAsync(Memory<byte>.Empty, cancellationToken);
            if (!wait.IsCompletedSuccessfully)
            {
                return WaitAndReadAsync(wait, limit, cancellationToken);
            }

            _ = wait.Result;
        }

        var read = ReadBehindAsync(limit, cancellationToken);
        return read.IsCompletedSuccessfully ? new(Keep(read.Result)) : FinishAsync(read);
    }

    /// <summary>Takes bytes from the front of <see cref="Available"/>.</summary>
    public void Consume(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _end - _start);
        _start += count;
    }

    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_end == _start)
        {
            ReleaseIfEmpty();
            return below.ReadAsync(buffer, cancellationToken);
        }

        var count = Math.Min(buffer.Length, _end - _start);
        _buffer.AsSpan(_start, count).CopyTo(buffer.Span);
        _start += count;
        ReleaseIfEmpty();
        return new(count);
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => below.WriteAsync(bytes, cancellationToken);

    public ValueTask EndWritesAsync(CancellationToken cancellationToken) => below.EndWritesAsync(cancellationToken);

    public void Abort() => below.Abort();

    /// <summary>Closes what is below. The buffer is left to the garbage collector: a read that is still pending may yet write into it.</summary>
    public ValueTask DisposeAsync() => below.DisposeAsync();

    /// <summary>Gives the buffer back when nothing is in it. Call between messages, when the connection may now be idle.</summary>
    public void ReleaseIfEmpty()
    {
        if (_start == _end && _buffer is not null)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = null;
            _start = _end = 0;
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> WaitAndReadAsync(ValueTask<int> wait, int limit, CancellationToken cancellationToken)
    {
        await wait.ConfigureAwait(false);
        return Keep(await ReadBehindAsync(limit, cancellationToken).ConfigureAwait(false));
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> FinishAsync(ValueTask<int> read) => Keep(await read.ConfigureAwait(false));

    private ValueTask<int> ReadBehindAsync(int limit, CancellationToken cancellationToken)
    {
        MakeRoom(limit);
        return below.ReadAsync(_buffer.AsMemory(_end, Math.Min(_buffer!.Length - _end, limit - (_end - _start))), cancellationToken);
    }

    private bool Keep(int read)
    {
        _end += read;
        ReleaseIfEmpty();
        return read > 0;
    }

    /// <summary>A read that filled the buffer says that more is coming: it grows. Otherwise what is waiting moves to the front.</summary>
    private void MakeRoom(int limit)
    {
        _buffer ??= ArrayPool<byte>.Shared.Rent(Math.Min(FirstBuffer, limit));
        var waiting = _end - _start;
        var isFull = _end == _buffer.Length;
        if (!isFull && (waiting > 0 || _start == 0))
        {
            return;
        }

        var target = isFull && _buffer.Length < limit ? ArrayPool<byte>.Shared.Rent(Math.Min(_buffer.Length * 2, limit)) : _buffer;
        _buffer.AsSpan(_start, waiting).CopyTo(target);
        if (target != _buffer)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = target;
        }

        (_start, _end) = (0, waiting);
    }
}
