using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Signet.Proxy.Native;

namespace Signet.Proxy.Tls;

/// <summary>
/// The OpenSSL library context of handshakes. Before OpenSSL 3.2, reading the public key of a certificate tries every decoder and every kind
/// of key that a context has, which takes longer than verifying a signature, and is done for each certificate of a chain. This context
/// has the default provider's algorithms, but only those decoders and kinds of key that a handshake can need. Thread-safe.
/// </summary>
internal static unsafe class HandshakeLibrary
{
    /// <summary>From here on OpenSSL remembers which decoder it found.</summary>
    private const nuint FirstThatRemembers = 0x30200000;

    private static readonly HashSet<string> s_keys = new(StringComparer.Ordinal) { "EC", "RSA", "RSA-PSS", "ED25519", "ED448", "X25519", "HMAC" };

    private static nint s_provider;
    private static Providers.Algorithm* s_decoders;
    private static Providers.Algorithm* s_keyManagements;
    private static Providers.Function* s_functions;

    /// <summary>
    /// 0 stands for OpenSSL's own: where that is as good, and where somebody has configured it, by FIPS 140 or by another provider, which may be
    /// there for handshakes.
    /// </summary>
    public static nint Handle { get; } = Providers.Version() < FirstThatRemembers && Providers.IsFipsDemanded(0) == 0 && HasNothingButDefault() ? Make() : 0;

    private static nint Make()
    {
        var library = Providers.NewLibrary();
        s_provider = Providers.Load(0, "default");
        if (library != 0 && s_provider != 0)
        {
            int mustNotStore;
            s_decoders = Keep(Providers.Query(s_provider, Providers.OperationDecoder, &mustNotStore), structure: "structure=SubjectPublicKeyInfo");
            s_keyManagements = Keep(Providers.Query(s_provider, Providers.OperationKeyManagement, &mustNotStore), structure: "");
            s_functions = (Providers.Function*)NativeMemory.AllocZeroed(3, (nuint)sizeof(Providers.Function));
            s_functions[0] = new() { Number = Providers.FunctionQueryOperation, Pointer = (nint)(delegate* unmanaged[Cdecl]<nint, int, int*, Providers.Algorithm*>)&Query };
            s_functions[1] = new() { Number = Providers.FunctionGetCapabilities, Pointer = (nint)(delegate* unmanaged[Cdecl]<nint, byte*, nint, void*, int>)&GetCapabilities };
            if (Providers.AddBuiltIn(library, "signet", &Begin) == 1 && Providers.Load(library, "signet") != 0 && TryUse(library))
            {
                return library;
            }
        }

        Providers.FreeLibrary(library);
        LibSsl.ClearErrors();
        return 0;
    }

    /// <summary>What a context learns at its first use it learns without a lock, so that comes before anybody shares it.</summary>
    private static bool TryUse(nint library)
    {
        var settings = LibSsl.NewContext(library, null, LibSsl.ServerMethod());
        LibSsl.FreeContext(settings);
        return settings != 0;
    }

    private static bool HasNothingButDefault()
    {
        var others = 0;
        _ = Providers.ForEach(0, &CountOther, &others);
        return others == 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int CountOther(nint provider, void* others)
    {
        if (!LibSsl.Words(Providers.Name(provider)).SequenceEqual("default"u8))
        {
            ++*(int*)others;
        }

        return 1;
    }

    /// <summary>Those of a table that are for the known kinds of key, as a table that lives as long as the process.</summary>
    private static Providers.Algorithm* Keep(Providers.Algorithm* all, string structure)
    {
        var kept = new List<Providers.Algorithm>();
        for (; all is not null && all->Names is not null; all++)
        {
            if (s_keys.Contains(Text(all->Names).Split(':')[0]) && Text(all->Properties).Contains(structure, StringComparison.Ordinal))
            {
                kept.Add(*all);
            }
        }

        var table = (Providers.Algorithm*)NativeMemory.AllocZeroed((nuint)kept.Count + 1, (nuint)sizeof(Providers.Algorithm));
        kept.CopyTo(new Span<Providers.Algorithm>(table, kept.Count));
        return table;
    }

    private static string Text(byte* words) => Encoding.ASCII.GetString(LibSsl.Words(words));

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Begin(nint core, Providers.Function* given, Providers.Function** functions, nint* context)
    {
        *functions = s_functions;
        *context = Providers.ContextOf(s_provider);
        return 1;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static Providers.Algorithm* Query(nint context, int operation, int* mustNotStore)
    {
        var all = Providers.Query(s_provider, operation, mustNotStore);
        return operation switch
        {
            Providers.OperationDecoder => s_decoders,
            Providers.OperationKeyManagement => s_keyManagements,
            _ => all,
        };
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetCapabilities(nint context, byte* capability, nint callback, void* argument) => Providers.Capabilities(s_provider, capability, callback, argument);
}
