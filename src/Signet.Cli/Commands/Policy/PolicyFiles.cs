using Signet.Policy;
using Signet.Policy.Inputs;

namespace Signet.Cli.Commands.Policy;

/// <summary>Reads what the policy commands are given: policy files and folders, and the files that describe requests, workloads and services.</summary>
internal static class PolicyFiles
{
    /// <summary>The most files in a policy folder.</summary>
    private const int MaxFiles = 100_000;

    private static readonly string[] Extensions = [".yaml", ".yml", ".json"];

    /// <summary>Reads policies that must be free of mistakes: an answer about half-understood ones would be no answer.</summary>
    /// <exception cref="InputException">The path can't be read, or something in it can't be understood.</exception>
    public static PolicySet LoadFaultless(string path, MeshSettings mesh)
    {
        var load = LoadPolicies(path, mesh);
        return load.HasErrors ? throw new InputException(load.Problems) : load.Set;
    }

    /// <summary>Reads policies from a file, or from all YAML and JSON files in a folder and below it, hidden ones left out.</summary>
    /// <exception cref="InputException">The path can't be read.</exception>
    public static PolicyLoad LoadPolicies(string path, MeshSettings mesh) =>
        PolicySet.Load(FilesOf(path).Select(file => PolicyText.Decode(file, ReadBytes(file))), mesh);

    /// <summary>Reads mesh settings; the defaults when no file is given.</summary>
    /// <exception cref="InputException">The file can't be read or understood.</exception>
    public static MeshSettings LoadMesh(string? path) => path is null ? MeshSettings.Default : Load(path, MeshFile.Read);

    /// <summary>Reads a file that a person wrote for a command.</summary>
    /// <exception cref="InputException">The file can't be read or understood.</exception>
    public static T Load<T>(string path, Func<PolicyText, Input<T>> read)
        where T : class
    {
        var input = read(PolicyText.Decode(path, ReadBytes(path)));
        return input.TryGet(out var value) ? value : throw new InputException(input.Problems);
    }

    /// <summary>The lines of a log; one that is too long is cut, and read as a bad line.</summary>
    /// <exception cref="InputException">The file can't be read.</exception>
    public static IEnumerable<string> ReadLines(string path, int maxLength)
    {
        using var reader = new StreamReader(Open(path));
        var line = new System.Text.StringBuilder();
        var block = new char[64 * 1024];
        int read;
        while ((read = reader.Read(block)) > 0)
        {
            var rest = block.AsMemory(0, read);
            int end;
            while ((end = rest.Span.IndexOf('\n')) >= 0)
            {
                Append(line, rest[..end], maxLength);
                yield return line.ToString().TrimEnd('\r');
                line.Clear();
                rest = rest[(end + 1)..];
            }

            Append(line, rest, maxLength);
        }

        if (line.Length > 0)
        {
            yield return line.ToString();
        }
    }

    // One character more than allowed is kept, so that the reader sees that the line is too long.
    private static void Append(System.Text.StringBuilder line, ReadOnlyMemory<char> text, int maxLength) =>
        line.Append(text[..Math.Min(text.Length, Math.Max(0, maxLength + 1 - line.Length))]);

    private static IEnumerable<string> FilesOf(string path)
    {
        if (!Directory.Exists(path))
        {
            return [path];
        }

        // A folder that can't be listed may hold a DENY: it is an error, never passed over.
        var files = Readable(path, () => new DirectoryInfo(path)
            .EnumerateFiles("*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.Hidden, IgnoreInaccessible = false, MaxRecursionDepth = 16 })
            .Where(file => Extensions.Contains(file.Extension.ToLowerInvariant()))
            .Select(file => Path.Combine(path, Path.GetRelativePath(path, file.FullName)))
            .Take(MaxFiles + 1)
            .Order(StringComparer.Ordinal)
            .ToList());
        return files.Count <= MaxFiles ? files : throw new InputException($"{path} has more than {MaxFiles} policy files", "name a smaller folder");
    }

    private static byte[] ReadBytes(string path)
    {
        // Read to the end rather than trust the length: a pipe has none.
        using var file = Open(path);
        var bytes = new MemoryStream();
        var block = new byte[64 * 1024];
        int read;
        while (bytes.Length <= PolicyText.MaxLength && (read = file.Read(block)) > 0)
        {
            bytes.Write(block, 0, read);
        }

        return bytes.ToArray();
    }

    private static FileStream Open(string path) => Readable(path, () => File.OpenRead(path));

    private static T Readable<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception bad) when (bad is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path} can't be read: {bad.Message}", "check the path and its permissions");
        }
    }
}

/// <summary>A file that a person named can't be read or understood.</summary>
internal sealed class InputException(IReadOnlyList<PolicyProblem> problems) : Exception(problems[0].Message)
{
    public InputException(string message, string hint)
        : this([new PolicyProblem("", 0, "", PolicySeverity.Error, message, hint)])
    {
    }

    public IReadOnlyList<PolicyProblem> Problems { get; } = problems;
}
