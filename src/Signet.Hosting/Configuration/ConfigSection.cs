using Signet.Identity;
using Signet.Identity.Spiffe;

namespace Signet.Hosting.Configuration;

/// <summary>
/// Keys and values of one level of a configuration. Each read is by key and names the type it wants; what is wrong becomes a problem with file
/// and line, and the read answers with the fallback or a stand-in so that one pass finds everything. Every key that is asked for is remembered:
/// <see cref="Finish"/> reports the others. Not thread-safe: one reader at a time.
/// </summary>
/// <remarks>
/// <c>Thing(key)</c> answers null when the key is absent, <c>Thing(key, fallback)</c> the fallback, and <c>RequiredThing(key)</c> reports a problem.
/// A key without a value counts as absent.
/// </remarks>
public sealed partial class ConfigSection
{
    private readonly ConfigContext _context;
    private readonly ConfigMap? _map;
    private readonly bool _isStandIn;
    private readonly HashSet<string> _asked = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IReadOnlyList<ConfigSection>> _children = new(StringComparer.Ordinal);

    internal ConfigSection(ConfigContext context, ConfigMap? map, string path, int line = 1, bool isStandIn = false)
    {
        (_context, _map, Path, _isStandIn) = (context, map, path, isStandIn);
        Line = map?.Line ?? line;
    }

    /// <summary>Where the section begins, from 1; for an absent one, where its parent does.</summary>
    public int Line { get; }

    /// <summary>As <c>gateway[0].tls</c>; empty at the root.</summary>
    public string Path { get; }

    /// <summary>Whether the operator wrote it, be it empty.</summary>
    public bool IsPresent { get; internal init; } = true;

    /// <summary>The keys as written, for sections whose keys are names that the operator chose. Looking does not count as asking.</summary>
    public IReadOnlyCollection<string> Keys => _map is null ? [] : [.. _map.Entries.Keys];

    /// <summary>What a key holds, for keys that may be written in more than one shape. Looking does not count as asking.</summary>
    public ConfigShape Shape(string key) => _map is not null && _map.Entries.TryGetValue(key, out var entry) ? entry.Value.Shape : ConfigShape.Absent;

    /// <summary>The section under a key. Never null: an absent one is empty, with every fallback in it.</summary>
    public ConfigSection Section(string key)
    {
        if (_children.TryGetValue(key, out var known))
        {
            return known[0];
        }

        var entry = Ask(key, null);
        var path = Below(key);
        var section = entry?.Value switch
        {
            null => new ConfigSection(_context, null, path, Line, _isStandIn) { IsPresent = false },
            ConfigMap map => new ConfigSection(_context, map, path),
            ConfigScalar { IsNull: true } => new ConfigSection(_context, null, path, entry.Line),
            _ => StandIn(entry, path, "keys and values"),
        };
        _children[key] = [section];
        return section;
    }

    /// <summary>The sections of a list; empty when the key is absent.</summary>
    public IReadOnlyList<ConfigSection> Sections(string key)
    {
        if (_children.TryGetValue(key, out var known))
        {
            return known;
        }

        var sections = new List<ConfigSection>();
        foreach (var (item, path) in Items(key, "a list of sections, each beginning with \"- \""))
        {
            if (item is ConfigMap map)
            {
                sections.Add(new ConfigSection(_context, map, path));
            }
            else
            {
                _context.Problems.Add(item.Line, path, $"{Article(item)} stands where keys and values were expected");
            }
        }

        return _children[key] = sections;
    }

    /// <summary>A list of texts; empty when the key is absent.</summary>
    public IReadOnlyList<string> Texts(string key)
    {
        var texts = new List<string>();
        foreach (var (item, path) in Items(key, "a list, such as [one, two]"))
        {
            if (item is ConfigScalar { IsNull: false } scalar)
            {
                texts.Add(scalar.Value);
            }
            else
            {
                _context.Problems.Add(item.Line, path, $"{Article(item)} stands where a text was expected");
            }
        }

        return texts;
    }

    /// <summary>A list of values that are written as texts; empty when the key is absent. Each text that is none is reported.</summary>
    public IReadOnlyList<T> Values<T>(string key, ValueParser<T> tryParse)
    {
        var values = new List<T>();
        foreach (var text in Texts(key))
        {
            if (tryParse(text, out var value, out var problem))
            {
                values.Add(value);
            }
            else
            {
                Problem(key, problem);
            }
        }

        return values;
    }

    /// <summary>Texts under names that the operator chose, such as labels; empty when the key is absent.</summary>
    public IReadOnlyDictionary<string, string> Map(string key)
    {
        var section = Section(key);
        return section.Keys.ToDictionary(name => name, name => section.Text(name, ""), StringComparer.Ordinal);
    }

    /// <summary>Reports something that a role found wrong in a value it read.</summary>
    /// <param name="key">The key of this section that the message is about.</param>
    /// <param name="message">What is wrong, what was expected, the next step.</param>
    public void Problem(string key, string message) =>
        _context.Problems.Add(_map is not null && _map.Entries.TryGetValue(key, out var entry) ? entry.Line : Line, Below(key), message);

    /// <summary>Accepts keys, and whatever lies below them, without reading them.</summary>
    public void Ignore(params ReadOnlySpan<string> keys)
    {
        foreach (var key in keys)
        {
            _asked.Add(key);
            _children.Remove(key);
        }
    }

    /// <summary>Accepts a key, and whatever lies below it, without reading it, and tells the operator why it has no effect.</summary>
    public void Warn(string key, string message)
    {
        Ignore(key);
        _context.Warnings.Add(_map is not null && _map.Entries.TryGetValue(key, out var entry) ? entry.Line : Line, Below(key), message);
    }

    /// <summary>What was warned of anywhere in the document so far.</summary>
    public IReadOnlyList<ConfigProblem> Warnings => _context.Warnings.Found;

    /// <summary>
    /// Reports every key, here and in the sections that were asked for, that nobody asked for: a misspelt option must not be a silent one.
    /// <see cref="ConfigDocument.Read{T}"/> calls it on the root.
    /// </summary>
    public void Finish()
    {
        foreach (var (key, entry) in _map?.Entries ?? new Dictionary<string, ConfigEntry>())
        {
            if (_context.Problems.IsFull)
            {
                return;
            }

            if (_asked.Add(key))
            {
                var known = _asked.Except(_map!.Entries.Keys).Order(StringComparer.Ordinal).ToList();
                var hint = NearestWord.To(key, known) is { } nearest ? $"did you mean \"{nearest}\"?"
                    : known.Count > 0 ? $"what else can stand here: {string.Join(", ", known)}"
                    : "nothing else can stand here";
                _context.Problems.Add(entry.Line, Path, $"unknown key \"{Printable.Of(key)}\"; {hint}");
            }
        }

        foreach (var child in _children.Values.SelectMany(children => children))
        {
            child.Finish();
        }
    }

    private string Below(string key) => Path.Length == 0 ? Printable.Of(key) : $"{Path}.{Printable.Of(key)}";

    /// <summary>Remembers that the key is known, and looks it up.</summary>
    /// <param name="key">The key.</param>
    /// <param name="missing">The problem to report when it is absent, or null when it may be.</param>
    private ConfigEntry? Ask(string key, string? missing)
    {
        _asked.Add(key);
        if (_map is not null && _map.Entries.TryGetValue(key, out var entry) && (missing is null || entry.Value.Shape != ConfigShape.Absent))
        {
            return entry;
        }

        if (missing is not null && !_isStandIn)
        {
            Problem(key, missing);
        }

        return null;
    }

    private IEnumerable<(ConfigNode Item, string Path)> Items(string key, string expected)
    {
        var entry = Ask(key, null);
        if (entry?.Value is ConfigList list)
        {
            return list.Items.Select((item, index) => (item, $"{Below(key)}[{index}]"));
        }

        if (entry is not null && entry.Value.Shape != ConfigShape.Absent)
        {
            _context.Problems.Add(entry.Line, Below(key), $"{Article(entry.Value)} stands where a list was expected; write {expected}");
        }

        return [];
    }

    private ConfigSection StandIn(ConfigEntry entry, string path, string expected)
    {
        _context.Problems.Add(entry.Line, path, $"{Article(entry.Value)} stands where {expected} were expected");
        return new ConfigSection(_context, null, path, entry.Line, isStandIn: true);
    }

    private static string Article(ConfigNode node) => node.Shape switch
    {
        ConfigShape.Absent => "nothing",
        ConfigShape.Text => "a text",
        ConfigShape.Section => "a section",
        _ => "a list",
    };
}

/// <param name="Problems">Of the whole document.</param>
/// <param name="Environment">What <c>env:NAME</c> means.</param>
internal sealed record ConfigContext(ConfigProblems Problems, IReadOnlyDictionary<string, string> Environment)
{
    public ConfigProblems Warnings { get; } = new(Problems.File);
}
