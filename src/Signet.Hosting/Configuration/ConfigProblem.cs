namespace Signet.Hosting.Configuration;

/// <summary>One thing that is wrong in a configuration file.</summary>
/// <param name="File">The file as the operator named it.</param>
/// <param name="Line">The line it is on, from 1; 0 when the file as a whole is the problem.</param>
/// <param name="Path">The key, as <c>gateway[0].tls.minVersion</c>; empty when the message names the thing itself.</param>
/// <param name="Message">What is wrong, what was expected and what to do next.</param>
public sealed record ConfigProblem(string File, int Line, string Path, string Message)
{
    /// <summary><c>file:line: path: message</c>, on one line.</summary>
    public override string ToString() => (Line == 0 ? $"{File}: " : $"{File}:{Line}: ") + (Path.Length == 0 ? "" : $"{Path}: ") + Message;
}

/// <summary>A configuration file can't be used. Carries every problem found, not only the first.</summary>
public sealed class ConfigException(IReadOnlyList<ConfigProblem> problems)
    : Exception(string.Join('\n', problems))
{
    /// <summary>In the order of the file; never empty.</summary>
    public IReadOnlyList<ConfigProblem> Problems { get; } = problems;
}

/// <summary>Collects the problems of one file, at most <see cref="MaxKept"/> of them. Not thread-safe: one reader at a time.</summary>
public sealed class ConfigProblems
{
    /// <summary>A file with more problems than this is not a configuration; the rest is not worth a screen.</summary>
    public const int MaxKept = 100;

    private readonly List<ConfigProblem> _found = [];
    private bool _unreadable;

    internal ConfigProblems(string file) => File = file;

    /// <summary>The file as the operator named it.</summary>
    public string File { get; }

    /// <summary>What was found so far, in the order of the file.</summary>
    public IReadOnlyList<ConfigProblem> Found => [.. _found.OrderBy(problem => problem.Line)];

    internal bool IsFull => _unreadable || _found.Count >= MaxKept;

    /// <exception cref="ConfigException">At least one problem was found.</exception>
    public void ThrowIfAny()
    {
        if (_found.Count > 0)
        {
            throw new ConfigException(Found);
        }
    }

    internal void Add(int line, string path, string message)
    {
        if (!IsFull)
        {
            _found.Add(new ConfigProblem(File, line, path, message));
        }
    }

    /// <summary>The text is not a document at all: what a reader misses in it from here on is not the operator's mistake.</summary>
    internal void AddUnreadable(int line, string message)
    {
        Add(line, "", message);
        _unreadable = true;
    }
}
