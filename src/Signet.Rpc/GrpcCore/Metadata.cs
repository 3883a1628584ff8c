using System.Buffers;
using System.Collections;
using System.Text;

namespace Grpc.Core;

/// <summary>
/// Names and values beside a call's messages: request headers, response headers or trailers. Names are lower-case ASCII
/// and may repeat; a name that ends in <c>-bin</c> has bytes for its value, others printable ASCII. Not thread-safe.
/// </summary>
public sealed class Metadata : IReadOnlyCollection<Metadata.Entry>
{
    /// <summary>What the names of binary values end with.</summary>
    public const string BinaryHeaderSuffix = "-bin";

    private readonly List<Entry> _entries = [];

    public int Count => _entries.Count;

    public void Add(Entry entry) => _entries.Add(entry);

    /// <inheritdoc cref="Entry(string, string)"/>
    public void Add(string key, string value) => Add(new Entry(key, value));

    /// <inheritdoc cref="Entry(string, byte[])"/>
    public void Add(string key, byte[] valueBytes) => Add(new Entry(key, valueBytes));

    /// <summary>The last text under a name, or null when there is none.</summary>
    /// <exception cref="InvalidOperationException">The name is that of a binary value.</exception>
    public string? GetValue(string key) => Last(key)?.Value;

    /// <summary>The last bytes under a name, or null when there are none.</summary>
    public byte[]? GetValueBytes(string key) => Last(key)?.ValueBytes;

    /// <summary>All entries of a name, in the order in which they were sent.</summary>
    public IEnumerable<Entry> GetAll(string key) => _entries.Where(entry => entry.HasKey(key));

    public IEnumerator<Entry> GetEnumerator() => _entries.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private Entry? Last(string key) => _entries.FindLast(entry => entry.HasKey(key));

    /// <summary>One name and its value. Immutable. <see cref="ToString"/> shows the name only: a value may be a credential.</summary>
    public sealed class Entry
    {
        private static readonly SearchValues<char> KeyCharacters =
            SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

        private readonly string? _text;
        private readonly byte[]? _bytes;

        /// <summary>A text value.</summary>
        /// <param name="key">ASCII letters, digits, <c>-</c>, <c>_</c> and <c>.</c>; upper case becomes lower.</param>
        /// <param name="value">Printable ASCII.</param>
        /// <exception cref="ArgumentException">The name or the value has other characters, or the name ends in <c>-bin</c>.</exception>
        public Entry(string key, string value)
        {
            Key = NormalizedKey(key);
            if (IsBinary)
            {
                throw new ArgumentException($"metadata \"{Key}\" ends in \"{BinaryHeaderSuffix}\"; give it bytes", nameof(value));
            }

            if (!IsText(value))
            {
                throw new ArgumentException($"metadata \"{Key}\" has a value with characters outside printable ASCII", nameof(value));
            }

            _text = value;
        }

        /// <summary>A binary value.</summary>
        /// <param name="key">Like a text value's, ending in <c>-bin</c>.</param>
        /// <param name="valueBytes">Any bytes; they are not copied.</param>
        /// <exception cref="ArgumentException">The name has other characters or does not end in <c>-bin</c>.</exception>
        public Entry(string key, byte[] valueBytes)
        {
            Key = NormalizedKey(key);
            if (!IsBinary)
            {
                throw new ArgumentException($"metadata \"{Key}\" does not end in \"{BinaryHeaderSuffix}\"; give it text", nameof(valueBytes));
            }

            _bytes = valueBytes;
        }

        /// <summary>Lower case.</summary>
        public string Key { get; }

        public bool IsBinary => Key.EndsWith(BinaryHeaderSuffix, StringComparison.Ordinal);

        /// <exception cref="InvalidOperationException">The value is binary.</exception>
        public string Value => _text ?? throw new InvalidOperationException($"metadata \"{Key}\" is binary; read its bytes");

        /// <summary>The bytes of a binary value, or the ASCII bytes of a text.</summary>
        public byte[] ValueBytes => _bytes ?? Encoding.ASCII.GetBytes(_text!);

        public override string ToString() => Key;

        internal bool HasKey(string key) => string.Equals(Key, key, StringComparison.OrdinalIgnoreCase);

        internal static bool IsKey(ReadOnlySpan<char> key) => !key.IsEmpty && !key.ContainsAnyExcept(KeyCharacters);

        internal static bool IsText(ReadOnlySpan<char> value) => !value.ContainsAnyExceptInRange(' ', '~');

        private static string NormalizedKey(string key) => IsKey(key)
            ? key.ToLowerInvariant()
            : throw new ArgumentException("a metadata name has ASCII letters, digits, '-', '_' and '.', and at least one of them", nameof(key));
    }
}
