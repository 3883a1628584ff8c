using System.Text;

namespace Signet.Proxy.Capture;

/// <summary>A rule, as iptables-save writes it without the chain: <c>-p tcp -j SIGNET_INBOUND</c>.</summary>
/// <param name="Table">As <c>nat</c>.</param>
/// <param name="Chain">A chain of the kernel's, or one of ours.</param>
/// <param name="Text">What it matches and does.</param>
public sealed record CaptureRule(string Table, string Chain, string Text)
{
    /// <summary>Equal for rules that do the same: what a match implies is left out, and the order of conditions does not count.</summary>
    internal string Meaning
    {
        get
        {
            var conditions = new List<string>();
            foreach (var word in Text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                if (word == "!" || (word.StartsWith('-') && !(conditions.Count > 0 && conditions[^1] == "!")))
                {
                    conditions.Add(word);
                }
                else
                {
                    conditions[^1] += " " + word;
                }
            }

            conditions.RemoveAll(condition => condition.StartsWith("-m ", StringComparison.Ordinal) || condition is "--on-ip 0.0.0.0" or "--on-ip ::");
            return $"{Table} {Chain} {string.Join(' ', conditions.Order(StringComparer.Ordinal))}";
        }
    }

    public override string ToString() => $"{Table}: -A {Chain} {Text}";
}

/// <summary>
/// The part of one address family's rules that is ours: chains whose names begin with <c>SIGNET_</c>, and the rules of the kernel's chains
/// that lead into them. Immutable.
/// </summary>
public sealed record RuleSet(IReadOnlyList<(string Table, string Chain)> Chains, IReadOnlyList<CaptureRule> Rules)
{
    public const string Prefix = "SIGNET_";

    public static RuleSet Empty { get; } = new([], []);

    public bool IsEmpty => Chains.Count == 0 && Rules.Count == 0;

    /// <summary>Finds what is ours in the output of iptables-save. Others' rules are skipped. Pure.</summary>
    public static RuleSet Read(string saved)
    {
        var chains = new List<(string, string)>();
        var rules = new List<CaptureRule>();
        var table = "";
        foreach (var line in saved.Split('\n'))
        {
            // "*table", ":CHAIN POLICY [packets:bytes]", "-A CHAIN rule…", "COMMIT", "# comment"
            if (line.StartsWith('*'))
            {
                table = line[1..].Trim();
            }
            else if (line.StartsWith(":" + Prefix, StringComparison.Ordinal))
            {
                chains.Add((table, line[1..].Split(' ')[0]));
            }
            else if (line.StartsWith("-A ", StringComparison.Ordinal) && line.Trim().Split(' ', 3) is [_, var chain, var text] && (IsOurs(chain) || LeadsToUs(text)))
            {
                rules.Add(new CaptureRule(table, chain, text));
            }
        }

        return new RuleSet(chains, rules);
    }

    /// <summary>
    /// What iptables-restore must be given, with <c>--noflush</c>, so that exactly this is installed in place of what is there now. Each table
    /// changes at once or not at all; others' rules are not touched.
    /// </summary>
    /// <returns>Empty when there is nothing to do.</returns>
    public string RestoreInput(RuleSet installed)
    {
        var input = new StringBuilder();
        var tables = Chains.Concat(installed.Chains).Select(chain => chain.Table).Concat(installed.Rules.Select(rule => rule.Table)).Distinct(StringComparer.Ordinal);
        foreach (var table in tables.Order(StringComparer.Ordinal))
        {
            var (mine, theirs) = (ChainsOf(table), installed.ChainsOf(table));
            input.Append('*').Append(table).Append('\n');

            // 1. Declaring a chain empties it.
            foreach (var chain in mine.Union(theirs))
            {
                input.Append(':').Append(chain).Append(" - [0:0]\n");
            }

            // 2. Ways in that exist, however many, go away; 3. so do chains that are no longer wanted.
            foreach (var rule in installed.Rules.Where(rule => rule.Table == table && !IsOurs(rule.Chain)))
            {
                input.Append("-D ").Append(rule.Chain).Append(' ').Append(rule.Text).Append('\n');
            }

            foreach (var chain in theirs.Except(mine))
            {
                input.Append("-X ").Append(chain).Append('\n');
            }

            // 4. The rules; last of all the ways in, before whatever others have there.
            foreach (var rule in Rules.Where(rule => rule.Table == table))
            {
                input.Append(IsOurs(rule.Chain) ? $"-A {rule.Chain} {rule.Text}\n" : $"-I {rule.Chain} 1 {rule.Text}\n");
            }

            input.Append("COMMIT\n");
        }

        return input.ToString();
    }

    /// <summary>How what is installed differs from this: each missing and each surplus rule or chain, in a sentence. Empty when it does not.</summary>
    public IReadOnlyList<string> DifferencesFrom(RuleSet installed)
    {
        var differences = new List<string>();
        differences.AddRange(Chains.Except(installed.Chains).Select(chain => $"missing chain {chain.Chain} in table {chain.Table}"));
        differences.AddRange(installed.Chains.Except(Chains).Select(chain => $"surplus chain {chain.Chain} in table {chain.Table}"));
        var surplus = installed.Rules.ToList();
        foreach (var rule in Rules)
        {
            var found = surplus.FindIndex(other => other.Meaning == rule.Meaning);
            if (found < 0)
            {
                differences.Add($"missing {rule}");
            }
            else
            {
                surplus.RemoveAt(found);
            }
        }

        differences.AddRange(surplus.Select(rule => $"surplus {rule}"));
        if (differences.Count == 0)
        {
            differences.AddRange(Chains.Where(chain => !MeaningsOf(chain).SequenceEqual(installed.MeaningsOf(chain))).Select(chain => $"rules of {chain.Chain} in table {chain.Table} stand in another order"));
        }

        return differences;
    }

    private static bool IsOurs(string chain) => chain.StartsWith(Prefix, StringComparison.Ordinal);

    private static bool LeadsToUs(string rule) =>
        rule.Contains("-j " + Prefix, StringComparison.Ordinal) || rule.Contains("-g " + Prefix, StringComparison.Ordinal);

    private IReadOnlyList<string> ChainsOf(string table) => [.. Chains.Where(chain => chain.Table == table).Select(chain => chain.Chain)];

    private IEnumerable<string> MeaningsOf((string Table, string Chain) chain) => Rules.Where(rule => (rule.Table, rule.Chain) == chain).Select(rule => rule.Meaning);
}
