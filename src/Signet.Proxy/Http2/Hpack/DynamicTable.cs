namespace Signet.Proxy.Http2.Hpack;

/// <summary>The fields of earlier blocks, the newest first, within a size in octets (RFC 7541 §2.3.2, §4). A ring that grows with what it holds.</summary>
internal sealed class DynamicTable(int maxSize)
{
    /// <summary>What an entry counts beside its characters (RFC 7541 §4.1).</summary>
    public const int Overhead = 32;

    private KeyValuePair<string, string>[] _ring = [];
    private int _newest = -1;
    private int _size;

    public int Count { get; private set; }

    public int MaxSize { get; private set; } = maxSize;

    /// <summary>The entry of so many insertions ago; 0 is the newest.</summary>
    public KeyValuePair<string, string> Entry(int age) => _ring[(_newest - age + _ring.Length) % _ring.Length];

    /// <summary>Inserts a field, evicting old ones; one that is larger than the table empties it, which is no error (§4.4).</summary>
    public void Insert(KeyValuePair<string, string> field)
    {
        var size = field.Key.Length + field.Value.Length + Overhead;
        Evict(MaxSize - size);
        if (size > MaxSize)
        {
            return;
        }

        if (Count == _ring.Length)
        {
            var larger = new KeyValuePair<string, string>[Math.Max(8, Count * 2)];
            for (var i = 0; i < Count; i++)
            {
                larger[i] = Entry(Count - 1 - i);
            }

            (_ring, _newest) = (larger, Count - 1);
        }

        _newest = (_newest + 1) % _ring.Length;
        _ring[_newest] = field;
        _size += size;
        Count++;
    }

    /// <summary>Changes the size, evicting what no longer fits.</summary>
    public void Resize(int size)
    {
        MaxSize = size;
        Evict(size);
    }

    private void Evict(int until)
    {
        while (Count > 0 && _size > until)
        {
            var oldest = (_newest - Count + 1 + _ring.Length) % _ring.Length;
            _size -= _ring[oldest].Key.Length + _ring[oldest].Value.Length + Overhead;
            _ring[oldest] = default;
            Count--;
        }
    }
}
