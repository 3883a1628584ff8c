namespace Signet.Policy.Reading;

/// <summary>Collects what is wrong with one file.</summary>
internal sealed class ProblemList(string file)
{
    private readonly List<PolicyProblem> _problems = [];

    public string File => file;

    public IReadOnlyList<PolicyProblem> All => _problems;

    public int Errors { get; private set; }

    public PolicyProblem? FirstErrorAfter(int count) => _problems.Skip(count).FirstOrDefault(problem => problem.Severity == PolicySeverity.Error);

    public void Error(int line, string code, string message, string? hint = null)
    {
        Errors++;
        _problems.Add(new PolicyProblem(file, line, code, PolicySeverity.Error, message, hint));
    }

    public void Warning(int line, string code, string message, string? hint = null) =>
        _problems.Add(new PolicyProblem(file, line, code, PolicySeverity.Warning, message, hint));

    public void Info(int line, string code, string message, string? hint = null) =>
        _problems.Add(new PolicyProblem(file, line, code, PolicySeverity.Info, message, hint));
}
