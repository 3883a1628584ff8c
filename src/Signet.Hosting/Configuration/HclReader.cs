using System.Globalization;
using System.Text;
using Signet.Identity.Spiffe;

namespace Signet.Hosting.Configuration;

/// <summary>
/// Reads HCL 1, the language of SPIRE's <c>.conf</c> files, into the same tree as YAML: a block is a section, and the labels of a block are sections
/// within it. Bounded in length, depth and number of values.
/// </summary>
// body    = { item [","] }                 item  = key ( "=" value | { label } object )
// key     = identifier / string            label = identifier / string
// value   = string / heredoc / number / "true" / "false" / list / object
// list    = "[" [ value { "," value } [","] ] "]"
// object  = "{" body "}"
// comment = ("#" / "//") … end of line / "/*" … "*/"
internal sealed class HclReader
{
    private readonly string _text;
    private readonly ConfigProblems _problems;
    private readonly IReadOnlyDictionary<string, string> _environment;
    private int _at;
    private int _line = 1;
    private int _nodes;
    private int _expanded;

    private HclReader(string text, ConfigProblems problems, IReadOnlyDictionary<string, string> environment) => (_text, _problems, _environment) = (text, problems, environment);

    /// <summary>Never throws for what stands in the text: an unreadable one gives what came before, and a problem.</summary>
    public static ConfigMap Read(string text, ConfigProblems problems, IReadOnlyDictionary<string, string> environment)
    {
        var reader = new HclReader(text.TrimStart('\uFEFF'), problems, environment);
        var root = new Draft(1);
        try
        {
            if (Encoding.UTF8.GetByteCount(text) > ConfigDocument.MaxBytes)
            {
                throw new Unreadable(1, $"the file is larger than {ConfigDocument.MaxBytes / 1024} KiB; is this the right file?");
            }

            reader.Body(root, isRoot: true, depth: 1);
        }
        catch (Unreadable unreadable)
        {
            problems.AddUnreadable(unreadable.Line, unreadable.Message);
        }

        return root.ToMap();
    }

    private void Body(Draft into, bool isRoot, int depth)
    {
        while (true)
        {
            SkipSpace();
            if (_at >= _text.Length && isRoot)
            {
                return;
            }

            if (Peek() is '}' && !isRoot)
            {
                _at++;
                return;
            }

            Item(into, depth);
            SkipSpace();
            if (Peek() is ',')
            {
                _at++;
            }
        }
    }

    private void Item(Draft into, int depth)
    {
        Count(depth);
        var (line, key) = (_line, Word("a key"));
        SkipSpace();
        if (Peek() is '=')
        {
            _at++;
            SkipSpace();
            if (Peek() is '{')
            {
                Block(into.Below(key, line, _problems), depth);
                return;
            }

            if (!into.TryAdd(key, new ConfigEntry(line, Value(depth + 1))))
            {
                _problems.Add(line, "", $"key \"{Printable.Of(key)}\" is already on line {into.LineOf(key)}; keep one of them");
            }

            return;
        }

        // Labels are sections of their own, so that NodeAttestor "a" { } and NodeAttestor "b" { } stand beside each other.
        var section = into.Below(key, line, _problems);
        while (Peek() is not '{')
        {
            Count(++depth);
            section = section.Below(Word("\"=\", a label or \"{\""), _line, _problems);
            SkipSpace();
        }

        Block(section, depth);
    }

    private void Block(Draft into, int depth)
    {
        Count(depth);
        _at++;
        Body(into, isRoot: false, depth + 1);
    }

    private ConfigNode Value(int depth)
    {
        Count(depth);
        var line = _line;
        switch (Peek())
        {
            case '"':
                return Scalar(line, QuotedText());
            case '<':
                return Scalar(line, Heredoc());
            case '[':
                return List(depth);
            case '{':
                var draft = new Draft(line);
                Block(draft, depth);
                return draft.ToMap();
            default:
                return new ConfigScalar(line, Bare(), IsNull: false);
        }
    }

    private ConfigList List(int depth)
    {
        var (line, items) = (_line, new List<ConfigNode>());
        _at++;
        while (true)
        {
            SkipSpace();
            if (Peek() is ']')
            {
                _at++;
                return new ConfigList(line, items);
            }

            items.Add(Value(depth + 1));
            SkipSpace();
            if (Peek() is ',')
            {
                _at++;
            }
            else if (Peek() is not ']')
            {
                throw Expected("\",\" or \"]\"");
            }
        }
    }

    // number = ["-"] ( "0x" hex / digits ["." digits] ["e" ["+" / "-"] digits] ); whole ones are written in decimal, so that all readers understand them.
    private string Bare()
    {
        var begin = _at;
        while (char.IsAsciiLetterOrDigit(Peek()) || Peek() is '.' or '-' or '+' or '_')
        {
            _at++;
        }

        var word = _text[begin.._at];
        var digits = word.StartsWith('-') ? word[1..] : word;
        return word is "true" or "false" ? word
            : digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase) && long.TryParse(digits.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var hex)
            ? (word.StartsWith('-') ? -hex : hex).ToString(CultureInfo.InvariantCulture)
            : digits.Length > 0 && char.IsAsciiDigit(digits[0]) && double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out _) ? word
            : throw (word.Length == 0 ? Expected("a value") : new Unreadable(_line, $"\"{Printable.Of(word)}\" is not a value; put a text into double quotes"));
    }

    private string Word(string expected)
    {
        if (Peek() is '"')
        {
            return QuotedText();
        }

        var begin = _at;
        while (char.IsAsciiLetterOrDigit(Peek()) || Peek() is '_' or '-' or '.')
        {
            _at++;
        }

        return _at > begin ? _text[begin.._at] : throw Expected(expected);
    }

    private string QuotedText()
    {
        var text = new StringBuilder();
        for (_at++; Peek() is not '"'; _at++)
        {
            switch (Peek())
            {
                case '\0' or '\n' or '\r':
                    throw new Unreadable(_line, "a text ends without its second double quote");
                case '\\':
                    _at++;
                    text.Append(Escape());
                    break;
                case var c when char.IsControl(c) && c != '\t':
                    throw new Unreadable(_line, $"the control character {Printable.Of(c)} stands here; write it as an escape");
                case var c:
                    text.Append(c);
                    break;
            }
        }

        _at++;
        return text.ToString();
    }

    // The reader is left on the last character of the escape.
    private string Escape() => Peek() switch
    {
        '"' => "\"",
        '\\' => "\\",
        'n' => "\n",
        'r' => "\r",
        't' => "\t",
        'a' => "\a",
        'b' => "\b",
        'f' => "\f",
        'v' => "\v",
        'u' => Hex(4),
        'U' => Hex(8),
        'x' => Hex(2),
        var c => throw new Unreadable(_line, $"\\{Printable.Of(c)} is not an escape; write \\\\ for a backslash"),
    };

    private string Hex(int digits)
    {
        var good = _at + digits < _text.Length & int.TryParse(_text.AsSpan(Math.Min(_at + 1, _text.Length), Math.Min(digits, _text.Length - Math.Min(_at + 1, _text.Length))), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code);
        if (!good || !Rune.IsValid(code))
        {
            throw new Unreadable(_line, $"an escape names no character; {digits} hex digits are expected");
        }

        _at += digits;
        return new Rune(code).ToString();
    }

    // heredoc = "<<" ["-"] name newline { line } name; with "-" the smallest indentation is taken away from every line.
    private string Heredoc()
    {
        var line = _line;
        var head = Rest(_at);
        var isIndented = head.StartsWith("<<-", StringComparison.Ordinal);
        if (!head.StartsWith("<<", StringComparison.Ordinal))
        {
            throw Expected("a value");
        }

        var name = head[(isIndented ? 3 : 2)..].TrimEnd();
        if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
        {
            throw new Unreadable(line, "a text of several lines begins with << and a word, and ends with that word on a line of its own");
        }

        var lines = new List<string>();
        while (true)
        {
            var end = _text.IndexOf('\n', _at);
            if (end < 0)
            {
                throw new Unreadable(line, $"the text that begins here does not end; write {name} on a line of its own");
            }

            (_at, _line) = (end + 1, _line + 1);
            var next = Rest(_at);
            if (next.Trim() == name)
            {
                _at += next.Length;
                break;
            }

            lines.Add(next.TrimEnd('\r'));
        }

        var indentation = isIndented ? lines.Where(text => text.Trim().Length > 0).Select(text => text.Length - text.TrimStart(' ', '\t').Length).DefaultIfEmpty(0).Min() : 0;
        return string.Concat(lines.Select(text => text[Math.Min(indentation, text.Length)..] + "\n"));
    }

    private ConfigScalar Scalar(int line, string text)
    {
        var value = EnvironmentReferences.Expand(text, _environment, ConfigDocument.MaxExpandedLength - _expanded, out var problem);
        _expanded += value.Length;
        if (problem.Length > 0)
        {
            _problems.Add(line, "", problem);
        }

        return new ConfigScalar(line, value, IsNull: false);
    }

    private void SkipSpace()
    {
        while (true)
        {
            switch (Peek())
            {
                case '\n':
                    (_at, _line) = (_at + 1, _line + 1);
                    break;
                case ' ' or '\t' or '\r':
                    _at++;
                    break;
                case '#':
                case '/' when Peek(1) is '/':
                    _at += Rest(_at).Length;
                    break;
                case '/' when Peek(1) is '*':
                    SkipComment();
                    break;
                default:
                    return;
            }
        }
    }

    private void SkipComment()
    {
        var end = _text.IndexOf("*/", _at + 2, StringComparison.Ordinal);
        if (end < 0)
        {
            throw new Unreadable(_line, "a comment begins here and does not end; write */ after it");
        }

        _line += _text.AsSpan(_at, end - _at).Count('\n');
        _at = end + 2;
    }

    private void Count(int depth)
    {
        if (++_nodes > ConfigDocument.MaxNodes)
        {
            throw new Unreadable(_line, $"more than {ConfigDocument.MaxNodes} keys and values; is this the right file?");
        }

        if (depth > ConfigDocument.MaxDepth)
        {
            throw new Unreadable(_line, $"nested deeper than {ConfigDocument.MaxDepth} levels; a configuration never is");
        }
    }

    private char Peek(int ahead = 0) => _at + ahead < _text.Length ? _text[_at + ahead] : '\0';

    private string Rest(int from) => _text[from..(_text.IndexOf('\n', from) is var end && end < 0 ? _text.Length : end)];

    private Unreadable Expected(string what) =>
        new(_line, Peek() is '\0' && _at >= _text.Length ? $"the file ends where {what} was expected" : $"\"{Printable.Of(Peek())}\" stands where {what} was expected");

    private sealed class Unreadable(int line, string message) : Exception(message)
    {
        public int Line { get; } = line;
    }

    /// <summary>A section while it is read: blocks of the same name add to it.</summary>
    private sealed class Draft(int line)
    {
        private readonly Dictionary<string, ConfigEntry> _values = new(StringComparer.Ordinal);
        private readonly Dictionary<string, Draft> _sections = new(StringComparer.Ordinal);
        private readonly int _line = line;

        public bool TryAdd(string key, ConfigEntry entry) => !_sections.ContainsKey(key) && _values.TryAdd(key, entry);

        public int LineOf(string key) => _values.TryGetValue(key, out var entry) ? entry.Line : _sections[key]._line;

        public Draft Below(string key, int line, ConfigProblems problems)
        {
            if (_values.TryGetValue(key, out var value))
            {
                problems.Add(line, "", $"key \"{Printable.Of(key)}\" is already on line {value.Line}; keep one of them");
                return new Draft(line);
            }

            return _sections.TryGetValue(key, out var known) ? known : _sections[key] = new Draft(line);
        }

        public ConfigMap ToMap() => new(
            _line,
            _values.Concat(_sections.Select(pair => KeyValuePair.Create(pair.Key, new ConfigEntry(pair.Value._line, pair.Value.ToMap())))).ToDictionary(StringComparer.Ordinal));
    }
}
