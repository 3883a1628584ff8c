using System.Diagnostics.CodeAnalysis;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Signet.Policy.Yaml;

/// <summary>
/// Reads YAML into a bounded tree: what a stranger's text can cost is limited in length, depth and nodes, aliases counted as if they were
/// written out, so that neither a billion laughs nor a cyclic anchor is more than an error with a line.
/// </summary>
public static class YamlReader
{
    /// <summary>The deepest nesting that is read; policies need about ten levels.</summary>
    public const int MaxDepth = 32;

    /// <summary>The most nodes in a text, aliases written out.</summary>
    public const int MaxNodes = 2_000_000;

    /// <summary>The longest key or value, in characters.</summary>
    public const int MaxScalarLength = 1024 * 1024;

    private static readonly string[] CoreTags = ["tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:int", "tag:yaml.org,2002:bool"];

    /// <summary>Reads all documents of a text. Empty ones are left out.</summary>
    /// <param name="text">One or more documents.</param>
    /// <param name="documents">The documents before the first mistake, also when the answer is false.</param>
    /// <param name="problem">The mistake and its line.</param>
    public static bool TryRead(string text, out IReadOnlyList<YamlNode> documents, [NotNullWhen(false)] out YamlProblem? problem)
    {
        var read = new List<YamlNode>();
        documents = read;
        problem = null;
        if (text.Length > PolicyText.MaxLength)
        {
            problem = new YamlProblem(1, $"the text has {text.Length} characters; the limit is {PolicyText.MaxLength}");
            return false;
        }

        var line = 1;
        try
        {
            var run = new Run(new Parser(new StringReader(text)));
            run.Take<StreamStart>();
            while (run.Peek is not StreamEnd)
            {
                line = run.Line;
                run.Take<DocumentStart>();
                var root = run.ReadNode(depth: 0);
                run.Take<DocumentEnd>();
                if (root is not YamlScalar { IsNull: true })
                {
                    read.Add(root);
                }
            }

            return true;
        }
        catch (YamlStop stop)
        {
            problem = new YamlProblem(stop.Line, stop.Message);
        }
        catch (YamlException bad)
        {
            // The parser may point behind the last line.
            problem = new YamlProblem(Math.Clamp((int)bad.Start.Line, 1, 1 + text.AsSpan().Count('\n')), "this is not YAML: " + Lowered(bad.Message));
        }
        catch (Exception bad) when (bad is ArgumentException or InvalidOperationException or IndexOutOfRangeException or FormatException or OverflowException)
        {
            problem = new YamlProblem(line, "this is not YAML: the document that begins here can't be read");
        }

        return false;
    }

    private static string Lowered(string message) => message.Length == 0 ? "unreadable" : char.ToLowerInvariant(message[0]) + message[1..].TrimEnd('.');

    private sealed class Run(Parser parser)
    {
        private readonly Dictionary<string, YamlNode> _anchors = new(StringComparer.Ordinal);
        private readonly HashSet<string> _open = new(StringComparer.Ordinal);
        private long _nodes;

        public ParsingEvent Peek
        {
            get
            {
                if (parser.Current is null && !parser.MoveNext())
                {
                    throw new YamlStop(1, "the text ends too early");
                }

                return parser.Current!;
            }
        }

        public int Line => (int)Peek.Start.Line;

        public T Take<T>()
            where T : ParsingEvent
        {
            var taken = Peek as T ?? throw new YamlStop(Line, $"this is not YAML: {Peek.GetType().Name} where {typeof(T).Name} was expected");
            if (taken is DocumentStart)
            {
                _anchors.Clear();
            }

            if (taken is not StreamEnd)
            {
                parser.MoveNext();
            }

            return taken;
        }

        public YamlNode ReadNode(int depth)
        {
            if (depth > MaxDepth)
            {
                throw new YamlStop(Line, $"the text is nested more than {MaxDepth} levels deep");
            }

            if (Peek is AnchorAlias)
            {
                return Alias(Take<AnchorAlias>());
            }

            if (Peek is not NodeEvent start)
            {
                throw new YamlStop(Line, "this is not YAML: a value is missing");
            }

            if (!start.Tag.IsEmpty && !start.Tag.IsNonSpecific && !CoreTags.Contains(start.Tag.Value))
            {
                throw new YamlStop(Line, $"the tag {Signet.Identity.Spiffe.Printable.Of(start.Tag.Value)} has no meaning here");
            }

            Count(1, Line);
            var anchor = start.Anchor.IsEmpty ? null : start.Anchor.Value;
            if (anchor is not null)
            {
                _open.Add(anchor);
            }

            YamlNode node = start switch
            {
                Scalar => ReadScalar(),
                SequenceStart => ReadSequence(depth),
                MappingStart => ReadMapping(depth),
                _ => throw new YamlStop(Line, "this is not YAML: a value is missing"),
            };
            if (anchor is not null)
            {
                _open.Remove(anchor);
                _anchors[anchor] = node;
            }

            return node;
        }

        private YamlNode Alias(AnchorAlias alias)
        {
            var line = (int)alias.Start.Line;
            if (_open.Contains(alias.Value.Value))
            {
                throw new YamlStop(line, $"the anchor \"{alias.Value.Value}\" contains itself");
            }

            if (!_anchors.TryGetValue(alias.Value.Value, out var node))
            {
                throw new YamlStop(line, $"the anchor \"{alias.Value.Value}\" is not defined");
            }

            Count(node.Size, line);
            return node;
        }

        private YamlScalar ReadScalar()
        {
            var scalar = Take<Scalar>();
            var line = (int)scalar.Start.Line;
            return scalar.Value.Length <= MaxScalarLength
                ? new YamlScalar(line, scalar.Value, scalar.Style is ScalarStyle.Plain && scalar.Tag.IsEmpty)
                : throw new YamlStop(line, $"a value has {scalar.Value.Length} characters; the limit is {MaxScalarLength}");
        }

        private YamlSequence ReadSequence(int depth)
        {
            var start = Take<SequenceStart>();
            var items = new List<YamlNode>();
            long size = 1;
            while (Peek is not SequenceEnd)
            {
                items.Add(ReadNode(depth + 1));
                size += items[^1].Size;
            }

            Take<SequenceEnd>();
            return new YamlSequence((int)start.Start.Line, items) { Size = size };
        }

        private YamlMapping ReadMapping(int depth)
        {
            var start = Take<MappingStart>();
            var fields = new List<YamlField>();
            var keys = new HashSet<string>(StringComparer.Ordinal);
            long size = 1;
            while (Peek is not MappingEnd)
            {
                var line = Line;
                if (ReadNode(depth + 1) is not YamlScalar key)
                {
                    throw new YamlStop(line, "a key is a list or a mapping; only a single value can be a key");
                }

                if (!keys.Add(key.Value))
                {
                    throw new YamlStop(line, $"the key \"{Signet.Identity.Spiffe.Printable.Of(key.Value)}\" occurs twice");
                }

                var value = ReadNode(depth + 1);
                fields.Add(new YamlField(line, key.Value, value));
                size += 1 + value.Size;
            }

            Take<MappingEnd>();
            return new YamlMapping((int)start.Start.Line, fields) { Size = size };
        }

        private void Count(long nodes, int line)
        {
            _nodes += nodes;
            if (_nodes > MaxNodes)
            {
                throw new YamlStop(line, $"the text has more than {MaxNodes} values, aliases written out");
            }
        }
    }

    private sealed class YamlStop(int line, string message) : Exception(message)
    {
        public int Line { get; } = line;
    }
}

/// <summary>Why a text could not be read as YAML.</summary>
public sealed record YamlProblem(int Line, string Message);
