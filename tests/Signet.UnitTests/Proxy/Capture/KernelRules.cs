using System.Text;

namespace Signet.UnitTests.Proxy.Capture;

/// <summary>What iptables-restore --noflush and iptables-save do to a kernel's rules, as far as capture needs it; mistakes throw.</summary>
internal sealed class KernelRules
{
    private static readonly Dictionary<string, string[]> BuiltIn = new()
    {
        ["nat"] = ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
        ["mangle"] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
    };

    private readonly Dictionary<string, Dictionary<string, List<string>>> _tables =
        BuiltIn.ToDictionary(table => table.Key, table => table.Value.ToDictionary(chain => chain, _ => new List<string>()));

    public void Restore(string input)
    {
        var (table, isOpen) = ("", false);
        foreach (var line in input.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var words = line.Split(' ', 3);
            switch (line[0])
            {
                case '*':
                    (table, isOpen) = (line[1..], true);
                    break;
                case ':':
                    _tables[table][words[0][1..]] = [];
                    break;
                case 'C':
                    isOpen = false;
                    break;
                default:
                    Assert.True(isOpen, line);
                    Change(_tables[table], words);
                    break;
            }
        }

        Assert.False(isOpen);
    }

    public string Save()
    {
        var text = new StringBuilder();
        foreach (var (table, chains) in _tables)
        {
            text.Append($"# Generated\n*{table}\n");
            foreach (var chain in chains.Keys.Order(StringComparer.Ordinal))
            {
                text.Append(BuiltIn[table].Contains(chain) ? $":{chain} ACCEPT [0:0]\n" : $":{chain} - [0:0]\n");
            }

            foreach (var (chain, rules) in chains.OrderBy(chain => chain.Key, StringComparer.Ordinal))
            {
                rules.ForEach(rule => text.Append($"-A {chain} {rule}\n"));
            }

            text.Append("COMMIT\n");
        }

        return text.ToString();
    }

    private static void Change(Dictionary<string, List<string>> chains, string[] words)
    {
        var chain = words[1];
        switch (words[0])
        {
            case "-A":
                RequireTarget(chains, words[2]);
                chains[chain].Add(words[2]);
                break;
            case "-I":
                Assert.StartsWith("1 ", words[2]);
                RequireTarget(chains, words[2][2..]);
                chains[chain].Insert(0, words[2][2..]);
                break;
            case "-D":
                Assert.True(chains[chain].Remove(words[2]), $"{chain} has no rule {words[2]}");
                break;
            case "-X":
                Assert.Empty(chains[chain]);
                Assert.DoesNotContain(chains.Values.SelectMany(rules => rules), rule => rule.EndsWith("-j " + chain, StringComparison.Ordinal));
                chains.Remove(chain);
                break;
            default:
                Assert.Fail(string.Join(' ', words));
                break;
        }
    }

    private static void RequireTarget(Dictionary<string, List<string>> chains, string rule)
    {
        var target = rule.Split("-j ")[1].Split(' ')[0];
        Assert.True(target is "RETURN" or "REDIRECT" or "TPROXY" or "MARK" or "ACCEPT" || chains.ContainsKey(target), $"{rule} leads nowhere");
    }
}
