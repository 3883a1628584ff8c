using System.Globalization;

namespace Signet.Hosting.Telemetry;

/// <summary>
/// Writes tags as the labels of a series, <c>a="1",b="2"</c>, ordered by name so that equal sets give equal text. Works in a buffer of the calling
/// thread: the answer is good until the thread asks again.
/// </summary>
internal static class PrometheusLabels
{
    /// <summary>More labels than this are left out.</summary>
    public const int MaxLabels = 16;

    /// <summary>A value is cut after this many characters: it may come from a peer.</summary>
    public const int MaxValueLength = 256;

    [ThreadStatic]
    private static Scratch? _scratch;

    /// <param name="constant">The tags of the instrument.</param>
    /// <param name="tags">The measurement's tags; one of the same name wins.</param>
    public static ReadOnlySpan<char> Of(ReadOnlySpan<KeyValuePair<string, object?>> constant, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var scratch = _scratch ??= new Scratch();
        scratch.Clear();
        foreach (var tag in constant)
        {
            scratch.Insert(tag);
        }

        foreach (var tag in tags)
        {
            scratch.Insert(tag);
        }

        return scratch.Write();
    }

    private sealed class Scratch
    {
        private readonly KeyValuePair<string, object?>[] _tags = new KeyValuePair<string, object?>[MaxLabels];

        // Every value could be escaped to twice its length; 4 characters are ="" and a comma.
        private readonly char[] _text = new char[MaxLabels * (PrometheusNames.MaxLabelLength + (2 * MaxValueLength) + 4)];
        private int _count;
        private int _length;

        public void Clear() => (_count, _length) = (0, 0);

        public void Insert(KeyValuePair<string, object?> tag)
        {
            if (string.IsNullOrEmpty(tag.Key))
            {
                return;
            }

            var name = PrometheusNames.Label(tag.Key);
            var at = _count;
            while (at > 0 && string.CompareOrdinal(_tags[at - 1].Key, name) > 0)
            {
                at--;
            }

            if (at > 0 && _tags[at - 1].Key == name)
            {
                _tags[at - 1] = new(name, tag.Value);
            }
            else if (_count < MaxLabels)
            {
                Array.Copy(_tags, at, _tags, at + 1, _count - at);
                _tags[at] = new(name, tag.Value);
                _count++;
            }
        }

        public ReadOnlySpan<char> Write()
        {
            for (var i = 0; i < _count; i++)
            {
                if (_length > 0)
                {
                    _text[_length++] = ',';
                }

                _tags[i].Key.CopyTo(_text.AsSpan(_length));
                _length += _tags[i].Key.Length;
                _text[_length++] = '=';
                _text[_length++] = '"';
                WriteValue(_tags[i].Value);
                _text[_length++] = '"';
            }

            Array.Clear(_tags, 0, _count);
            return _text.AsSpan(0, _length);
        }

        private void WriteValue(object? value)
        {
            var text = value switch
            {
                null => "",
                string s => s,
                bool flag => flag ? "true" : "false",
                _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
            };
            foreach (var c in text.AsSpan(0, Math.Min(text.Length, MaxValueLength)))
            {
                if (c is '\\' or '"' or '\n')
                {
                    _text[_length++] = '\\';
                }

                _text[_length++] = c == '\n' ? 'n' : c;
            }
        }
    }
}
