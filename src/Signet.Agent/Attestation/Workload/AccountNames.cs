using System.Collections.Frozen;
using System.Globalization;
using Signet.Hosting.Files;

namespace Signet.Agent.Attestation.Workload;

/// <summary>The names of users or groups in passwd(5) or group(5), read again when the file has changed. Thread-safe.</summary>
internal sealed class AccountNames(string path)
{
    /// <summary>More lines than that are not read.</summary>
    private const int MaxLines = 200_000;

    private (FileStamp? Stamp, FrozenDictionary<uint, string> Names) _known = (null, FrozenDictionary<uint, string>.Empty);
    private readonly Lock _gate = new();

    /// <summary>The name of a number; null when it has none here.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public string? NameOf(uint number)
    {
        lock (_gate)
        {
            var stamp = FileStamp.Of(path);
            if (stamp is null || stamp != _known.Stamp)
            {
                _known = (stamp, stamp is null ? FrozenDictionary<uint, string>.Empty : Read());
            }

            return _known.Names.GetValueOrDefault(number);
        }
    }

    // The first field is the name, the third the number, in both files. Of two names for one number the first counts, as for the C library.
    private FrozenDictionary<uint, string> Read()
    {
        var names = new Dictionary<uint, string>();
        foreach (var line in File.ReadLines(path).Take(MaxLines))
        {
            var fields = line.Split(':', 4);
            if (fields.Length > 2 && fields[0].Length > 0 && uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                names.TryAdd(number, fields[0]);
            }
        }

        return names.ToFrozenDictionary();
    }
}
