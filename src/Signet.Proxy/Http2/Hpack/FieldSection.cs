namespace Signet.Proxy.Http2.Hpack;

/// <summary>The fields of one header block as they were decoded, before anybody judged them. Characters stand for octets, as in Latin-1.</summary>
/// <param name="maxSize">The limit on the section's size as RFC 9113 §10.5.1 counts it: 32 octets for each field beside its name and value.</param>
/// <param name="maxFields">The limit on the number of fields.</param>
public sealed class FieldSection(int maxSize, int maxFields)
{
    private readonly List<KeyValuePair<string, string>> _fields = new(8);
    private int _size;

    public IReadOnlyList<KeyValuePair<string, string>> Fields => _fields;

    /// <summary>The section is over a limit. Decoding went on, because the tables must stay in step, but no further field was kept.</summary>
    public bool IsTooLarge { get; private set; }

    internal List<KeyValuePair<string, string>> List => _fields;

    internal void Add(KeyValuePair<string, string> field)
    {
        // At most 2^31 octets of blocks would have to arrive before this overflows; the block's own limit is far below.
        _size = (int)Math.Min((long)_size + field.Key.Length + field.Value.Length + DynamicTable.Overhead, int.MaxValue);
        IsTooLarge |= _size > maxSize || _fields.Count == maxFields;
        if (!IsTooLarge)
        {
            _fields.Add(field);
        }
    }
}
