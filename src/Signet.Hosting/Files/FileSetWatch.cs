using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Signet.Hosting.Files;

/// <summary>
/// Keeps the content of a <see cref="FileSet"/> fresh. It looks when the kernel reports a change in one of the folders and then nothing for
/// <see cref="Quiet"/>, every <see cref="Poll"/> in any case (reports get lost, and there are none for a symbolic link that leads elsewhere), and on
/// SIGHUP. Writing in place, renaming over, and swapping a link to a folder (as kubelet does) all work; a look that fails keeps the last good content.
/// A file that is being written over is empty for a moment, and half a policy allows too much: new content counts once two looks, <see cref="Quiet"/>
/// apart, found the same. A look reads only the files that have changed.
/// </summary>
public sealed class FileSetWatch : IAsyncDisposable
{
    /// <summary>How long files must rest before they are read.</summary>
    public static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(100);

    /// <summary>How long files that never rest are waited for; then what a look finds counts at once.</summary>
    public static readonly TimeSpan MaxUnrest = TimeSpan.FromSeconds(10);

    /// <summary>How often files are read when nothing was reported.</summary>
    public static readonly TimeSpan Poll = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly FileSet _files;
    private readonly FileMemory _memory;
    private readonly Action<ImmutableArray<WatchedFile>> _changed;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Dictionary<string, FileSystemWatcher> _reporters = new(StringComparer.Ordinal);
    private readonly Channel<bool> _looks = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly ITimer _timer;
    private readonly PosixSignalRegistration _hangup;
    private readonly Task _looking;
    private Snapshot _current;
    private ImmutableArray<WatchedFile>? _unconfirmed;
    private long? _unrestSince;
    private bool _forced;

    private FileSetWatch(FileSet files, ImmutableArray<WatchedFile> known, Action<ImmutableArray<WatchedFile>> changed, TimeProvider time, ILogger log)
    {
        (_files, _changed, _time, _log) = (files, changed, time, log);
        _memory = new FileMemory(known, time);
        _current = new Snapshot(known, null);
        _timer = time.CreateTimer(_ => AskForLook(), null, Poll, Poll);
        AskForLook();
        _hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
        {
            signal.Cancel = true;
            LookAgain();
        });
        _looking = Task.Run(LookAsync);
    }

    /// <summary>What the files held when all of them could last be read. Thread-safe.</summary>
    public ImmutableArray<WatchedFile> Current => Volatile.Read(ref _current).Files;

    /// <summary>Why the last look failed, or null when <see cref="Current"/> is what lies on the disk. Thread-safe.</summary>
    public string? Problem => Volatile.Read(ref _current).Problem;

    /// <summary>Reads the files, and again whenever they change, until it is disposed.</summary>
    /// <param name="files">What to watch.</param>
    /// <param name="changed">
    /// Takes each new content, one at a time and on the watch's own task; not the first content, which is <see cref="Current"/> from the start.
    /// After SIGHUP it is called also when nothing changed.
    /// </param>
    /// <param name="time">The clock.</param>
    /// <param name="log">Where it logs.</param>
    /// <exception cref="PlaceException">The first look failed.</exception>
    public static FileSetWatch Start(FileSet files, Action<ImmutableArray<WatchedFile>> changed, TimeProvider time, ILogger log) =>
        Start(files, files.Read(), changed, time, log);

    /// <param name="files">What to watch.</param>
    /// <param name="known">The content that the caller has already read and taken.</param>
    /// <param name="changed">Takes each other content.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">Where it logs.</param>
    internal static FileSetWatch Start(
        FileSet files, ImmutableArray<WatchedFile> known, Action<ImmutableArray<WatchedFile>> changed, TimeProvider time, ILogger log) =>
        new(files, known, changed, time, log);

    /// <summary>Looks at once, and reports the content also when it is the same: what SIGHUP does. Thread-safe.</summary>
    public void LookAgain()
    {
        Volatile.Write(ref _forced, true);
        AskForLook();
    }

    public async ValueTask DisposeAsync()
    {
        _hangup.Dispose();
        await _timer.DisposeAsync().ConfigureAwait(false);
        _looks.Writer.TryComplete();
        await _looking.ConfigureAwait(false);
        lock (_lock)
        {
            foreach (var reporter in _reporters.Values)
            {
                reporter.Dispose();
            }
        }
    }

    private async Task LookAsync()
    {
        await foreach (var _ in _looks.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            Listen();
            Look();
        }
    }

    private void Look()
    {
        var forced = Interlocked.Exchange(ref _forced, false);
        var last = _current;
        try
        {
            var files = _files.Read(_memory);
            var same = files.SequenceEqual(last.Files);
            if (!same && !forced && !IsConfirmed(files))
            {
                return;
            }

            _unconfirmed = null;
            Volatile.Write(ref _current, new Snapshot(same ? last.Files : files, null));
            Rested();
            if (last.Problem is not null)
            {
                _log.FilesReadableAgain(last.Problem);
            }

            if (forced || !same)
            {
                _changed(files);
            }
        }
        catch (PlaceException e)
        {
            Volatile.Write(ref _current, last with { Problem = e.Message });
            if (last.Problem != e.Message)
            {
                _log.FilesUnreadable(e.Message);
            }
        }
        catch (Exception e)
        {
            // Not taken: the next look tries again, and until then it counts as a problem.
            _forced = true;
            Volatile.Write(ref _current, _current with { Problem = e.Message });
            _log.ChangeNotTaken(e);
        }
    }

    private void AskForLook() => _looks.Writer.TryWrite(true);

    /// <summary>Whether the look before found the same new content, or files have not rested for too long; if not, asks for another look.</summary>
    private bool IsConfirmed(ImmutableArray<WatchedFile> files)
    {
        if (_unconfirmed is { } before && files.SequenceEqual(before))
        {
            return true;
        }

        _unconfirmed = files;
        return !Touched();
    }

    /// <summary>Something changes: look once it has been quiet for a while.</summary>
    /// <returns>False when it has not been quiet for too long.</returns>
    private bool Touched()
    {
        lock (_lock)
        {
            var now = _time.GetTimestamp();
            _unrestSince ??= now;
            return _time.GetElapsedTime(_unrestSince.Value, now) < MaxUnrest && _timer.Change(Quiet, Poll);
        }
    }

    private void Rested()
    {
        lock (_lock)
        {
            _unrestSince = null;
        }
    }

    /// <summary>Listens in every folder that exists; those that can't be listened in are polled only.</summary>
    private void Listen()
    {
        lock (_lock)
        {
            var folders = _files.FoldersToWatch;
            foreach (var folder in folders.Where(folder => !_reporters.ContainsKey(folder)))
            {
                try
                {
                    var reporter = new FileSystemWatcher(folder);
                    reporter.Created += (_, _) => Touched();
                    reporter.Changed += (_, _) => Touched();
                    reporter.Renamed += (_, _) => Touched();
                    reporter.Deleted += (_, _) => Touched();
                    reporter.Error += (_, _) => Deaf(folder);
                    _reporters[folder] = reporter;
                    reporter.EnableRaisingEvents = true;
                }
                catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException)
                {
                    _log.FolderOnlyPolled(folder, FileReason.Of(e));
                    if (_reporters.Remove(folder, out var reporter))
                    {
                        reporter.Dispose();
                    }
                }
            }
        }
    }

    /// <summary>The kernel dropped reports: start anew at the next look.</summary>
    private void Deaf(string folder)
    {
        lock (_lock)
        {
            if (_reporters.Remove(folder, out var reporter))
            {
                reporter.Dispose();
            }
        }

        Touched();
    }

    private sealed record Snapshot(ImmutableArray<WatchedFile> Files, string? Problem);
}
