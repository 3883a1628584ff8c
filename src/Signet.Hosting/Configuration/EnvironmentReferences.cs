using System.Text;
using Signet.Identity.Spiffe;

namespace Signet.Hosting.Configuration;

/// <summary><c>${NAME}</c> in a value stands for an environment variable, <c>$${</c> for the characters <c>${</c> themselves; any other <c>$</c> is a dollar.</summary>
internal static class EnvironmentReferences
{
    private const int MaxNameLength = 256;

    /// <param name="text">One value as it was written.</param>
    /// <param name="environment">The variables.</param>
    /// <param name="budget">The most characters that the answer may have.</param>
    /// <param name="problem">Why a reference has no answer (the first one); otherwise empty.</param>
    public static string Expand(string text, IReadOnlyDictionary<string, string> environment, int budget, out string problem)
    {
        problem = "";
        if (!text.Contains("${", StringComparison.Ordinal))
        {
            return text;
        }

        var expanded = new StringBuilder(text.Length);
        for (var at = 0; at < text.Length;)
        {
            var rest = text.AsSpan(at);
            if (rest.StartsWith("$${", StringComparison.Ordinal))
            {
                expanded.Append("${");
                at += 3;
                continue;
            }

            if (!rest.StartsWith("${", StringComparison.Ordinal))
            {
                expanded.Append(text[at++]);
                continue;
            }

            var length = rest[2..].IndexOf('}');
            var name = length < 0 ? "" : text.Substring(at + 2, length);
            if (name.Length is 0 or > MaxNameLength || !name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_') || char.IsAsciiDigit(name[0]))
            {
                problem = "\"${\" must be followed by the name of an environment variable and \"}\"; write \"$${\" for the characters themselves";
                return "";
            }

            if (!environment.TryGetValue(name, out var value))
            {
                problem = $"environment variable {Printable.Of(name)} is not set; set it, or write \"$${{\" for the characters themselves";
                return "";
            }

            if (expanded.Length + value.Length > budget)
            {
                problem = $"values are longer than {ConfigDocument.MaxExpandedLength} characters once environment variables are expanded";
                return "";
            }

            expanded.Append(value);
            at += length + 3;
        }

        return expanded.ToString();
    }
}
