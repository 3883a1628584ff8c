using Microsoft.Win32.SafeHandles;
using Signet.Hosting.Configuration;

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

    /// <summary>How long a read may take.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>The longest path, in characters (PATH_MAX).</summary>
    public const int MaxPath = 4095;

    private const int StackBytes = 256 * 1024;

    private readonly Lock _gate = new();
    private readonly Dictionary<uint, int> _underWay = [];

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
            return new FileReading(null, $"{MaxReadsPerUser} reads of user {reader.Uid} have not come back yet");
        }

        var opening = new TaskCompletionSource<SafeFileHandle>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(
            () =>
            {
                try
                {
                    opening.SetResult(BorrowedRights.Open(reader, path));
                }
                catch (IOException e)
                {
                    opening.SetException(e);
                }
            },
            StackBytes) { IsBackground = true, Name = "file of another" };
        thread.Start();
        var reading = Task.Run(() => ReadAsync(opening.Task, reader.Uid, maxBytes), CancellationToken.None);
        try
        {
            return await reading.WaitAsync(Patience, time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return new FileReading(null, $"its file system has not answered within {Patience.TotalSeconds} s");
        }
    }

    private async Task<FileReading> ReadAsync(Task<SafeFileHandle> opening, uint uid, int maxBytes)
    {
        try
        {
            using var file = await opening.ConfigureAwait(false);
            var length = RandomAccess.GetLength(file);
            if (length > maxBytes)
            {
                return new FileReading(null, $"it is larger than {SizeText.Format(maxBytes)}");
            }

            // What is written meanwhile is seen at the next look.
            var content = new byte[length];
            var (read, more) = (0, 1);
            while (read < length && more > 0)
            {
                more = await RandomAccess.ReadAsync(file, content.AsMemory(read), read).ConfigureAwait(false);
                read += more;
            }

            return new FileReading(content[..read], "");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new FileReading(null, e.Message);
        }
        finally
        {
            End(uid);
        }
    }

    private bool TryBegin(uint uid)
    {
        lock (_gate)
        {
            var count = _underWay.GetValueOrDefault(uid);
            _underWay[uid] = count < MaxReadsPerUser ? count + 1 : count;
            return count < MaxReadsPerUser;
        }
    }

    private void End(uint uid)
    {
        lock (_gate)
        {
            if (--_underWay[uid] == 0)
            {
                _underWay.Remove(uid);
            }
        }
    }
}
