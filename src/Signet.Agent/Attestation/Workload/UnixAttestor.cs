using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using Signet.Hosting.Files;
using Signet.Identity.Registration;

namespace Signet.Agent.Attestation.Workload;

/// <summary>
/// Finds the facts about a local process that its credentials and <c>/proc</c> tell: <c>unix:uid</c>, <c>gid</c>, <c>user</c>, <c>group</c>,
/// <c>supplementary_gid</c>, <c>supplementary_group</c>, <c>path</c>, <c>sha256</c>.
/// </summary>
/// <param name="proc">Where processes are shown.</param>
/// <param name="users">The names of users.</param>
/// <param name="groups">The names of groups.</param>
/// <param name="wantsDigest">Whether anybody asks for digests of programs; they are costly.</param>
internal sealed class UnixAttestor(ProcFolder proc, AccountNames users, AccountNames groups, Func<bool> wantsDigest) : IWorkloadAttestor, IDisposable
{
    public const string Type = "unix";

    /// <summary>How selectors of supplementary groups begin.</summary>
    public const string SupplementaryGroup = "supplementary_gid:";

    /// <summary>A larger program is not hashed; entries that ask for its digest do not match.</summary>
    private const long MaxHashedBytes = 1024L * 1024 * 1024;

    /// <summary>Room for the 65,536 supplementary groups that the kernel allows.</summary>
    private const int MaxStatusBytes = 1024 * 1024;

    /// <summary>How many programs' digests are remembered.</summary>
    private const int MaxDigests = 1024;

    /// <summary>What the kernel appends to the name of a program whose file was removed or replaced. Only who may write beside a file can make one that is really called so.</summary>
    private const string Removed = " (deleted)";

    private readonly ConcurrentDictionary<FileStamp, string> _digests = new();
    private readonly SemaphoreSlim _hashing = new(1, 1);

    public string Name => Type;

    public async Task<WorkloadVerdict> AttestAsync(WorkloadProcess process, CancellationToken cancellationToken)
    {
        var found = new HashSet<Selector> { Of("uid", process.Uid), Of("gid", process.Gid) };
        var notes = new List<string>();
        try
        {
            // 1. As whom does it run?
            var status = proc.Read(process.Pid, "status", MaxStatusBytes).Split('\n');
            if (Field(status, "Uid:")?.ElementAtOrDefault(1) != process.Uid || Field(status, "Gid:")?.ElementAtOrDefault(1) != process.Gid)
            {
                return WorkloadVerdict.Failed("it runs as another user or group than it connected as; it may connect again");
            }

            AddName(found, "user", users, process.Uid);
            AddName(found, "group", groups, process.Gid);
            foreach (var group in Field(status, "Groups:") ?? [])
            {
                found.Add(Of("supplementary_gid", group));
                AddName(found, "supplementary_group", groups, group);
            }

            // 2. What does it run? Through /proc it is the running program, whatever has become of its file.
            var program = proc.PathOf(process.Pid, "exe");
            var stamp = FileStamp.Of(program);
            if (proc.Link(process.Pid, "exe") is not { } link || stamp is null)
            {
                return WorkloadVerdict.Failed($"{program} cannot be read; the agent needs the right to look at others' processes (CAP_SYS_PTRACE), and the process must still run");
            }

            if (proc.OwnLink("ns/user") is not { } own || proc.Link(process.Pid, "ns/user") == own)
            {
                found.Add(new Selector(Type, "path:" + (link.EndsWith(Removed, StringComparison.Ordinal) ? link[..^Removed.Length] : link)));
            }
            else
            {
                // There, anybody may lay out folders as they like.
                notes.Add("it gets no unix:path, because it runs in a user namespace of its own, where every path is its user's choice");
            }

            if (wantsDigest() && await DigestAsync(program, stamp.Value, cancellationToken).ConfigureAwait(false) is { } digest)
            {
                found.Add(new Selector(Type, $"sha256:{digest}"));
            }

            return FileStamp.Of(program) == stamp
                ? new WorkloadVerdict(found, "") { Notes = notes }
                : WorkloadVerdict.Failed("it began to run another program while it was looked at; it may connect again");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return WorkloadVerdict.Failed($"{proc.PathOf(process.Pid, "")} cannot be read: {e.Message}");
        }
    }

    public void Dispose() => _hashing.Dispose();

    // One at a time, so that callers with large programs cannot take all processors; and each program once, for as long as it is the same file.
    private async Task<string?> DigestAsync(string program, FileStamp stamp, CancellationToken cancellationToken)
    {
        if (_digests.TryGetValue(stamp, out var known))
        {
            return known;
        }

        await _hashing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_digests.TryGetValue(stamp, out known))
            {
                return known;
            }

            var file = File.OpenRead(program);
            await using var closed = file.ConfigureAwait(false);
            if (file.Length > MaxHashedBytes)
            {
                return null;
            }

            var digest = Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken).ConfigureAwait(false));
            if (FileStamp.Of(program) == stamp)
            {
                if (_digests.Count >= MaxDigests)
                {
                    _digests.Clear();
                }

                _digests[stamp] = digest;
            }

            return digest;
        }
        finally
        {
            _hashing.Release();
        }
    }

    // Real, effective, saved and file system's for users and groups; all there are for supplementary groups (proc_pid_status(5)).
    private static uint[]? Field(string[] status, string name) => status.FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal)) is { } line
        ? [.. line[name.Length..].Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries).Select(word => uint.Parse(word, CultureInfo.InvariantCulture))]
        : null;

    private static void AddName(HashSet<Selector> found, string key, AccountNames names, uint number)
    {
        if (names.NameOf(number) is { } name)
        {
            found.Add(new Selector(Type, $"{key}:{name}"));
        }
    }

    private static Selector Of(string key, uint number) => new(Type, string.Create(CultureInfo.InvariantCulture, $"{key}:{number}"));
}
