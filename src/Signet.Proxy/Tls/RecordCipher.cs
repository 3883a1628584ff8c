using System.Buffers.Binary;
using System.Runtime.InteropServices;
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

    /// <summary>The largest record: what a payload's and its padding's limit leaves of §5.2's 2^14 + 256.</summary>
    public const int MaxRecord = MaxPayload + Overhead;

    /// <summary>Records under one key before its sender changes it: below 2^24.5, where the margin of AES-GCM ends (§5.5).</summary>
    private const ulong MaxRecords = 1UL << 24;

    private const int TagSize = 16;
    private const int NonceSize = 12;

    /// <summary>The least record: a content type and a tag.</summary>
    private const int MinRecord = Overhead;

    private readonly RecordSuite _suite;
    private readonly int _direction;
    private readonly int _secretSize;
    private byte* _memory;
    private nint _context;
    private bool _isReady;

    private RecordCipher(RecordSuite suite, ReadOnlySpan<byte> secret, int direction, ulong sequence)
    {
        (_suite, _direction, _secretSize) = (suite, direction, secret.Length);

        // Not on the managed heap, which leaves copies where it moves things.
        _memory = (byte*)NativeMemory.Alloc((nuint)(_secretSize + NonceSize));
        _context = Evp.NewContext();
        try
        {
            Use(secret);
            Sequence = sequence;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The number of the next record.</summary>
    public ulong Sequence { get; private set; }

    private Span<byte> Secret => new(_memory, _secretSize);

    private Span<byte> Iv => new(_memory + _secretSize, NonceSize);

    /// <summary>Whether so much was sent under this key that the next record is to come under another.</summary>
    public bool IsWorn => Sequence >= MaxRecords;

    /// <param name="suite">Cipher and hash.</param>
    /// <param name="secret">The sender's traffic secret.</param>
    /// <param name="sequence">How many records were already sent under it.</param>
    public static RecordCipher ForSending(RecordSuite suite, ReadOnlySpan<byte> secret, ulong sequence) => new(suite, secret, Evp.Encrypt, sequence);

    /// <inheritdoc cref="ForSending"/>
    public static RecordCipher ForReceiving(RecordSuite suite, ReadOnlySpan<byte> secret, ulong sequence) => new(suite, secret, Evp.Decrypt, sequence);

    /// <summary>The size of the record at the front, its header included: 0 when more bytes are needed to tell, -1 when it is none of these. It may be above <see cref="MaxRecord"/>.</summary>
    public static int SizeOfFirst(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < HeaderSize)
        {
            return 0;
        }

        var size = HeaderSize + BinaryPrimitives.ReadUInt16BigEndian(bytes[3..]);
        return bytes[0] == (byte)ContentType.ApplicationData && size >= MinRecord ? size : -1;
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
        End();
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
        End();
        while (inner == 0 && count > 0)
        {
            inner = into[--count];
        }

        type = (ContentType)inner;
        return isGenuine;
    }

    /// <summary>Goes over to the next key (RFC 8446 §7.2).</summary>
    /// <exception cref="IOException">libcrypto failed.</exception>
    public void Update()
    {
        Span<byte> next = stackalloc byte[_secretSize];
        try
        {
            _suite.Expand(Secret, "traffic upd", next);
            Use(next);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(next);
        }
    }

    public void Dispose()
    {
        _isReady = false;
        Evp.FreeContext(Interlocked.Exchange(ref _context, 0));
        if (_memory is not null)
        {
            CryptographicOperations.ZeroMemory(new Span<byte>(_memory, _secretSize + NonceSize));
            NativeMemory.Free(_memory);
            _memory = null;
        }
    }

    /// <summary>Makes key and IV of a secret and begins to count anew; does nothing any more where that fails half-way.</summary>
    private void Use(ReadOnlySpan<byte> secret)
    {
        _isReady = false;
        Span<byte> key = stackalloc byte[_suite.KeySize];
        try
        {
            _suite.Expand(secret, "key", key);
            _suite.Expand(secret, "iv", Iv);
            fixed (byte* bytes = key)
            {
                Demand(_context != 0 && Evp.Init(_context, _suite.Cipher, bytes, null, _direction, 0) == 1);
            }
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }

        secret.CopyTo(Secret);
        Sequence = 0;
        _isReady = true;
    }

    /// <summary>A record's nonce is its number in the key's IV (RFC 8446 §5.3); its header is authenticated with it. A cipher that failed once is not used again, so that no nonce is.</summary>
    private void Begin(byte* header)
    {
        Demand(_isReady && Sequence < ulong.MaxValue);
        _isReady = false;
        var nonce = stackalloc byte[NonceSize];
        Iv.CopyTo(new Span<byte>(nonce, NonceSize));
        var low = new Span<byte>(nonce + NonceSize - sizeof(ulong), sizeof(ulong));
        BinaryPrimitives.WriteUInt64BigEndian(low, BinaryPrimitives.ReadUInt64BigEndian(low) ^ Sequence);
        int written;
        Demand(Evp.Init(_context, 0, null, nonce, Evp.SameDirection, 0) == 1 && Evp.Update(_context, null, &written, header, HeaderSize) == 1);
    }

    private void End()
    {
        Sequence++;
        _isReady = true;
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
            throw new IOException($"a record cannot be protected any more: {LibSsl.TakeError() ?? "its cipher has failed, or counted to its end"}");
        }
    }
}
