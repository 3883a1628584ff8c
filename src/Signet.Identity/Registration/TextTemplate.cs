using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Signet.Identity.Spiffe;

namespace Signet.Identity.Registration;

/// <summary>
/// Text in which <c>{trustDomain}</c>, <c>{path}</c>, <c>{path.1}</c> (and so on), <c>{path.last}</c> and <c>{hint}</c> stand for what an entry says;
/// <c>{{</c> and <c>}}</c> are the braces themselves. What is put in is not looked at again. Pure.
/// </summary>
internal static class TextTemplate
{
    private const string Known = "{trustDomain}, {path}, {path.1} and so on, {path.last}, {hint}";

    /// <param name="template">The text.</param>
    /// <param name="entry">What variables stand for.</param>
    /// <param name="maxLength">The longest text and the longest result, in characters.</param>
    public static bool TryFill(string template, RegistrationEntry entry, int maxLength, [NotNullWhen(true)] out string? filled, out string problem)
    {
        filled = null;
        var text = new StringBuilder();
        for (var at = 0; at < template.Length; at++)
        {
            var c = template[at];
            if (c is '{' or '}' && at + 1 < template.Length && template[at + 1] == c)
            {
                text.Append(c);
                at++;
            }
            else if (c == '}')
            {
                problem = "there is a } without a {; write }} for the brace itself";
                return false;
            }
            else if (c == '{')
            {
                var end = template.IndexOf('}', at);
                if (end < 0)
                {
                    problem = "there is a { without a }; write {{ for the brace itself";
                    return false;
                }

                if (!TryValue(template[(at + 1)..end], entry, out var value, out problem))
                {
                    return false;
                }

                text.Append(value);
                at = end;
            }
            else
            {
                text.Append(c);
            }

            if (text.Length > maxLength)
            {
                break;
            }
        }

        if (template.Length > maxLength || text.Length > maxLength)
        {
            problem = $"it is longer than {maxLength} characters";
            return false;
        }

        (filled, problem) = (text.ToString(), "");
        return true;
    }

    private static bool TryValue(string name, RegistrationEntry entry, out string value, out string problem)
    {
        var path = entry.SpiffeId.Path.TrimStart('/');
        var parts = path.Split('/');
        var part = name.StartsWith("path.", StringComparison.Ordinal) ? name["path.".Length..] : null;
        var number = 0;
        (value, problem) = name switch
        {
            "trustDomain" => (entry.SpiffeId.TrustDomain.Name, ""),
            "path" => (path, ""),
            "hint" => entry.Hint.Length > 0 ? (entry.Hint, "") : ("", "{hint} is empty: the entry has no hint"),
            "path.last" => (parts[^1], ""),
            _ when part is not null && int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number > 0 =>
                number <= parts.Length ? (parts[number - 1], "") : ("", $"{{{name}}} is empty: the path of {entry.SpiffeId} has {parts.Length} parts"),
            _ => ("", $"{{{Printable.Of(name)}}} is unknown; there are {Known}"),
        };
        return problem.Length == 0;
    }
}
