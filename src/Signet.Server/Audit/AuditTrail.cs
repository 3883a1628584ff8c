using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Signet.Hosting;
using Signet.Hosting.Files;

namespace Signet.Server.Audit;

/// <summary>A record could not be kept, so what it is about must not happen. The message names the file and what to do.</summary>
public sealed class AuditException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// The audit trail: records that are only ever added, each bound to the one before by its hash (<see cref="AuditLine"/>). A record is with the
/// kernel before its task completes, so that it outlives this process; one that is asked to be durable is on the disk, and the store remembers
/// that it is; the others are a second later. Thread-safe.
/// </summary>
public sealed class AuditTrail : IAsyncDisposable
{
    private const int MaxWaiting = 1024;
    private static readonly TimeSpan FlushAfter = TimeSpan.FromSeconds(1);

    private readonly Channel<Waiting> _waiting = Channel.CreateBounded<Waiting>(new BoundedChannelOptions(MaxWaiting) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
    private readonly AuditConfig _config;
    private readonly IAuditAnchorStore _store;
    private readonly TimeProvider _time;
    private readonly ILogger<AuditTrail> _log;
    private readonly Task _writing;
    private SafeFileHandle _file;
    private string _path;
    private long _length;
    private AuditPosition _last;
    private AuditAnchors _anchors;
    private string _failing = "";

    private AuditTrail(string folder, AuditConfig config, IAuditAnchorStore store, TimeProvider time, ILogger<AuditTrail> log, AuditEnd end, AuditAnchors anchors)
    {
        (Folder, _config, _store, _time, _log, _anchors) = (folder, config, store, time, log, anchors);
        (_file, _path, _length, _last) = (end.File, end.Path, end.Length, end.Last);
        _writing = Task.Run(WriteAsync);
    }

    /// <summary>Where the files lie.</summary>
    public string Folder { get; }

    internal AuditMetrics Metrics { get; } = new();

    /// <summary>Raised after records were added.</summary>
    public ChangeSignal Changes { get; } = new();

    /// <summary>The newest record.</summary>
    public AuditPosition Last => Volatile.Read(ref _last);

    /// <summary>What the store remembers.</summary>
    public AuditAnchors Anchors => Volatile.Read(ref _anchors);

    /// <summary>Opens the trail where it ended, and owns up to what a crash or a hand did to its end.</summary>
    /// <exception cref="PlaceException">The folder or a file can't be used.</exception>
    internal static async Task<AuditTrail> OpenAsync(
        string folder, AuditConfig config, IAuditAnchorStore store, TimeProvider time, ILogger<AuditTrail> log, CancellationToken cancellationToken)
    {
        PrivateFolder.Ensure(folder);
        var anchors = await store.LoadAsync(cancellationToken).ConfigureAwait(false) ?? new AuditAnchors(AuditPosition.Origin, AuditPosition.Origin);
        var end = AuditEnd.Find(folder, anchors);
        foreach (var e in end.Amends)
        {
            log.AuditTrailAmended(end.Path, e.Reason);
        }

        var trail = new AuditTrail(folder, config, store, time, log, end, anchors);
        try
        {
            foreach (var e in end.Amends)
            {
                await trail.AppendAsync(e, durable: true, cancellationToken).ConfigureAwait(false);
            }

            await trail.AppendAsync(new AuditEvent { Action = "server.start" }, durable: true, cancellationToken).ConfigureAwait(false);
            return trail;
        }
        catch
        {
            await trail.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Adds a record.</summary>
    /// <param name="e">What to remember.</param>
    /// <param name="durable">Whether it must have reached the disk; otherwise it has reached the kernel.</param>
    /// <param name="cancellationToken">Gives up waiting for a turn.</param>
    /// <returns>The record's number.</returns>
    /// <exception cref="AuditException">It could not be kept: what it is about must not happen.</exception>
    public async Task<long> AppendAsync(AuditEvent e, bool durable, CancellationToken cancellationToken)
    {
        var waiting = new Waiting(e, durable);
        try
        {
            await _waiting.Writer.WriteAsync(waiting, cancellationToken).ConfigureAwait(false);
        }
        catch (ChannelClosedException)
        {
            throw new AuditException("the audit trail is closed: the server is stopping");
        }

        return await waiting.Done.Task.ConfigureAwait(false);
    }

    /// <summary>Checks the whole trail as it is now.</summary>
    /// <param name="remembered">A position that somebody noted earlier; null for none.</param>
    public AuditReport Verify(AuditPosition? remembered)
    {
        var anchors = Anchors;
        return AuditVerifier.Verify(AuditFiles.List(Folder), anchors.Start, remembered is null ? [anchors.Head] : [anchors.Head, remembered]);
    }

    public async ValueTask DisposeAsync()
    {
        _waiting.Writer.TryComplete();
        await _writing.ConfigureAwait(false);
        _file.Dispose();
        Metrics.Dispose();
    }

    private async Task WriteAsync()
    {
        var more = _waiting.Reader.WaitToReadAsync().AsTask();
        Task? flush = null;
        while (true)
        {
            await (flush is null ? (Task)more : Task.WhenAny(more, flush)).ConfigureAwait(false);
            if (flush is { IsCompleted: true })
            {
                await TryAsync(FlushAsync).ConfigureAwait(false);
                flush = null;
            }

            if (more.IsCompleted)
            {
                if (!await more.ConfigureAwait(false))
                {
                    await TryAsync(FlushAsync).ConfigureAwait(false);
                    return;
                }

                await WriteWaitingAsync().ConfigureAwait(false);
                more = _waiting.Reader.WaitToReadAsync().AsTask();
            }

            flush ??= _anchors.Head == _last ? null : Task.Delay(FlushAfter, _time);
        }
    }

    private async Task WriteWaitingAsync()
    {
        var batch = new List<Waiting>();
        while (batch.Count < MaxWaiting && _waiting.Reader.TryRead(out var waiting))
        {
            batch.Add(waiting);
        }

        var failure = await TryAsync(() => WriteAsync(batch)).ConfigureAwait(false);
        foreach (var waiting in batch)
        {
            waiting.Finish(failure);
        }

        Metrics.Kept(batch.Count, failure is null);
        if (failure is null)
        {
            Changes.Raise();
        }
    }

    private async Task WriteAsync(List<Waiting> batch)
    {
        if (_length >= _config.FileSize)
        {
            await BeginFileAsync().ConfigureAwait(false);
        }

        var lines = new MemoryStream();
        var last = _last;
        foreach (var waiting in batch)
        {
            var json = waiting.Event.ToJson(last.Sequence + 1, _time.GetUtcNow());
            last = new AuditPosition(last.Sequence + 1, AuditLine.Hash(last.Hash, json));
            lines.Write(System.Text.Encoding.ASCII.GetBytes(last.Hash + " "));
            lines.Write(json);
            lines.WriteByte((byte)'\n');
            waiting.Sequence = last.Sequence;
        }

        try
        {
            RandomAccess.Write(_file, lines.GetBuffer().AsSpan(0, (int)lines.Length), _length);
        }
        catch (IOException)
        {
            // What a full disk still took would look like a crash.
            RandomAccess.SetLength(_file, _length);
            throw;
        }

        _length += lines.Length;
        Volatile.Write(ref _last, last);
        if (batch.Any(waiting => waiting.Durable))
        {
            await FlushAsync().ConfigureAwait(false);
        }
    }

    private async Task FlushAsync()
    {
        if (_anchors.Head != _last)
        {
            RandomAccess.FlushToDisk(_file);
            await SaveAsync(_anchors with { Head = _last }).ConfigureAwait(false);
        }
    }

    // The store learns where the trail will begin before the files before that go.
    private async Task BeginFileAsync()
    {
        await FlushAsync().ConfigureAwait(false);
        var path = AuditFiles.PathOf(Folder, _last.Sequence + 1);
        var file = AuditEnd.Open(path);
        _file.Dispose();
        (_file, _path, _length) = (file, path, RandomAccess.GetLength(file));
        var files = AuditFiles.List(Folder);
        var gone = files.Take(files.Count - _config.KeepFiles).ToArray();
        if (gone.Length > 0)
        {
            await SaveAsync(_anchors with { Start = AuditEnd.LastIn(gone[^1].Path) ?? _anchors.Start }).ConfigureAwait(false);
            foreach (var old in gone)
            {
                File.Delete(old.Path);
                _log.AuditFileDeleted(old.Path, _config.KeepFiles);
            }
        }
    }

    private async Task SaveAsync(AuditAnchors anchors)
    {
        await _store.SaveAsync(anchors, CancellationToken.None).ConfigureAwait(false);
        Volatile.Write(ref _anchors, anchors);
    }

    // Whatever goes wrong refuses the batch and not the server; it is told once and tried again with the next.
    private async Task<AuditException?> TryAsync(Func<Task> work)
    {
        try
        {
            await work().ConfigureAwait(false);
            _failing = "";
            return null;
        }
        catch (Exception e)
        {
            var reason = e is IOException or UnauthorizedAccessException ? $"audit trail {_path}: {FileReason.Of(e)}" : $"audit trail {_path}: {e.Message}";
            if (_failing != reason)
            {
                _failing = reason;
                _log.AuditTrailFailed(reason);
            }

            return new AuditException($"{reason}; nothing is done that is not recorded; free some space or repair the disk and try again", e);
        }
    }

    private sealed record Waiting(AuditEvent Event, bool Durable)
    {
        public TaskCompletionSource<long> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public long Sequence { get; set; }

        public void Finish(AuditException? failure)
        {
            if (failure is null)
            {
                Done.SetResult(Sequence);
            }
            else
            {
                Done.SetException(failure);
            }
        }
    }
}
