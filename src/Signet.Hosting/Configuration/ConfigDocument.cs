using System.Text;
using Signet.Identity.Spiffe;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Signet.Hosting.Configuration;

/// <summary>
/// Reads one YAML (or JSON, which is YAML) document into sections. Only the parser's events are used: no type is built by reflection.
/// Every dimension of the text is bounded; anchors, aliases and tags are refused because a configuration has no use for them and an attacker has.
/// </summary>
public static class ConfigDocument
{
    /// <summary>The largest configuration, in UTF-8 bytes.</summary>
    public const int MaxBytes = 1024 * 1024;

    /// <summary>The deepest nesting of sections and lists.</summary>
    public const int MaxDepth = 32;

    /// <summary>The most keys, values and list items together.</summary>
    public const int MaxNodes = 100_000;

    /// <summary>The most characters that all values together may have after <c>${ENV}</c> was expanded.</summary>
    public const int MaxExpandedLength = 4 * MaxBytes;

    /// <summary>
    /// Parses, lets <paramref name="read"/> take what it knows, reports what nobody asked for, and throws when anything at all was wrong.
    /// </summary>
    /// <param name="fileName">Named in problems; relative paths in the document start from its folder.</param>
    /// <param name="text">The document.</param>
    /// <param name="environment">What <c>${NAME}</c> and <c>env:NAME</c> mean.</param>
    /// <param name="read">Builds the configuration. What it returns is thrown away when there was a problem, so it may go on with stand-ins.</param>
    /// <exception cref="ConfigException">Something is wrong; it carries all problems.</exception>
    public static T Read<T>(string fileName, string text, IReadOnlyDictionary<string, string> environment, Func<ConfigSection, T> read)
    {
        var (root, problems) = Parse(fileName, text, environment);
        var config = read(root);
        root.Finish();
        problems.ThrowIfAny();
        return config;
    }

    /// <summary>Parses only. Never throws for what stands in the text: an unreadable one gives an empty root and a problem.</summary>
    /// <inheritdoc cref="Read{T}"/>
    public static (ConfigSection Root, ConfigProblems Problems) Parse(string fileName, string text, IReadOnlyDictionary<string, string> environment)
    {
        var problems = new ConfigProblems(fileName);
        if (fileName.EndsWith(".conf", StringComparison.Ordinal) && !text.TrimStart('\uFEFF', ' ', '\t', '\r', '\n').StartsWith('{'))
        {
            return (new ConfigSection(new ConfigContext(problems, environment), HclReader.Read(text, problems, environment), ""), problems);
        }

        var maps = Maps(text, problems, new Reading(problems, environment, MaxBytes, MaxNodes, oneDocument: true));
        var map = maps.Count > 0 ? maps[0] : new ConfigMap(1, new Dictionary<string, ConfigEntry>());
        return (new ConfigSection(new ConfigContext(problems, environment), map, ""), problems);
    }

    /// <summary>
    /// Parses a file of many documents, such as Kubernetes objects; empty ones are left out. Never throws for what stands in the text: a mistake is a
    /// problem, and the documents before it are answered. <c>${NAME}</c> means nothing here.
    /// </summary>
    /// <param name="fileName">Named in problems.</param>
    /// <param name="text">The documents.</param>
    /// <param name="maxBytes">The longest text, in UTF-8 bytes.</param>
    /// <param name="maxNodes">The most keys, values and list items together.</param>
    public static (IReadOnlyList<ConfigSection> Roots, ConfigProblems Problems) ParseAll(string fileName, string text, int maxBytes, int maxNodes)
    {
        var problems = new ConfigProblems(fileName);
        var context = new ConfigContext(problems, new Dictionary<string, string>());
        var maps = Maps(text, problems, new Reading(problems, environment: null, maxBytes, maxNodes, oneDocument: false));
        return ([.. maps.Select(map => new ConfigSection(context, map, ""))], problems);
    }

    private static List<ConfigMap> Maps(string text, ConfigProblems problems, Reading reading)
    {
        var maps = new List<ConfigMap>();
        try
        {
            maps.AddRange(reading.Documents(text));
        }
        catch (Unreadable unreadable)
        {
            problems.AddUnreadable(unreadable.Line, unreadable.Message);
        }

        return maps;
    }

    private static int Line(Mark mark) => (int)Math.Clamp(mark.Line, 1, int.MaxValue);

    private sealed class Unreadable(int line, string message) : Exception(message)
    {
        public int Line { get; } = line;
    }

    private sealed class Reading(ConfigProblems problems, IReadOnlyDictionary<string, string>? environment, int maxBytes, int maxNodes, bool oneDocument)
    {
        private int _nodes;
        private int _expanded;

        public IEnumerable<ConfigMap> Documents(string text)
        {
            if (Encoding.UTF8.GetByteCount(text) > maxBytes)
            {
                throw new Unreadable(1, $"the file is larger than {maxBytes / 1024} KiB; is this the right file?");
            }

            RefuseControlCharacters(text);
            var parser = new Parser(new Scanner(new StringReader(text.TrimStart('\uFEFF')), skipComments: true));
            Advance(parser);
            Advance(parser);
            while (parser.Current is not (StreamEnd or null))
            {
                Advance(parser);
                var node = Node(parser, 1);
                Advance(parser);
                if (oneDocument && parser.Current is DocumentStart { Start: var second })
                {
                    throw new Unreadable(Line(second), "a second document begins here; write one document per file");
                }

                if (node is ConfigMap map)
                {
                    yield return map;
                }
                else if (node is not ConfigScalar { IsNull: true })
                {
                    throw new Unreadable(node.Line, "the file must hold keys and values, such as \"trustDomain: example.org\"");
                }
            }
        }

        /// <summary>YAML has none (§5.1), and the scanner takes a zero for the end of the text: what follows would be lost without a word.</summary>
        private static void RefuseControlCharacters(string text)
        {
            var line = 1;
            foreach (var c in text)
            {
                line += c == '\n' ? 1 : 0;
                if (char.IsControl(c) && c is not ('\n' or '\r' or '\t' or '\u0085'))
                {
                    throw new Unreadable(line, $"the control character {Printable.Of(c)} stands here; remove it, or write it as an escape in double quotes");
                }
            }
        }

        private static void Advance(Parser parser)
        {
            try
            {
                parser.MoveNext();
            }
            catch (YamlException e)
            {
                throw new Unreadable(Line(e.Start), $"this is not YAML: {Printable.Of(e.Message)}; check indentation and quotes around here");
            }
            catch (Exception e) when (e is InvalidOperationException or ArgumentException or FormatException or OverflowException or IndexOutOfRangeException or NullReferenceException)
            {
                throw new Unreadable(parser.Current is { } last ? Line(last.End) : 1, "this is not YAML; check indentation and quotes around here");
            }
        }

        /// <summary>Reads the node at the current event and leaves the parser behind it.</summary>
        private ConfigNode Node(Parser parser, int depth)
        {
            var at = parser.Current ?? throw new Unreadable(1, "the file ends too early");
            var line = Line(at.Start);
            if (++_nodes > maxNodes)
            {
                throw new Unreadable(line, $"more than {maxNodes} keys and values; is this the right file?");
            }

            if (depth > MaxDepth)
            {
                throw new Unreadable(line, $"nested deeper than {MaxDepth} levels; a configuration never is");
            }

            if (at is AnchorAlias or NodeEvent { Anchor.IsEmpty: false })
            {
                throw new Unreadable(line, "anchors and aliases (& and *) are not allowed; write the value out, or quote it if it only begins with that sign");
            }

            if (at is NodeEvent { Tag.IsEmpty: false })
            {
                throw new Unreadable(line, "tags (!) are not allowed; leave the tag out, or quote the value if it only begins with that sign");
            }

            return at switch
            {
                Scalar scalar => Scalar(parser, scalar, line),
                SequenceStart => List(parser, line, depth),
                MappingStart => Map(parser, line, depth),
                _ => throw new Unreadable(line, "a value was expected here"),
            };
        }

        private ConfigScalar Scalar(Parser parser, Scalar scalar, int line)
        {
            Advance(parser);
            if (scalar is { Style: ScalarStyle.Plain, Value: "" or "~" or "null" or "Null" or "NULL" })
            {
                return new ConfigScalar(line, "", IsNull: true);
            }

            if (environment is null)
            {
                return new ConfigScalar(line, scalar.Value, IsNull: false);
            }

            var value = EnvironmentReferences.Expand(scalar.Value, environment, MaxExpandedLength - _expanded, out var problem);
            _expanded += value.Length;
            if (problem.Length > 0)
            {
                problems.Add(line, "", problem);
            }

            return new ConfigScalar(line, value, IsNull: false);
        }

        private ConfigList List(Parser parser, int line, int depth)
        {
            var items = new List<ConfigNode>();
            Advance(parser);
            while (parser.Current is not SequenceEnd)
            {
                items.Add(Node(parser, depth + 1));
            }

            Advance(parser);
            return new ConfigList(line, items);
        }

        private ConfigMap Map(Parser parser, int line, int depth)
        {
            var entries = new Dictionary<string, ConfigEntry>(StringComparer.Ordinal);
            Advance(parser);
            while (parser.Current is not MappingEnd)
            {
                if (parser.Current is not Scalar { Anchor.IsEmpty: true, Tag.IsEmpty: true } key)
                {
                    throw new Unreadable(Line(parser.Current!.Start), "a key must be a plain word");
                }

                Advance(parser);
                var keyLine = Line(key.Start);
                var value = Node(parser, depth + 1);
                if (!entries.TryAdd(key.Value, new ConfigEntry(keyLine, value)))
                {
                    problems.Add(keyLine, "", $"key \"{Printable.Of(key.Value)}\" is already on line {entries[key.Value].Line}; keep one of them");
                }
            }

            Advance(parser);
            return new ConfigMap(line, entries);
        }
    }
}
