using System.Runtime.InteropServices;

namespace Signet.Proxy.Native;

/// <summary>libcrypto 3's ciphers (EVP_EncryptInit(3)), as far as records need them. Handles are plain pointers here; only <c>Tls</c> calls these.</summary>
internal static unsafe partial class Evp
{
    // EVP_CIPHER_CTX_ctrl(3)
    public const int ControlGetTag = 0x10;
    public const int ControlSetTag = 0x11;

    public const int Decrypt = 0;
    public const int Encrypt = 1;
    public const int SameDirection = -1;

    [LibraryImport(LibSsl.Crypto, EntryPoint = "EVP_CIPHER_fetch", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint FetchCipher(nint library, string name, nint properties);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "EVP_CIPHER_CTX_new")]
    public static partial nint NewContext();

    [LibraryImport(LibSsl.Crypto, EntryPoint = "EVP_CIPHER_CTX_free")]
    public static partial void FreeContext(nint context);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "EVP_CipherInit_ex2")]
    public static partial int Init(nint context, nint cipher, byte* key, byte* nonce, int direction, nint parameters);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "EVP_CipherUpdate")]
    public static partial int Update(nint context, byte* into, int* written, byte* from, int count);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "EVP_CipherFinal_ex")]
    public static partial int Final(nint context, byte* into, int* written);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "EVP_CIPHER_CTX_ctrl")]
    public static partial int Control(nint context, int command, int number, void* pointer);
}
