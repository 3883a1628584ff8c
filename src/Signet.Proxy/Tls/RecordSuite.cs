using System.Security.Cryptography;
using System.Text;
using Signet.Proxy.Native;

namespace Signet.Proxy.Tls;

/// <summary>A cipher suite of TLS 1.3 (RFC 8446 §B.4): the AEAD of its records and the hash of its key schedule. Thread-safe.</summary>
internal sealed class RecordSuite
{
    private static readonly RecordSuite?[] s_known =
    [
        Fetch("TLS_AES_256_GCM_SHA384", "AES-256-GCM", 32, HashAlgorithmName.SHA384),
        Fetch("TLS_AES_128_GCM_SHA256", "AES-128-GCM", 16, HashAlgorithmName.SHA256),
        Fetch("TLS_CHACHA20_POLY1305_SHA256", "ChaCha20-Poly1305", 32, HashAlgorithmName.SHA256),
    ];

    private readonly string _name;
    private readonly HashAlgorithmName _hash;

    private RecordSuite(string name, nint cipher, int keySize, HashAlgorithmName hash) => (_name, Cipher, KeySize, _hash) = (name, cipher, keySize, hash);

    /// <summary>libcrypto's algorithm; lives as long as the process.</summary>
    public nint Cipher { get; }

    /// <summary>In bytes.</summary>
    public int KeySize { get; }

    /// <summary>The suite of an IANA name; null where this host's libcrypto does not have its cipher, or it is none of the three.</summary>
    public static RecordSuite? Find(string name) => s_known.FirstOrDefault(suite => suite?._name == name);

    /// <summary>HKDF-Expand-Label without a context (RFC 8446 §7.1).</summary>
    public void Expand(ReadOnlySpan<byte> secret, string label, Span<byte> output)
    {
        const string Prefix = "tls13 ";
        Span<byte> info = stackalloc byte[64];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt16BigEndian(info, (ushort)output.Length);
        info[2] = (byte)(Prefix.Length + label.Length);
        var end = 3 + Encoding.ASCII.GetBytes(Prefix, info[3..]);
        end += Encoding.ASCII.GetBytes(label, info[end..]);
        info[end++] = 0;
        HKDF.Expand(_hash, secret, output, info[..end]);
    }

    private static RecordSuite? Fetch(string name, string cipher, int keySize, HashAlgorithmName hash)
    {
        var found = Evp.FetchCipher(0, cipher, 0);
        LibSsl.ClearErrors();
        return found == 0 ? null : new RecordSuite(name, found, keySize, hash);
    }
}
