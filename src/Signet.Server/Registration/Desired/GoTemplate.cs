using System.Diagnostics.CodeAnalysis;
using System.Text;
using Signet.Identity.Spiffe;

namespace Signet.Server.Registration.Desired;

/// <summary>What a template may speak of: texts and named values, nested. Immutable.</summary>
internal sealed class TemplateData(IReadOnlyDictionary<string, object> values)
{
    /// <param name="path">The names, outermost first.</param>
    /// <param name="value">The text.</param>
    /// <param name="problem">What is not there or is no text.</param>
    public bool TryFind(IReadOnlyList<string> path, [NotNullWhen(true)] out string? value, out string problem)
    {
        object? at = this;
        for (var i = 0; i < path.Count; i++)
        {
            at = at is TemplateData data ? data.Values.GetValueOrDefault(path[i]) : null;
            if (at is null)
            {
                value = null;
                problem = $"there is no .{string.Join('.', path.Take(i + 1).Select(name => Printable.Of(name)))}";
                return false;
            }
        }

        value = at as string;
        problem = value is null ? $".{string.Join('.', path)} is not a text" : "";
        return value is not null;
    }

    private IReadOnlyDictionary<string, object> Values => values;
}

/// <summary>
/// The part of Go's text/template that identities are made of: text, <c>{{ .A.B }}</c>, <c>{{ index .A.B "key" }}</c>, and <c>-</c> that trims
/// spaces. Anything else is refused by name. What a template speaks of must be there. Immutable, thread-safe.
/// </summary>
internal sealed class GoTemplate
{
    public const int MaxLength = 4096;

    private readonly IReadOnlyList<Piece> _pieces;

    private GoTemplate(IReadOnlyList<Piece> pieces) => _pieces = pieces;

    public static bool TryParse(string text, [NotNullWhen(true)] out GoTemplate? template, out string problem)
    {
        template = null;
        problem = text.Length > MaxLength ? $"the template is {text.Length} characters long; the limit is {MaxLength}" : "";
        var pieces = new List<Piece>();
        var (rest, trims) = (text, false);
        while (problem.Length == 0)
        {
            var open = rest.IndexOf("{{", StringComparison.Ordinal);
            var plain = open < 0 ? rest : rest[..open];
            var trimsBefore = open >= 0 && rest[(open + 2)..].StartsWith("- ", StringComparison.Ordinal);
            plain = trims ? plain.TrimStart() : plain;
            pieces.Add(new Piece(trimsBefore ? plain.TrimEnd() : plain, null));
            if (open < 0)
            {
                template = new GoTemplate(pieces);
                return true;
            }

            var close = rest.IndexOf("}}", open, StringComparison.Ordinal);
            if (close < 0)
            {
                problem = "\"{{\" has no \"}}\" after it";
                break;
            }

            var action = rest[(open + 2)..close];
            trims = action.EndsWith(" -", StringComparison.Ordinal);
            action = (trims ? action[..^1] : action)[(trimsBefore ? 1 : 0)..].Trim();
            rest = rest[(close + 2)..];
            if (ReadPath(action, out problem) is { } path)
            {
                pieces.Add(new Piece("", path));
            }
        }

        return false;
    }

    public bool TryRender(TemplateData data, [NotNullWhen(true)] out string? text, out string problem)
    {
        var rendered = new StringBuilder();
        text = null;
        foreach (var piece in _pieces)
        {
            var value = piece.Text;
            if (piece.Path is not null && !data.TryFind(piece.Path, out value, out problem))
            {
                return false;
            }

            rendered.Append(value);
        }

        (text, problem) = (rendered.ToString(), "");
        return true;
    }

    private static List<string>? ReadPath(string action, out string problem)
    {
        problem = $"\"{{{{ {Printable.Of(action)} }}}}\" is not understood; write {{{{ .Name.Name }}}} or {{{{ index .Name.Name \"key\" }}}}";
        var words = action.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var (names, keys) = words is ["index", var indexed, .. var quoted] && quoted.Length > 0 ? (indexed, quoted) : words is [var only] ? (only, []) : ("", Array.Empty<string>());
        if (names.Length < 2 || names[0] != '.')
        {
            return null;
        }

        var path = names[1..].Split('.').ToList();
        if (path.Any(name => name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_')))
        {
            return null;
        }

        foreach (var key in keys)
        {
            if (key.Length < 3 || key[0] != '"' || key[^1] != '"' || key[1..^1].AsSpan().ContainsAny('"', '\\'))
            {
                return null;
            }

            path.Add(key[1..^1]);
        }

        problem = "";
        return path;
    }

    private sealed record Piece(string Text, IReadOnlyList<string>? Path);
}
