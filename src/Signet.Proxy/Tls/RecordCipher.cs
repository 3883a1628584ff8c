using System.Buffers.Binary;
using System.Security.Cryptography;
using Signet.Proxy.Native;

namespace Signet.Proxy.Tls;

/// <summary>
/// One direction of TLS 1.3's record protection (RFC 8446 §5.2 to §5.5): a key, the numbers of its records, and the next key. The AEAD is
/// libcrypto's. One thread at a time; dispose to wipe and free it.
/// </summary>
internal sealed unsafe class RecordCipher : IDisposable
{
    /// <summary>What protection adds to a payload: header, content type, tag.</summary>
    public const int Overhead = HeaderSize + 1 + TagSize;
    public const int HeaderSize = 5;
    public const int MaxPayload = 16 * 1024;

    /// <summary>The largest record, with its header and room for padding.</summary>
    public const int MaxRecord = HeaderSize + MaxPayload + 256;

    /// <summary>Records under one key before its sender changes it: below 2^24.5, where the margin of AES-GCM ends (§5.5).</summary>
    private const ulong MaxRecords = 1UL << 24;

    private const int TagSize = 16;
    private const int NonceSize = 12;

    /// <summary>The least record: a content type and a tag.</summary>
    private const int MinRecord = Overhead;

    private readonly RecordSuite _suite;
    private readonly int _direction;
    private readonly byte[] _secret;
    private readonly byte[] _iv = new byte[NonceSize];
    private readonly nint _context;

    private RecordCipher(RecordSuite suite, ReadOnlySpan<byte> secret, int direction, ulong sequence)
    {
        (_suite, _direction, _secret, Sequence) = (suite, direction, secret.ToArray(), sequence);
        _context = Evp.NewContext();
        Rekey();
    }

    /// <summary>The number of the next record.</summary>
    public ulong Sequence { get; private set; }

    /// <summary>Whether so much was sent under this key that the next record is to come under another.</summary>
    public bool IsWorn => Sequence >= MaxRecords;

    /// <param name="suite">Cipher and hash.</param>
    /// <param name="secret">The sender's traffic secret.</param>
    /// <param name="sequence">How many records were already sent under it.</param>
    public static RecordCipher ForSending(RecordSuite suite, ReadOnlySpan<byte> secret, ulong sequence) => new(suite, secret, Evp.Encrypt, sequence);

    /// <inheritdoc cref="ForSending"/>
    public static RecordCipher ForReceiving(RecordSuite suite, ReadOnlySpan<byte> secret, ulong sequence) => new(suite, secret, Evp.Decrypt, sequence);

    /// <summary>The size of the record at the front, its header included: 0 when more bytes are needed to tell, -1 when it cannot be one of these.</summary>
    public static int SizeOfFirst(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < HeaderSize)
        {
            return 0;
        }

        var size = HeaderSize + BinaryPrimitives.ReadUInt16BigEndian(bytes[3..]);
        return bytes[0] == (byte)ContentType.ApplicationData && size is >= MinRecord and <= MaxRecord ? size : -1;
    }

    /// <summary>Writes one record.</summary>
    /// <param name="payload">At most <see cref="MaxPayload"/> bytes.</param>
    /// <param name="type">What the payload is; only the receiver learns it.</param>
    /// <param name="record">Room for the payload and <see cref="Overhead"/>.</param>
    /// <returns>How many bytes were written.</returns>
    /// <exception cref="IOException">libcrypto failed.</exception>
    public int Seal(ReadOnlySpan<byte> payload, ContentType type, byte* record)
    {
        var size = payload.Length + Overhead;
        WriteHeader(record, size);
        var at = record + HeaderSize;
        int written;
        fixed (byte* from = payload)
        {
            Begin(record);
            Demand(payload.IsEmpty || Evp.Update(_context, at, &written, from, payload.Length) == 1);
        }

        at += payload.Length;
        var inner = (byte)type;
        Demand(Evp.Update(_context, at, &written, &inner, 1) == 1);
        Demand(Evp.Final(_context, at + 1, &written) == 1);
        Demand(Evp.Control(_context, Evp.ControlGetTag, TagSize, at + 1) == 1);
        Sequence++;
        return size;
    }

    /// <summary>Reads one whole record, whose size <see cref="SizeOfFirst"/> has told.</summary>
    /// <param name="record">The record; it stays as it is.</param>
    /// <param name="into">Room for the size less <see cref="Overhead"/>; what is there after a failure is nobody's.</param>
    /// <param name="count">The bytes of payload.</param>
    /// <param name="type">What they are; 0 when the record says nothing but padding.</param>
    /// <returns>False when it is not what the peer sent.</returns>
    /// <exception cref="IOException">libcrypto failed.</exception>
    public bool TryOpen(ReadOnlySpan<byte> record, byte* into, out int count, out ContentType type)
    {
        count = record.Length - Overhead;
        byte inner;
        int written;
        fixed (byte* from = record)
        {
            Begin(from);
            var at = from + HeaderSize;
            Demand(Evp.Control(_context, Evp.ControlSetTag, TagSize, at + count + 1) == 1);
            Demand(count == 0 || Evp.Update(_context, into, &written, at, count) == 1);
            Demand(Evp.Update(_context, &inner, &written, at + count, 1) == 1);
        }

        byte nothing;
        var isGenuine = Evp.Final(_context, &nothing, &written) == 1;
        Sequence++;
        while (inner == 0 && count > 0)
        {
            inner = into[--count];
        }

        type = (ContentType)inner;
        return isGenuine;
    }

    /// <summary>Goes over to the next key (RFC 8446 §7.2).</summary>
    public void Update()
    {
        Span<byte> next = stackalloc byte[_secret.Length];
        _suite.Expand(_secret, "traffic upd", next);
        next.CopyTo(_secret);
        CryptographicOperations.ZeroMemory(next);
        Sequence = 0;
        Rekey();
    }

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_secret);
        Evp.FreeContext(_context);
    }

    private void Rekey()
    {
        Span<byte> key = stackalloc byte[_suite.KeySize];
        _suite.Expand(_secret, "key", key);
        _suite.Expand(_secret, "iv", _iv);
        fixed (byte* bytes = key)
        {
            Demand(_context != 0 && Evp.Init(_context, _suite.Cipher, bytes, null, _direction, 0) == 1);
        }

        CryptographicOperations.ZeroMemory(key);
    }

    /// <summary>A record's nonce is its number in the key's IV (RFC 8446 §5.3); its header is authenticated with it.</summary>
    private void Begin(byte* header)
    {
        if (Sequence == ulong.MaxValue)
        {
            throw new IOException("the numbers of records under one key are used up");
        }

        var nonce = stackalloc byte[NonceSize];
        _iv.CopyTo(new Span<byte>(nonce, NonceSize));
        var low = new Span<byte>(nonce + NonceSize - sizeof(ulong), sizeof(ulong));
        BinaryPrimitives.WriteUInt64BigEndian(low, BinaryPrimitives.ReadUInt64BigEndian(low) ^ Sequence);
        int written;
        Demand(Evp.Init(_context, 0, null, nonce, Evp.SameDirection, 0) == 1 && Evp.Update(_context, null, &written, header, HeaderSize) == 1);
    }

    private static void WriteHeader(byte* record, int size)
    {
        (record[0], record[1], record[2]) = ((byte)ContentType.ApplicationData, 3, 3);
        BinaryPrimitives.WriteUInt16BigEndian(new Span<byte>(record + 3, 2), (ushort)(size - HeaderSize));
    }

    private static void Demand(bool isDone)
    {
        if (!isDone)
        {
            throw new IOException($"libcrypto failed: {LibSsl.TakeError() ?? "no reason given"}");
        }
    }
}
