using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Signet.Identity.Native;

namespace Signet.Identity.X509;

/// <summary>
/// An Ed25519 key (RFC 8032), public or with its private half. The platform has no such key, so the system's libcrypto 3 does the work; where there is
/// none, <see cref="Problem"/> says so and nothing else here works. Immutable and thread-safe; the private half is in no text and no log.
/// </summary>
/// <remarks>
/// <c>SslStream</c> cannot present a certificate with such a key. Public keys that no honest key pair has (not canonical, or of small order, with which
/// anybody can sign) are refused when they are read.
/// </remarks>
public sealed class Ed25519Key : AsymmetricAlgorithm
{
    /// <summary>Bytes of a public key.</summary>
    public const int PublicKeyLength = 32;

    /// <summary>Bytes of a private key, which is a seed (RFC 8032 §5.1.5).</summary>
    public const int SeedLength = 32;

    /// <summary>Bytes of a signature.</summary>
    public const int SignatureLength = 64;

    private const string Name = "ED25519";
    private const int Bits = 256;

    private static readonly Lazy<string> Availability = new(Probe);

    private readonly KeyHandle _handle;
    private readonly byte[] _public;

    private Ed25519Key(KeyHandle handle, byte[] publicKey, bool hasPrivateKey)
    {
        _handle = handle;
        _public = publicKey;
        HasPrivateKey = hasPrivateKey;
        KeySizeValue = Bits;
        LegalKeySizesValue = [new KeySizes(Bits, Bits, 0)];
    }

    /// <summary>Why Ed25519 does not work in this process, or empty when it does.</summary>
    public static string Problem => Availability.Value;

    public bool HasPrivateKey { get; }

    /// <summary>The public key's own bytes, <see cref="PublicKeyLength"/> of them.</summary>
    public ReadOnlyMemory<byte> PublicBytes => _public;

    public override string SignatureAlgorithm => "Ed25519";

    public override string? KeyExchangeAlgorithm => null;

    /// <summary>A new key pair; the caller disposes it.</summary>
    /// <exception cref="CryptographicException">There is no libcrypto 3, or it refuses.</exception>
    public static Ed25519Key Generate()
    {
        Span<byte> seed = stackalloc byte[SeedLength];
        RandomNumberGenerator.Fill(seed);
        try
        {
            return OfSeed(seed);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    /// <summary>The key pair of a seed of <see cref="SeedLength"/> bytes; the caller clears the seed and disposes the key.</summary>
    /// <exception cref="CryptographicException">There is no libcrypto 3, or the seed has another length.</exception>
    public static Ed25519Key OfSeed(ReadOnlySpan<byte> seed) =>
        Problem.Length > 0 ? throw new CryptographicException(Problem) : OfSeedUnprobed(seed);

    /// <summary>Reads a public key of <see cref="PublicKeyLength"/> bytes. Never throws; the caller disposes the key.</summary>
    public static bool TryOfPublic(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out Ed25519Key? key, out string problem)
    {
        key = null;
        problem = Problem.Length > 0 ? Problem : WeaknessOf(bytes);
        if (problem.Length == 0)
        {
            key = OfPublicUnprobed(bytes);
        }

        return key is not null;
    }

    /// <summary>Whether these bytes say that they are an Ed25519 key in PKCS#8; nothing else of them is looked at.</summary>
    internal static bool IsPkcs8(ReadOnlySpan<byte> pkcs8)
    {
        // SEQUENCE { version INTEGER, SEQUENCE { OBJECT IDENTIFIER 1.3.101.112 } …
        ReadOnlySpan<byte> algorithm = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
        const int Before = 5;
        return pkcs8.Length > Before && pkcs8[Before..].StartsWith(algorithm);
    }

    /// <summary>Reads a private key in PKCS#8 (RFC 8410 §7, RFC 5958). A public key beside it must be its own. Never throws; the caller disposes the key.</summary>
    public static bool TryReadPkcs8(ReadOnlyMemory<byte> pkcs8, [NotNullWhen(true)] out Ed25519Key? key, out string problem)
    {
        key = null;
        problem = "the private key is not an Ed25519 key in PKCS#8";
        try
        {
            // OneAsymmetricKey ::= SEQUENCE { version INTEGER (0 | 1), algorithm, privateKey OCTET STRING, attributes [0] OPTIONAL, publicKey [1] BIT STRING OPTIONAL }
            var outer = new AsnReader(pkcs8, AsnEncodingRules.DER);
            var sequence = outer.ReadSequence();
            outer.ThrowIfNotEmpty();
            var isKnownVersion = sequence.TryReadInt32(out var version) && version is 0 or 1;
            var algorithm = sequence.ReadSequence();
            if (algorithm.ReadObjectIdentifier() != Oids.Ed25519 || algorithm.HasData || !isKnownVersion)
            {
                return false;
            }

            // CurvePrivateKey ::= OCTET STRING
            if (!sequence.TryReadPrimitiveOctetString(out var wrapped)
                || AsnDecoder.ReadOctetString(wrapped.Span, AsnEncodingRules.DER, out var consumed) is not { Length: SeedLength } seed || consumed != wrapped.Length)
            {
                return false;
            }

            using var pinned = new ClearedLater(seed);
            if (sequence.HasData && sequence.PeekTag() == new Asn1Tag(TagClass.ContextSpecific, 0, isConstructed: true))
            {
                sequence.ReadEncodedValue();
            }

            ReadOnlyMemory<byte>? beside = null;
            if (version == 1 && sequence.HasData)
            {
                beside = sequence.TryReadPrimitiveBitString(out var unused, out var bits, new Asn1Tag(TagClass.ContextSpecific, 1)) && unused == 0 ? bits : default(ReadOnlyMemory<byte>);
            }

            sequence.ThrowIfNotEmpty();
            if (Problem.Length > 0)
            {
                problem = Problem;
                return false;
            }

            var read = OfSeedUnprobed(seed);
            if (beside is { } claimed && !claimed.Span.SequenceEqual(read._public))
            {
                read.Dispose();
                problem = "the private key comes with a public key that is not its own";
                return false;
            }

            (key, problem) = (read, "");
            return true;
        }
        catch (AsnContentException)
        {
            return false;
        }
    }

    /// <summary>Signs the data itself, not a hash of it (PureEdDSA).</summary>
    /// <exception cref="CryptographicException">This is a public key.</exception>
    public unsafe byte[] Sign(ReadOnlySpan<byte> data)
    {
        if (!HasPrivateKey)
        {
            throw new CryptographicException("a public key cannot sign");
        }

        var signature = new byte[SignatureLength];
        var length = (nuint)SignatureLength;
        using var context = new DigestContext();
        using var held = new HeldKey(_handle);
        fixed (byte* to = signature, from = NotNull(data))
        {
            var isDone = LibCrypto.BeginSign(context.Pointer, null, 0, 0, held.Pointer) == 1
                && LibCrypto.Sign(context.Pointer, to, &length, from, (nuint)data.Length) == 1
                && length == SignatureLength;
            return isDone ? signature : throw Failed("sign");
        }
    }

    /// <summary>Whether this key made the signature of the data. A malformed signature is a no.</summary>
    public unsafe bool Verify(ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        if (signature.Length != SignatureLength)
        {
            return false;
        }

        using var context = new DigestContext();
        using var held = new HeldKey(_handle);
        fixed (byte* made = signature, from = NotNull(data))
        {
            var isMade = LibCrypto.BeginVerify(context.Pointer, null, 0, 0, held.Pointer) == 1
                && LibCrypto.Verify(context.Pointer, made, (nuint)signature.Length, from, (nuint)data.Length) == 1;
            if (!isMade)
            {
                LibCrypto.ClearErrors();
            }

            return isMade;
        }
    }

    /// <summary>The encoded <c>SubjectPublicKeyInfo</c> (RFC 8410 §4).</summary>
    public override byte[] ExportSubjectPublicKeyInfo()
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            WriteAlgorithm(writer);
            writer.WriteBitString(_public);
        }

        return writer.Encode();
    }

    public override bool TryExportSubjectPublicKeyInfo(Span<byte> destination, out int bytesWritten) =>
        TryCopy(ExportSubjectPublicKeyInfo(), destination, out bytesWritten);

    /// <summary>The private key (RFC 8410 §7); the caller keeps it secret and clears it.</summary>
    /// <exception cref="CryptographicException">This is a public key.</exception>
    public override unsafe byte[] ExportPkcs8PrivateKey()
    {
        if (!HasPrivateKey)
        {
            throw new CryptographicException("a public key has no private half");
        }

        // CurvePrivateKey ::= OCTET STRING, inside the OCTET STRING privateKey
        Span<byte> wrapped = stackalloc byte[2 + SeedLength];
        wrapped[0] = 0x04;
        wrapped[1] = SeedLength;
        var length = (nuint)SeedLength;
        using var held = new HeldKey(_handle);
        try
        {
            fixed (byte* seed = wrapped[2..])
            {
                if (LibCrypto.GetPrivateKey(held.Pointer, seed, &length) != 1 || length != SeedLength)
                {
                    throw Failed("give its private key");
                }
            }

            var writer = new AsnWriter(AsnEncodingRules.DER);
            using (writer.PushSequence())
            {
                writer.WriteInteger(0);
                WriteAlgorithm(writer);
                writer.WriteOctetString(wrapped);
            }

            var encoded = writer.Encode();
            writer.Reset();
            return encoded;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(wrapped);
        }
    }

    public override bool TryExportPkcs8PrivateKey(Span<byte> destination, out int bytesWritten)
    {
        using var encoded = new ClearedLater(ExportPkcs8PrivateKey());
        return TryCopy(encoded.Bytes, destination, out bytesWritten);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _handle.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>Why a public key must not be believed, or empty: its length, its form, its order. Whether it lies on the curve shows when it verifies.</summary>
    internal static string WeaknessOf(ReadOnlySpan<byte> key)
    {
        if (key.Length != PublicKeyLength)
        {
            return $"an Ed25519 public key has {PublicKeyLength} bytes; this one has {key.Length}";
        }

        // A point is its y, little-endian, with the sign of x in the top bit. y below 2^255 - 19 is canonical (RFC 8032 §5.1.3).
        Span<byte> y = stackalloc byte[PublicKeyLength];
        key.CopyTo(y);
        y[^1] &= 0x7f;
        var isCanonical = y[^1] != 0x7f || y[1..^1].ContainsAnyExcept((byte)0xff) || y[0] < 0xed;
        if (!isCanonical)
        {
            return "the Ed25519 public key is not in its canonical form (RFC 8032 §5.1.3)";
        }

        foreach (var point in SmallOrder)
        {
            if (y.SequenceEqual(point))
            {
                return "the Ed25519 public key is a point of small order, with which anybody can sign";
            }
        }

        return "";
    }

    /// <summary>The y of the eight points whose order divides eight: of order 4, 1, 2, 8 and 8; both signs of x count.</summary>
    internal static readonly byte[][] SmallOrder =
    [
        Convert.FromHexString("0000000000000000000000000000000000000000000000000000000000000000"),
        Convert.FromHexString("0100000000000000000000000000000000000000000000000000000000000000"),
        Convert.FromHexString("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        Convert.FromHexString("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        Convert.FromHexString("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ];

    // The first test of RFC 8032 §7.1: a library that fails it, or that was built or set up without the algorithm, is not used.
    private static string Probe()
    {
        const string Seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        const string Public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        const string Signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
        try
        {
            using var key = OfSeedUnprobed(Convert.FromHexString(Seed));
            using var other = OfPublicUnprobed(Convert.FromHexString(Public));
            var signature = key.Sign([]);
            return signature.AsSpan().SequenceEqual(Convert.FromHexString(Signature)) && other.Verify([], signature) && !other.Verify([0], signature)
                ? ""
                : $"Ed25519 keys do not work here: {LibCrypto.Library} fails the test of RFC 8032 §7.1";
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return $"Ed25519 keys need OpenSSL 3 ({LibCrypto.Library}), which is not on this machine; install it, or use ec-p256";
        }
        catch (CryptographicException)
        {
            return $"Ed25519 keys do not work here: {LibCrypto.Library} does not offer them (a FIPS provider may not); use ec-p256";
        }
    }

    private static unsafe Ed25519Key OfSeedUnprobed(ReadOnlySpan<byte> seed)
    {
        if (seed.Length != SeedLength)
        {
            throw new CryptographicException($"an Ed25519 private key has {SeedLength} bytes; this one has {seed.Length}");
        }

        fixed (byte* bytes = seed)
        {
            return Own(LibCrypto.NewPrivateKey(0, Name, null, bytes, SeedLength), hasPrivateKey: true);
        }
    }

    private static unsafe Ed25519Key OfPublicUnprobed(ReadOnlySpan<byte> key)
    {
        fixed (byte* bytes = key)
        {
            return Own(LibCrypto.NewPublicKey(0, Name, null, bytes, PublicKeyLength), hasPrivateKey: false);
        }
    }

    private static unsafe Ed25519Key Own(nint pointer, bool hasPrivateKey)
    {
        if (pointer == 0)
        {
            throw Failed("read the key");
        }

        var handle = new KeyHandle(pointer);
        var publicKey = new byte[PublicKeyLength];
        var length = (nuint)PublicKeyLength;
        fixed (byte* buffer = publicKey)
        {
            if (LibCrypto.GetPublicKey(pointer, buffer, &length) == 1 && length == PublicKeyLength)
            {
                return new Ed25519Key(handle, publicKey, hasPrivateKey);
            }
        }

        handle.Dispose();
        throw Failed("give its public key");
    }

    private static CryptographicException Failed(string what)
    {
        LibCrypto.ClearErrors();
        return new CryptographicException($"OpenSSL does not {what} (Ed25519)");
    }

    private static void WriteAlgorithm(AsnWriter writer)
    {
        // RFC 8410 §3: without parameters.
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier(Oids.Ed25519);
        }
    }

    private static bool TryCopy(ReadOnlySpan<byte> bytes, Span<byte> destination, out int bytesWritten)
    {
        var isCopied = bytes.TryCopyTo(destination);
        bytesWritten = isCopied ? bytes.Length : 0;
        return isCopied;
    }

    // An empty span has no address, and a null is for some functions a question about lengths.
    private static ReadOnlySpan<byte> NotNull(ReadOnlySpan<byte> data) => data.IsEmpty ? "\0"u8 : data;

    private sealed class KeyHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        public KeyHandle(nint key)
            : base(ownsHandle: true) => SetHandle(key);

        protected override bool ReleaseHandle()
        {
            LibCrypto.FreeKey(handle);
            return true;
        }
    }

    /// <summary>Keeps a key's memory for the length of a call, whoever disposes the key meanwhile.</summary>
    private readonly ref struct HeldKey
    {
        private readonly KeyHandle _key;

        public HeldKey(KeyHandle key)
        {
            var isHeld = false;
            key.DangerousAddRef(ref isHeld);
            _key = key;
        }

        public nint Pointer => _key.DangerousGetHandle();

        public void Dispose() => _key.DangerousRelease();
    }

    private readonly ref struct DigestContext
    {
        public DigestContext()
        {
            Pointer = LibCrypto.NewDigestContext();
            if (Pointer == 0)
            {
                throw Failed("make a context");
            }
        }

        public nint Pointer { get; }

        public void Dispose() => LibCrypto.FreeDigestContext(Pointer);
    }

    private readonly ref struct ClearedLater(byte[] bytes)
    {
        public byte[] Bytes { get; } = bytes;

        public void Dispose() => CryptographicOperations.ZeroMemory(Bytes);
    }
}
