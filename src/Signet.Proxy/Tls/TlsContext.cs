using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Signet.Identity.X509;
using Signet.Proxy.Config;
using Signet.Proxy.Native;

namespace Signet.Proxy.Tls;

/// <summary>
/// Settings of one side's handshakes with one certificate: an <c>SSL_CTX</c>. Immutable once made; connections hold it too, so after
/// <see cref="System.Runtime.InteropServices.SafeHandle.Dispose()"/> it is freed with the last of them. Thread-safe.
/// </summary>
internal sealed class TlsContext : SafeHandleZeroOrMinusOneIsInvalid
{
    // Those of RFC 8446 §9.1, the one first that must be there: AES-128 is as strong as the curves that certificates and keys are of, and SHA-256 takes a tenth off a resumed handshake.
    private const string Tls13Suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

    // Forward secrecy and authenticated encryption only.
    private const string Tls12Suites = "ECDHE+AESGCM:ECDHE+CHACHA20";

    // The hybrid comes first where the library has it; who does not know a name takes no list that contains it.
    private static readonly string[] GroupLists = ["X25519MLKEM768:X25519:P-256:P-384", "X25519:P-256:P-384"];
    internal const int MaxServerSessions = 4096;

    /// <summary>
    /// Shorter than what most certificates have left: when the cache is full OpenSSL gives up the sessions that end first, and those of a peer
    /// whose certificate ends soon must not always be these.
    /// </summary>
    internal const int SessionSeconds = 600;
    private const int TicketsPerHandshake = 1;

    private static int s_count;

    private TlsContext()
        : base(ownsHandle: true) => Interlocked.Increment(ref s_count);

    /// <summary>Those of this process that are not disposed of.</summary>
    internal static int Count => Volatile.Read(ref s_count);

    /// <summary>The earliest end in the chain that it presents; without one there is no end.</summary>
    public DateTimeOffset PresentedUntil { get; private set; } = DateTimeOffset.MaxValue;

    /// <exception cref="CryptographicException">OpenSSL does not take the certificate or the key.</exception>
    public static unsafe TlsContext ForServer(IReadOnlyList<Certificate> chain, AsymmetricAlgorithm key, TlsConfig config)
    {
        var context = Create(LibSsl.ServerMethod(), config);
        context.Present(chain, key);
        LibSsl.SetVerify(context.handle, LibSsl.VerifyPeer | LibSsl.VerifyFailIfNoPeerCertificate, 0);
        LibSsl.SetAlpnCallback(context.handle, &TlsCallbacks.SelectAlpn, 0);

        // Sessions stay here and the client gets a number: a ticket would carry the peer's chain, and a key that opens all of them.
        var name = "signet"u8;
        fixed (byte* id = name)
        {
            _ = LibSsl.SetSessionIdContext(context.handle, id, (uint)name.Length);
        }

        LibSsl.SetOptions(context.handle, LibSsl.OptionNoTicket | LibSsl.OptionServerPreference);
        _ = LibSsl.SetTicketCount(context.handle, config.Resumption ? (nuint)TicketsPerHandshake : 0);
        _ = LibSsl.ControlContext(context.handle, LibSsl.ControlSessionCacheMode, config.Resumption ? LibSsl.SessionCacheServer : LibSsl.SessionCacheOff, null);
        _ = LibSsl.ControlContext(context.handle, LibSsl.ControlSessionCacheSize, MaxServerSessions, null);
        _ = LibSsl.SetSessionsTimeout(context.handle, SessionSeconds);
        return context;
    }

    /// <summary>A client's settings.</summary>
    /// <param name="chain">What it presents to a server that asks.</param>
    /// <param name="key">The first certificate's key; null presents nothing.</param>
    /// <param name="config">Versions and resumption.</param>
    /// <exception cref="CryptographicException">OpenSSL does not take the certificate or the key.</exception>
    public static unsafe TlsContext ForClient(IReadOnlyList<Certificate> chain, AsymmetricAlgorithm? key, TlsConfig config)
    {
        var context = Create(LibSsl.ClientMethod(), config);
        if (key is not null)
        {
            context.Present(chain, key);
        }

        LibSsl.SetVerify(context.handle, LibSsl.VerifyPeer, 0);
        if (config.Resumption)
        {
            _ = LibSsl.ControlContext(context.handle, LibSsl.ControlSessionCacheMode, LibSsl.SessionCacheClient | LibSsl.SessionCacheNoInternal, null);
            LibSsl.SetNewSessionCallback(context.handle, &TlsCallbacks.KeepSession);
        }
        else
        {
            _ = LibSsl.ControlContext(context.handle, LibSsl.ControlSessionCacheMode, LibSsl.SessionCacheOff, null);
        }

        return context;
    }

    /// <summary>A new connection with these settings, to be freed by the caller.</summary>
    /// <exception cref="IOException">These settings are of the past.</exception>
    public nint NewConnection()
    {
        var isHeld = false;
        try
        {
            DangerousAddRef(ref isHeld);
            var ssl = LibSsl.New(handle);
            return ssl != 0 ? ssl : throw Failed("a TLS connection cannot be made");
        }
        catch (ObjectDisposedException)
        {
            throw new IOException("this proxy's identity was replaced before the handshake began");
        }
        finally
        {
            if (isHeld)
            {
                DangerousRelease();
            }
        }
    }

    protected override bool ReleaseHandle()
    {
        LibSsl.FreeContext(handle);
        Interlocked.Decrement(ref s_count);
        return true;
    }

    private static unsafe TlsContext Create(nint method, TlsConfig config)
    {
        var context = new TlsContext();
        context.SetHandle(LibSsl.NewContext(HandshakeLibrary.Handle, null, method));
        if (context.IsInvalid)
        {
            throw Failed("TLS settings cannot be made");
        }

        LibSsl.SetOptions(context.handle, LibSsl.OptionNoCompression | LibSsl.OptionNoRenegotiation);
        _ = LibSsl.ControlContext(
            context.handle, LibSsl.ControlMode, LibSsl.ModeEnablePartialWrite | LibSsl.ModeAcceptMovingWriteBuffer | LibSsl.ModeNoAutoChain | LibSsl.ModeReleaseBuffers, null);
        if (LibSsl.ControlContext(context.handle, LibSsl.ControlMinVersion, config.MinVersion == TlsVersion.Tls13 ? LibSsl.Tls13 : LibSsl.Tls12, null) != 1
            || LibSsl.SetSuites(context.handle, Tls13Suites) != 1
            || LibSsl.SetCipherList(context.handle, Tls12Suites) != 1
            || !GroupLists.Any(context.TrySetGroups))
        {
            throw Failed("OpenSSL does not take the TLS settings");
        }

        LibSsl.SetVerifyCallback(context.handle, &TlsCallbacks.Verify, 0);
        LibSsl.SetSecretsCallback(context.handle, &TlsCallbacks.TakeSecret);
        LibSsl.ClearErrors();
        return context;
    }

    private unsafe bool TrySetGroups(string groups)
    {
        fixed (byte* list = System.Text.Encoding.ASCII.GetBytes(groups + '\0'))
        {
            return LibSsl.ControlContext(handle, LibSsl.ControlGroupsList, 0, list) == 1;
        }
    }

    private unsafe void Present(IReadOnlyList<Certificate> chain, AsymmetricAlgorithm key)
    {
        for (var i = 0; i < chain.Count; i++)
        {
            fixed (byte* der = chain[i].Der.Span)
            {
                var cursor = der;
                var certificate = LibSsl.ReadCertificate(null, &cursor, chain[i].Der.Length);
                const int KeepReference = 1;
                var isTaken = certificate != 0 && (i == 0
                    ? LibSsl.UseCertificate(handle, certificate) == 1
                    : LibSsl.ControlContext(handle, LibSsl.ControlChainCertificate, KeepReference, (void*)certificate) == 1);
                LibSsl.FreeCertificate(certificate);
                if (!isTaken)
                {
                    throw Failed($"OpenSSL does not take the certificate {chain[i].SerialHex}");
                }
            }
        }

        using var native = NativeKey.Of(key);
        if (LibSsl.UsePrivateKey(handle, native.DangerousGetHandle()) != 1)
        {
            throw Failed("OpenSSL does not take the private key");
        }

        PresentedUntil = chain.Min(certificate => certificate.NotAfter);
    }

    private static CryptographicException Failed(string what) => new($"{what}: {LibSsl.TakeError() ?? "no reason given"}");
}
