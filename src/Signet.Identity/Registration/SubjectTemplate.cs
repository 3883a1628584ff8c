using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Identity.Registration;

/// <summary>
/// A subject as RFC 4514 writes it, whose values are templates. It is cut into attributes before anything is filled in, so that a value can't become
/// an attribute. Pure.
/// </summary>
internal static class SubjectTemplate
{
    /// <summary>How many attributes a subject may have.</summary>
    public const int MaxAttributes = 8;

    /// <summary>The longest value, in characters (RFC 5280 appendix A.1, ub-common-name).</summary>
    public const int MaxValue = 64;

    private const string Types = "CN, OU, O, L, ST, C, UID, DC and SERIALNUMBER";

    private static readonly string[] Known = ["CN", "OU", "O", "L", "ST", "C", "UID", "DC", "SERIALNUMBER"];
    private static readonly string[] Repeatable = ["OU", "DC"];

    public static bool TryFill(string template, RegistrationEntry entry, [NotNullWhen(true)] out DistinguishedName? subject, out string problem)
    {
        subject = null;
        if (!TryCut(template, out var attributes, out problem))
        {
            return false;
        }

        var filled = new List<(string Type, string Value)>(attributes.Count);
        foreach (var (type, value) in attributes)
        {
            if (!Known.Contains(type))
            {
                problem = $"\"{Printable.Of(type)}\" is not an attribute that a subject may have; there are {Types}";
                return false;
            }

            if (!Repeatable.Contains(type) && filled.Any(other => other.Type == type))
            {
                problem = $"{type} stands in it twice";
                return false;
            }

            if (!TextTemplate.TryFill(value, entry, SvidTemplate.MaxText, out var text, out problem))
            {
                problem = $"{type}: {problem}";
                return false;
            }

            if (ProblemOf(type, text) is { } wrong)
            {
                problem = $"{type}: \"{Printable.Of(text)}\" {wrong}";
                return false;
            }

            filled.Add((type, text));
        }

        // People write the most specific attribute first, certificates have it last (RFC 4514 §2.1).
        filled.Reverse();
        subject = DistinguishedName.Of(filled);
        return true;
    }

    // name = attribute *( "," attribute ), attribute = TYPE "=" value; in a value "\" makes the character after it plain text.
    private static bool TryCut(string template, out List<(string Type, string Value)> attributes, out string problem)
    {
        attributes = [];
        problem = template.Length > SvidTemplate.MaxText ? $"it is longer than {SvidTemplate.MaxText} characters" : "";
        for (var at = 0; at <= template.Length && problem.Length == 0; at++)
        {
            var equals = template.IndexOf('=', at);
            if (equals < 0 || attributes.Count == MaxAttributes)
            {
                problem = equals < 0
                    ? $"\"{Printable.Of(template.AsSpan(at))}\" is not TYPE=value; write it as RFC 4514 has it, such as CN={{path.last}},O=Example"
                    : $"it has more than {MaxAttributes} attributes";
                break;
            }

            var type = template.AsSpan(at, equals - at).Trim().ToString().ToUpperInvariant();
            var value = new StringBuilder();
            for (at = equals + 1; at < template.Length && template[at] != ','; at++)
            {
                var c = template[at];
                if (c == '\\' && at + 1 < template.Length)
                {
                    c = template[++at];
                    value.Append(c is '{' or '}' ? new string(c, 2) : c.ToString());
                }
                else if (c is '\\' or '+' or '"' or ';' or '<' or '>')
                {
                    problem = $"a {c} in the value of {Printable.Of(type)} needs a \\ before it (RFC 4514 §2.4)";
                    break;
                }
                else
                {
                    value.Append(c);
                }
            }

            attributes.Add((type, value.ToString()));
        }

        return problem.Length == 0;
    }

    private static string? ProblemOf(string type, string value) => type switch
    {
        _ when value.Length is 0 or > MaxValue => $"has {value.Length} characters; 1 to {MaxValue} were expected",
        _ when value[0] == ' ' || value[^1] == ' ' => "begins or ends with a space",
        _ when value.EnumerateRunes().Any(rune => rune == Rune.ReplacementChar || IsHidden(rune)) => "has a character that cannot be seen or is none",
        "C" when value.Length != 2 || !value.All(char.IsAsciiLetterUpper) => "is not a country's two capital letters (ISO 3166)",
        "DC" when value.Contains('.', StringComparison.Ordinal) || !DnsName.IsValid(value) => "is not one label of a DNS name",
        "SERIALNUMBER" when !value.All(c => char.IsAsciiLetterOrDigit(c) || " '()+,-./:=?".Contains(c, StringComparison.Ordinal)) => "has a character that a printable string has not",
        _ => null,
    };

    private static bool IsHidden(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate
        or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
}
