using System.IO.Pipelines;
using Signet.Proxy.Transport;

namespace Signet.Testing;

/// <summary>
/// One end of a connection inside the process, with bounded buffers. What one end does continues the other end's waiting reads and writes at
/// once, on the same thread, as on a loop that owns both; or on the thread pool.
/// </summary>
public sealed class MemoryTransport : ITransport
{
    private readonly PipeReader _input;
    private readonly PipeWriter _output;
    private readonly Pipe _both;

    private MemoryTransport(Pipe incoming, Pipe outgoing) => (_input, _output, _both) = (incoming.Reader, outgoing.Writer, incoming);

    /// <summary>How often this end wrote.</summary>
    public int Writes { get; private set; }

    /// <summary>The largest of those writes.</summary>
    public int LargestWrite { get; private set; }

    /// <summary>Two ends that are connected to each other.</summary>
    /// <param name="buffer">Octets in flight per direction before a writer must wait.</param>
    /// <param name="isInline">Continue the other end on the same thread.</param>
    public static (MemoryTransport Client, MemoryTransport Server) Pair(int buffer = 64 * 1024, bool isInline = true)
    {
        var scheduler = isInline ? PipeScheduler.Inline : PipeScheduler.ThreadPool;
        var options = new PipeOptions(
            readerScheduler: scheduler, writerScheduler: scheduler, pauseWriterThreshold: buffer, resumeWriterThreshold: buffer / 2, useSynchronizationContext: false);
        var (up, down) = (new Pipe(options), new Pipe(options));
        return (new(down, up), new(up, down));
    }

    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            var result = await _input.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (result.IsCanceled)
            {
                throw new IOException("reset");
            }

            var count = (int)Math.Min(buffer.Length, result.Buffer.Length);
            var taken = result.Buffer.Slice(0, count);
            System.Buffers.BuffersExtensions.CopyTo(taken, buffer.Span);
            _input.AdvanceTo(taken.End);
            return count;
        }
        catch (InvalidOperationException e)
        {
            throw new IOException("closed", e);
        }
    }

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        (Writes, LargestWrite) = (Writes + 1, Math.Max(LargestWrite, bytes.Length));
        try
        {
            var result = await _output.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
            if (result.IsCompleted)
            {
                throw new IOException("the other end is closed");
            }
        }
        catch (InvalidOperationException e)
        {
            throw new IOException("closed", e);
        }
    }

    public ValueTask EndWritesAsync(CancellationToken cancellationToken) => _output.CompleteAsync();

    public void Abort()
    {
        var reset = new IOException("reset");
        _output.Complete(reset);
        _input.CancelPendingRead();
        _input.Complete(reset);
    }

    /// <summary>Closes both directions; a pending read of this end ends.</summary>
    public async ValueTask DisposeAsync()
    {
        await _output.CompleteAsync();
        await _both.Writer.CompleteAsync(new IOException("closed"));
    }
}
