namespace Signet.Policy.Inputs;

/// <summary>What came of reading a file that a person wrote for a command: the value, or everything that is wrong with it.</summary>
public sealed record Input<T>(T? Value, IReadOnlyList<PolicyProblem> Problems)
    where T : class
{
    /// <summary>The value, if nothing is wrong.</summary>
    public bool TryGet([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out T? value)
    {
        value = Problems.Any(problem => problem.Severity == PolicySeverity.Error) ? null : Value;
        return value is not null;
    }
}
