using System.Runtime.InteropServices;

namespace Signet.Proxy.Native;

/// <summary>libcrypto 3's library contexts and providers (OSSL_LIB_CTX(3), OSSL_PROVIDER(3), provider-base(7)). Handles are plain pointers here; only <c>Tls</c> calls these.</summary>
internal static unsafe partial class Providers
{
    // core_dispatch.h, for provider-base(7)
    public const int FunctionQueryOperation = 1027;
    public const int FunctionGetCapabilities = 1030;
    public const int OperationKeyManagement = 10;
    public const int OperationDecoder = 21;

    [LibraryImport(LibSsl.Crypto, EntryPoint = "OpenSSL_version_num")]
    public static partial nuint Version();

    [LibraryImport(LibSsl.Crypto, EntryPoint = "EVP_default_properties_is_fips_enabled")]
    public static partial int IsFipsDemanded(nint library);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "OSSL_LIB_CTX_new")]
    public static partial nint NewLibrary();

    [LibraryImport(LibSsl.Crypto, EntryPoint = "OSSL_LIB_CTX_free")]
    public static partial void FreeLibrary(nint library);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "OSSL_PROVIDER_do_all")]
    public static partial int ForEach(nint library, delegate* unmanaged[Cdecl]<nint, void*, int> callback, void* argument);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "OSSL_PROVIDER_get0_name")]
    public static partial byte* Name(nint provider);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "OSSL_PROVIDER_get0_provider_ctx")]
    public static partial nint ContextOf(nint provider);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "OSSL_PROVIDER_load", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint Load(nint library, string name);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "OSSL_PROVIDER_add_builtin", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int AddBuiltIn(nint library, string name, delegate* unmanaged[Cdecl]<nint, Function*, Function**, nint*, int> begin);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "OSSL_PROVIDER_query_operation")]
    public static partial Algorithm* Query(nint provider, int operation, int* mustNotStore);

    [LibraryImport(LibSsl.Crypto, EntryPoint = "OSSL_PROVIDER_get_capabilities")]
    public static partial int Capabilities(nint provider, byte* capability, nint callback, void* argument);

    /// <summary>OSSL_DISPATCH: number 0 ends a table of them.</summary>
    public struct Function
    {
        public int Number;
        public nint Pointer;
    }

    /// <summary>OSSL_ALGORITHM: names null ends a table of them.</summary>
    public struct Algorithm
    {
        /// <summary>Those that it goes by, with colons between.</summary>
        public byte* Names;

        /// <summary><c>name=value</c>, with commas between.</summary>
        public byte* Properties;
        public Function* Implementation;
        public byte* Description;
    }
}
