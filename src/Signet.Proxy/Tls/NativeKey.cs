using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Signet.Proxy.Native;

namespace Signet.Proxy.Tls;

/// <summary>
/// A private key as OpenSSL's own object. A key that lives in an OpenSSL provider or engine is passed on as it is and never leaves its
/// device; any other goes through its PKCS#8 form, which is wiped at once.
/// </summary>
internal sealed class NativeKey : SafeHandleZeroOrMinusOneIsInvalid
{
    private readonly SafeEvpPKeyHandle? _borrowed;

    private NativeKey(nint key, SafeEvpPKeyHandle? borrowed)
        : base(ownsHandle: true)
    {
        _borrowed = borrowed;
        SetHandle(key);
    }

    /// <exception cref="CryptographicException">The key can neither be passed on nor exported.</exception>
    public static NativeKey Of(AsymmetricAlgorithm key)
    {
        var native = key switch
        {
            ECDsaOpenSsl ec => ec.DuplicateKeyHandle(),
            RSAOpenSsl rsa => rsa.DuplicateKeyHandle(),
            _ => null,
        };
        return native is null ? Import(key.ExportPkcs8PrivateKey()) : new NativeKey(native.DangerousGetHandle(), native);
    }

    protected override bool ReleaseHandle()
    {
        if (_borrowed is null)
        {
            LibSsl.FreeKey(handle);
        }
        else
        {
            _borrowed.Dispose();
        }

        return true;
    }

    private static unsafe NativeKey Import(byte[] pkcs8)
    {
        try
        {
            fixed (byte* der = pkcs8)
            {
                var cursor = der;
                var key = LibSsl.ReadPrivateKey(null, &cursor, pkcs8.Length);
                return key != 0 ? new NativeKey(key, null) : throw new CryptographicException($"OpenSSL cannot read the private key: {LibSsl.TakeError()}");
            }
        }
        finally
        {
            CryptographicOperations.ZeroMemory(pkcs8);
        }
    }
}
