using System.Globalization;
using System.Security.Cryptography;
using Signet.Identity.Registration;

namespace Signet.Agent.Attestation.Workload;

/// <summary>What can be said of a local process: its selectors, or why nothing can be said.</summary>
internal sealed record WorkloadVerdict(IReadOnlySet<Selector> Selectors, string Problem)
{
    public bool IsAttested => Problem.Length == 0;
}

/// <summary>
/// Finds the facts about a local process that its credentials and <c>/proc</c> tell: <c>unix:uid</c>, <c>gid</c>, <c>user</c>,
/// <c>group</c>, <c>supplementary_gid</c>, <c>path</c>, <c>sha256</c>. Whether the process behind the number is still the one that connected is for
/// the caller to check after this returns.
/// </summary>
internal sealed class UnixAttestor(string procFolder = "/proc", string passwdFile = "/etc/passwd", string groupFile = "/etc/group")
{
    public const string Type = "unix";

    /// <summary>How selectors of supplementary groups begin.</summary>
    public const string SupplementaryGroup = "supplementary_gid:";

    /// <summary>A larger program is not hashed; entries that ask for its digest do not match.</summary>
    private const long MaxHashedBytes = 1024L * 1024 * 1024;

    /// <summary>Room for the 65,536 supplementary groups that the kernel allows.</summary>
    private const int MaxStatusBytes = 1024 * 1024;

    private readonly Lock _hashing = new();

    /// <param name="pid">The process, in the agent's own process namespace.</param>
    /// <param name="uid">Its user at the moment of connecting.</param>
    /// <param name="gid">Its group at the moment of connecting.</param>
    /// <param name="wanted">The selectors that entries ask about; what nobody asks for is not computed when it is costly.</param>
    public WorkloadVerdict Attest(int pid, uint uid, uint gid, IReadOnlySet<string> wanted)
    {
        var found = new HashSet<Selector>
        {
            Of("uid", Text(uid)),
            Of("gid", Text(gid)),
        };
        try
        {
            AddName(found, "user", passwdFile, uid);
            AddName(found, "group", groupFile, gid);
            foreach (var supplementary in SupplementaryGroups(pid))
            {
                found.Add(Of("supplementary_gid", Text(supplementary)));
            }

            var link = Path.Combine(procFolder, Text((uint)pid), "exe");
            if (File.ResolveLinkTarget(link, returnFinalTarget: false) is { } program)
            {
                found.Add(Of("path", program.FullName));
            }

            if (wanted.Contains("sha256"))
            {
                // Opened through /proc, so that it is the running program even after its file was replaced or removed. One at a time, so
                // that callers with large programs cannot take all processors.
                using var file = File.OpenRead(link);
                lock (_hashing)
                {
                    if (file.Length <= MaxHashedBytes)
                    {
                        found.Add(Of("sha256", Convert.ToHexStringLower(SHA256.HashData(file))));
                    }
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new WorkloadVerdict(found, $"its entry under {procFolder} cannot be read: {e.Message}");
        }

        return new WorkloadVerdict(found, "");
    }

    private List<uint> SupplementaryGroups(int pid)
    {
        using var status = new StreamReader(Path.Combine(procFolder, Text((uint)pid), "status"));
        var buffer = new char[MaxStatusBytes];
        var read = status.ReadBlock(buffer);
        var groups = new List<uint>();
        foreach (var line in new string(buffer, 0, read).Split('\n').Where(line => line.StartsWith("Groups:", StringComparison.Ordinal)))
        {
            groups.AddRange(line["Groups:".Length..].Split(' ', '\t').Where(word => word.Length > 0).Select(word => uint.Parse(word, CultureInfo.InvariantCulture)));
        }

        return groups;
    }

    // The first field is the name, the third the number, in both files (passwd(5), group(5)).
    private static void AddName(HashSet<Selector> found, string key, string file, uint number)
    {
        if (!File.Exists(file))
        {
            return;
        }

        var name = File.ReadLines(file).Select(line => line.Split(':')).FirstOrDefault(fields => fields.Length > 2 && fields[2] == Text(number));
        if (name is { } known && known[0].Length > 0)
        {
            found.Add(Of(key, known[0]));
        }
    }

    private static Selector Of(string key, string value) => new(Type, $"{key}:{value}");

    private static string Text(uint number) => number.ToString(CultureInfo.InvariantCulture);
}
