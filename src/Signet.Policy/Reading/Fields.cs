using System.Globalization;
using Signet.Identity;
using Signet.Identity.Spiffe;
using Signet.Policy.Yaml;

namespace Signet.Policy.Reading;

/// <summary>
/// A mapping whose fields are known by name. A field that is not known is an error that names the nearest known one; a value of the wrong
/// shape is an error that says which was expected. Reading goes on after an error, so that all of them are told at once.
/// </summary>
internal sealed class Fields
{
    private readonly YamlMapping _mapping;
    private readonly ProblemList _problems;
    private readonly string _path;

    private Fields(YamlMapping mapping, string path, ProblemList problems) => (_mapping, _path, _problems) = (mapping, path, problems);

    public int Line => _mapping.Line;

    /// <summary>Opens a mapping; null when there is none, or when it is something else, which is an error.</summary>
    public static Fields? Open(YamlNode? node, string path, ProblemList problems, params ReadOnlySpan<string> known)
    {
        if (node is null or YamlScalar { IsNull: true })
        {
            return null;
        }

        if (node is not YamlMapping mapping)
        {
            problems.Error(node.Line, PolicyCodes.BadValue, $"{path} is {node.Noun}; a mapping was expected");
            return null;
        }

        foreach (var field in mapping.Fields)
        {
            if (!known.Contains(field.Key))
            {
                var nearest = NearestWord.To(field.Key, known);
                problems.Error(
                    field.Line,
                    PolicyCodes.UnknownField,
                    $"{Join(path, Printable.Of(field.Key))} is not a known field",
                    nearest is null ? $"known fields: {string.Join(", ", known.ToArray())}" : $"did you mean {nearest}?");
            }
        }

        return new Fields(mapping, path, problems);
    }

    public bool Has(string key) => _mapping[key] is not (null or YamlScalar { IsNull: true });

    public YamlNode? Node(string key) => _mapping[key];

    public int LineOf(string key)
    {
        foreach (var field in _mapping.Fields)
        {
            if (string.Equals(field.Key, key, StringComparison.Ordinal))
            {
                return field.Line;
            }
        }

        return Line;
    }

    public string PathOf(string key) => Join(_path, key);

    public Fields? Open(string key, params ReadOnlySpan<string> known) => Open(_mapping[key], PathOf(key), _problems, known);

    /// <summary>A text; null when absent.</summary>
    public string? Text(string key)
    {
        if (!Has(key))
        {
            return null;
        }

        if (_mapping[key] is YamlScalar scalar)
        {
            return scalar.Value;
        }

        Expected(key, "a text");
        return null;
    }

    public bool Flag(string key)
    {
        switch (_mapping[key])
        {
            case null or YamlScalar { IsNull: true }:
                return false;
            case YamlScalar { Value: "true", Plain: true }:
                return true;
            case YamlScalar { Value: "false", Plain: true }:
                return false;
            default:
                Expected(key, "true or false");
                return false;
        }
    }

    /// <summary>A whole number in a range; null when absent or wrong, which is an error.</summary>
    public int? Number(string key, int min, int max)
    {
        if (!Has(key))
        {
            return null;
        }

        if (_mapping[key] is YamlScalar scalar && int.TryParse(scalar.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max)
        {
            return number;
        }

        Expected(key, $"a whole number from {min} to {max}");
        return null;
    }

    /// <summary>A time span as Go writes it (<c>1m30s</c>, <c>0.5s</c>) in a range; null when absent or wrong, which is an error.</summary>
    public TimeSpan? Duration(string key, TimeSpan min, TimeSpan max)
    {
        if (Text(key) is not { } text)
        {
            return null;
        }

        if (GoDuration.TryParse(text, out var span) && span >= min && span <= max)
        {
            return span;
        }

        Expected(key, $"a time like 10s, 500ms or 1m30s from {min.TotalSeconds:0.###}s to {max.TotalHours:0}h");
        return null;
    }

    /// <summary>One of several words, exactly as spelled; null when absent or wrong, which is an error.</summary>
    public string? Word(string key, params ReadOnlySpan<string> words)
    {
        if (Text(key) is not { } text)
        {
            return null;
        }

        if (words.Contains(text))
        {
            return text;
        }

        var nearest = NearestWord.To(text, words);
        _problems.Error(
            _mapping[key]!.Line,
            PolicyCodes.BadValue,
            $"{PathOf(key)} is \"{Printable.Of(text)}\"; expected one of {string.Join(", ", words.ToArray())}",
            nearest is null ? null : $"did you mean {nearest}?");
        return null;
    }

    /// <summary>The items of a list; empty when absent.</summary>
    public IReadOnlyList<YamlNode> Items(string key)
    {
        if (!Has(key))
        {
            return [];
        }

        if (_mapping[key] is YamlSequence sequence)
        {
            return sequence.Items;
        }

        Expected(key, "a list");
        return [];
    }

    /// <summary>A list of texts, none of them empty; no texts when absent.</summary>
    public IReadOnlyList<TextItem> Texts(string key)
    {
        var texts = new List<TextItem>();
        var index = 0;
        foreach (var item in Items(key))
        {
            if (item is YamlScalar { IsNull: false, Value.Length: > 0 } scalar)
            {
                texts.Add(new TextItem(scalar.Line, scalar.Value));
            }
            else
            {
                var what = item is YamlScalar ? "empty" : item.Noun;
                _problems.Error(item.Line, PolicyCodes.BadValue, $"{PathOf(key)}[{index}] is {what}; a text was expected");
            }

            index++;
        }

        return texts;
    }

    /// <summary>Texts by name, as in labels; empty when absent.</summary>
    public IReadOnlyDictionary<string, string> TextMap(string key)
    {
        var map = new Dictionary<string, string>(StringComparer.Ordinal);
        if (!Has(key))
        {
            return map;
        }

        if (_mapping[key] is not YamlMapping mapping)
        {
            Expected(key, "a mapping");
            return map;
        }

        foreach (var field in mapping.Fields)
        {
            if (field.Value is YamlScalar scalar)
            {
                map[field.Key] = scalar.IsNull ? "" : scalar.Value;
            }
            else
            {
                _problems.Error(field.Line, PolicyCodes.BadValue, $"{Join(PathOf(key), Printable.Of(field.Key))} is {field.Value.Noun}; a text was expected");
            }
        }

        return map;
    }

    private void Expected(string key, string expected)
    {
        var node = _mapping[key]!;
        var shown = node is YamlScalar scalar ? $"\"{Printable.Of(scalar.Value)}\"" : node.Noun;
        _problems.Error(node.Line, PolicyCodes.BadValue, $"{PathOf(key)} is {shown}; {expected} was expected");
    }

    private static string Join(string path, string key) => path.Length == 0 ? key : path + "." + key;
}

/// <summary>A text in a list, and its line.</summary>
internal readonly record struct TextItem(int Line, string Value);
