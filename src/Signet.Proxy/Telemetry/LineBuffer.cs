using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Unicode;

namespace Signet.Proxy.Telemetry;

/// <summary>
/// Lines that will be written, as bytes, and how values become such bytes. Text may come from a peer: however it is added, it can neither end
/// the line nor its quotes, nor send anything to a terminal. Not thread-safe.
/// </summary>
internal sealed class LineBuffer
{
    /// <summary>Characters of one text; more is cut.</summary>
    public const int MaxText = 2048;

    private const int FirstSize = 4096;

    /// <summary>The longest form of one UTF-16 unit: <c>\u0000</c>.</summary>
    private const int MaxEscaped = 6;
    private const int MaxNumber = 24;
    private const int MaxAddress = 72;

    /// <summary>What needs no escape, neither in JSON nor in plain text.</summary>
    private static readonly SearchValues<char> Harmless =
        SearchValues.Create([.. Enumerable.Range(' ', '~' - ' ' + 1).Select(c => (char)c).Where(c => c is not ('"' or '\\'))]);

    private byte[] _bytes = new byte[FirstSize];
    private int _length;
    private long _second = -1;
    private readonly byte[] _secondText = new byte[19];

    public int Length => _length;

    public ReadOnlySpan<byte> Span => _bytes.AsSpan(0, _length);

    public ReadOnlyMemory<byte> Memory => _bytes.AsMemory(0, _length);

    public void Clear() => _length = 0;

    /// <summary>Takes back what was added after a length.</summary>
    public void CutTo(int length) => _length = length;

    /// <summary>Adds bytes as they are: they were written by a programmer or checked before.</summary>
    public void Add(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Room(bytes.Length));
        _length += bytes.Length;
    }

    public void Add(long number)
    {
        Utf8Formatter.TryFormat(number, Room(MaxNumber), out var written);
        _length += written;
    }

    /// <summary>Adds an address, or an address and a port.</summary>
    public void Add(IPAddress address)
    {
        address.TryFormat(Room(MaxAddress), out var written);
        _length += written;
    }

    /// <inheritdoc cref="Add(IPAddress)"/>
    public void Add(IPEndPoint endPoint)
    {
        var isV6 = endPoint.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6;
        Add(isV6 ? "["u8 : ""u8);
        Add(endPoint.Address);
        Add(isV6 ? "]:"u8 : ":"u8);
        Add(endPoint.Port);
    }

    /// <summary>RFC 3339 in UTC, to the millisecond.</summary>
    public void Add(DateTimeOffset time)
    {
        var second = time.UtcTicks / TimeSpan.TicksPerSecond;
        if (second != _second)
        {
            time.UtcDateTime.TryFormat(_secondText, out _, "yyyy-MM-ddTHH:mm:ss", CultureInfo.InvariantCulture);
            _second = second;
        }

        Add(_secondText);
        var milliseconds = (int)(time.UtcTicks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMillisecond);
        Add([(byte)'.', Digit(milliseconds / 100), Digit(milliseconds / 10), Digit(milliseconds), (byte)'Z']);
    }

    /// <summary>Milliseconds, to the microsecond: <c>1.5</c>.</summary>
    public void AddMilliseconds(TimeSpan span)
    {
        var microseconds = Math.Max(0, (span.Ticks + (TimeSpan.TicksPerMicrosecond / 2)) / TimeSpan.TicksPerMicrosecond);
        Add(microseconds / 1000);
        var part = (int)(microseconds % 1000);
        if (part > 0)
        {
            ReadOnlySpan<byte> digits = [(byte)'.', Digit(part / 100), Digit(part / 10), Digit(part)];
            Add(digits.TrimEnd((byte)'0'));
        }
    }

    /// <summary>A JSON string, or <c>null</c>.</summary>
    public void AddJson(string? text)
    {
        if (text is null)
        {
            Add("null"u8);
        }
        else
        {
            AddJson(text.AsSpan());
        }
    }

    /// <summary>A JSON string.</summary>
    public void AddJson(ReadOnlySpan<char> text)
    {
        Add("\""u8);
        AddEscaped(text);
        Add("\""u8);
    }

    /// <summary>
    /// Text between quotes of somebody's own, or without any. Quotes, backslashes and what does not print are escaped in the same way in JSON and
    /// in plain text; letters of every script stay.
    /// </summary>
    public void AddEscaped(ReadOnlySpan<char> text)
    {
        text = text.Length > MaxText ? text[..MaxText] : text;
        if (text.IndexOfAnyExcept(Harmless) < 0)
        {
            Ascii.FromUtf16(text, Room(text.Length), out var written);
            _length += written;
            return;
        }

        Span<char> units = stackalloc char[2];
        foreach (var rune in text.EnumerateRunes())
        {
            var room = Room(2 * MaxEscaped);
            if (rune.Value is '"' or '\\')
            {
                room[0] = (byte)'\\';
                room[1] = (byte)rune.Value;
                _length += 2;
            }
            else if (IsPrintable(rune))
            {
                _length += rune.EncodeToUtf8(room);
            }
            else
            {
                foreach (var unit in units[..rune.EncodeToUtf16(units)])
                {
                    Utf8.TryWrite(Room(MaxEscaped), CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}", out var written);
                    _length += written;
                }
            }
        }
    }

    private static bool IsPrintable(Rune rune) => Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
        or UnicodeCategory.ParagraphSeparator or UnicodeCategory.PrivateUse or UnicodeCategory.Surrogate or UnicodeCategory.OtherNotAssigned);

    private static byte Digit(int number) => (byte)('0' + (number % 10));

    private Span<byte> Room(int count)
    {
        if (_bytes.Length - _length < count)
        {
            Array.Resize(ref _bytes, Math.Max(2 * _bytes.Length, _length + count));
        }

        return _bytes.AsSpan(_length);
    }
}
