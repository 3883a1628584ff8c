namespace Signet.Hosting.Files;

/// <summary>A process for which a file is read, as it was when it connected.</summary>
/// <param name="Pid">Whose root folder and mounts the path is looked up in.</param>
/// <param name="Uid">Its effective user.</param>
/// <param name="Gid">Its effective group.</param>
/// <param name="Groups">Its supplementary groups.</param>
public sealed record FileReader(int Pid, uint Uid, uint Gid, IReadOnlyList<uint> Groups);

/// <summary>A file's content, or why there is none.</summary>
/// <param name="Content">The bytes; null when they can't be read.</param>
/// <param name="Problem">Why not; empty when they could.</param>
public readonly record struct FileReading(byte[]? Content, string Problem);

/// <summary>
/// Reads files for another process of this machine: exactly those that this process may read itself, where it sees them. Each is opened by the kernel
/// under the other's user and groups and without the right to override modes, on a thread that ends with the read; inside the other's root folder, out of
/// which no link leads; only ordinary files, up to a size. So a daemon that may read everything never reads for anybody what they may not. Without the
/// right to act as others (not root), only processes of its own user are served, and only if their groups are at least its own. Linux. Thread-safe.
/// </summary>
/// <remarks>
/// A file system can keep a reader waiting for ever, and some belong to users. Therefore reads of one user at once are few, and one that does not come
/// back within <see cref="Patience"/> is given up: it goes on counting until it does.
/// </remarks>
public sealed class ForeignFiles(TimeProvider time)
{
    /// <summary>How many reads may be under way for one user.</summary>
    public const int MaxReadsPerUser = 4;

    /// <summary>How many reads may be under way in all.</summary>
    public const int MaxReads = 64;

    /// <summary>How long a read may take.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>The longest path, in characters (PATH_MAX).</summary>
    public const int MaxPath = 4095;

    private const int StackBytes = 256 * 1024;

    private readonly Lock _gate = new();
    private readonly Dictionary<uint, int> _underWay = [];
    private int _all;

    /// <summary>Reads a whole file. Never throws but for cancellation.</summary>
    /// <param name="reader">For whom. Whether it still lives is for the caller to ask afterwards.</param>
    /// <param name="path">Absolute, as the reader sees it.</param>
    /// <param name="maxBytes">A larger file is refused.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async Task<FileReading> ReadAsync(FileReader reader, string path, int maxBytes, CancellationToken cancellationToken)
    {
        if (!path.StartsWith('/') || path.Length > MaxPath || path.Contains('\0', StringComparison.Ordinal))
        {
            return new FileReading(null, "it is not an absolute path");
        }

        if (!TryBegin(reader.Uid))
        {
            return new FileReading(null, $"{MaxReadsPerUser} reads for user {reader.Uid}, or {MaxReads} in all, have not come back yet");
        }

        var reading = new TaskCompletionSource<FileReading>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() => reading.SetResult(Read(reader, path, maxBytes)), StackBytes) { IsBackground = true, Name = "file of another" };
        thread.Start();
        try
        {
            return await reading.Task.WaitAsync(Patience, time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return new FileReading(null, $"its file system has not answered within {Patience.TotalSeconds} s");
        }
    }

    private FileReading Read(FileReader reader, string path, int maxBytes)
    {
        try
        {
            return new FileReading(BorrowedRights.Read(reader, path, maxBytes), "");
        }
        catch (IOException e)
        {
            return new FileReading(null, e.Message);
        }
        finally
        {
            End(reader.Uid);
        }
    }

    private bool TryBegin(uint uid)
    {
        lock (_gate)
        {
            var count = _underWay.GetValueOrDefault(uid);
            if (count == MaxReadsPerUser || _all == MaxReads)
            {
                return false;
            }

            _underWay[uid] = count + 1;
            _all++;
            return true;
        }
    }

    private void End(uint uid)
    {
        lock (_gate)
        {
            _all--;
            if (--_underWay[uid] == 0)
            {
                _underWay.Remove(uid);
            }
        }
    }
}
