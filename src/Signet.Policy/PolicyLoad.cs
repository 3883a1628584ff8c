using System.Globalization;

namespace Signet.Policy;

/// <summary>
/// What came of reading policies: always a usable set, and everything that is wrong with it. An object that could not be understood is in
/// the set as a denial of what it covers, so a set with errors is safe to enforce; who has an older, faultless set may keep that instead.
/// </summary>
public sealed record PolicyLoad(PolicySet Set, IReadOnlyList<PolicyProblem> Problems)
{
    /// <summary>Whether something could not be understood.</summary>
    public bool HasErrors => Problems.Any(problem => problem.Severity == PolicySeverity.Error);
}

public enum PolicySeverity
{
    Error,
    Warning,
    Info,
}

/// <summary>Something wrong with a policy, where it is, and what to do about it.</summary>
/// <param name="File">The name of the <see cref="PolicyText"/>.</param>
/// <param name="Line">The line, counted from 1.</param>
/// <param name="Code">A stable code, explained in docs/reference/policy-lint.md.</param>
/// <param name="Severity">An error means that the object is not applied as written.</param>
/// <param name="Message">The thing, its value and what was expected.</param>
/// <param name="Hint">The next step, or null.</param>
public sealed record PolicyProblem(string File, int Line, string Code, PolicySeverity Severity, string Message, string? Hint)
{
    /// <summary><c>file:line: message [code]</c></summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{File}:{Line}: {Message} [{Code}]");
}
