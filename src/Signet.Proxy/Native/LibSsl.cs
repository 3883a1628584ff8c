using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Signet.Proxy.Native;

/// <summary>
/// libssl and libcrypto 3, as their manual pages describe them: what a TLS connection over memory buffers needs, and no more. Handles are
/// plain pointers here; <c>Tls</c> wraps each in a type with one owner. Only <c>Tls</c> calls these.
/// </summary>
internal static unsafe partial class LibSsl
{
    private const string Ssl = "libssl.so.3";
    internal const string Crypto = "libcrypto.so.3";

    // SSL_get_error(3)
    public const int ErrorWantRead = 2;
    public const int ErrorZeroReturn = 6;

    // SSL_CTX_set_verify(3)
    public const int VerifyPeer = 1;
    public const int VerifyFailIfNoPeerCertificate = 2;

    // SSL_CTX_set_options(3)
    public const ulong OptionNoTicket = 1UL << 14;
    public const ulong OptionNoCompression = 1UL << 17;
    public const ulong OptionServerPreference = 1UL << 22;
    public const ulong OptionNoRenegotiation = 1UL << 30;

    // SSL_CTX_set_mode(3)
    public const int ModeEnablePartialWrite = 1;
    public const int ModeAcceptMovingWriteBuffer = 2;
    public const int ModeNoAutoChain = 8;
    public const int ModeReleaseBuffers = 16;

    // SSL_CTX_ctrl(3) commands behind macros
    public const int ControlMode = 33;
    public const int ControlSessionCacheSize = 42;
    public const int ControlSessionCacheMode = 44;
    public const int ControlServerName = 55;
    public const int ControlChainCertificate = 89;
    public const int ControlGroupsList = 92;
    public const int ControlMinVersion = 123;

    public const int SessionCacheOff = 0;
    public const int SessionCacheClient = 1;
    public const int SessionCacheServer = 2;
    public const int SessionCacheNoInternal = 0x300;

    public const int Tls12 = 0x0303;
    public const int Tls13 = 0x0304;

    public const int ShutdownBoth = 3;

    // SSL_CTX_set_alpn_select_cb(3)
    public const int AlpnOk = 0;
    public const int AlpnNoAck = 3;

    // BIO_meth_new(3), BIO_set_flags(3), BIO_ctrl(3)
    public const int BioTypeOwn = 0x400 | 100;
    public const int BioShouldRetryRead = 1 | 8;
    public const int BioRetryFlags = 15;
    public const int BioControlFlush = 11;

    // X509_STORE_CTX_get_error(3): these are what decides which alert the peer gets
    public const int VerifyOk = 0;
    public const int VerifyErrorNotYetValid = 9;
    public const int VerifyErrorExpired = 10;
    public const int VerifyErrorUnknownIssuer = 20;
    public const int VerifyErrorRevoked = 23;
    public const int VerifyErrorRejected = 28;

    [LibraryImport(Ssl, EntryPoint = "TLS_server_method")]
    public static partial nint ServerMethod();

    [LibraryImport(Ssl, EntryPoint = "TLS_client_method")]
    public static partial nint ClientMethod();

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_new_ex")]
    public static partial nint NewContext(nint library, byte* properties, nint method);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_free")]
    public static partial void FreeContext(nint context);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_ctrl")]
    public static partial nint ControlContext(nint context, int command, nint number, void* pointer);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_options")]
    public static partial ulong SetOptions(nint context, ulong options);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_cipher_list", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SetCipherList(nint context, string suites);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_ciphersuites", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SetSuites(nint context, string suites);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_use_certificate")]
    public static partial int UseCertificate(nint context, nint certificate);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_use_PrivateKey")]
    public static partial int UsePrivateKey(nint context, nint key);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_verify")]
    public static partial void SetVerify(nint context, int mode, nint callback);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_cert_verify_callback")]
    public static partial void SetVerifyCallback(nint context, delegate* unmanaged[Cdecl]<nint, nint, int> callback, nint argument);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_alpn_select_cb")]
    public static partial void SetAlpnCallback(nint context, delegate* unmanaged[Cdecl]<nint, byte**, byte*, byte*, uint, nint, int> callback, nint argument);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_sess_set_new_cb")]
    public static partial void SetNewSessionCallback(nint context, delegate* unmanaged[Cdecl]<nint, nint, int> callback);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_keylog_callback")]
    public static partial void SetSecretsCallback(nint context, delegate* unmanaged[Cdecl]<nint, byte*, void> callback);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_session_id_context")]
    public static partial int SetSessionIdContext(nint context, byte* id, uint length);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_num_tickets")]
    public static partial int SetTicketCount(nint context, nuint count);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_num_tickets")]
    public static partial int SetTicketCountOf(nint ssl, nuint count);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_remove_session")]
    public static partial int ForgetSession(nint context, nint session);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_timeout")]
    public static partial nint SetSessionsTimeout(nint context, nint seconds);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_session")]
    public static partial nint Session(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_SESSION_get_max_fragment_length")]
    public static partial byte MaxFragmentLength(nint session);

    [LibraryImport(Ssl, EntryPoint = "SSL_SESSION_get_timeout")]
    public static partial nint SessionTimeout(nint session);

    [LibraryImport(Ssl, EntryPoint = "SSL_SESSION_set_timeout")]
    public static partial nint SetSessionTimeout(nint session, nint seconds);

    [LibraryImport(Ssl, EntryPoint = "SSL_new")]
    public static partial nint New(nint context);

    [LibraryImport(Ssl, EntryPoint = "SSL_free")]
    public static partial void Free(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_bio")]
    public static partial void SetBio(nint ssl, nint read, nint write);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_accept_state")]
    public static partial void SetAcceptState(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_connect_state")]
    public static partial void SetConnectState(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_ctrl")]
    public static partial nint Control(nint ssl, int command, nint number, void* pointer);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_alpn_protos")]
    public static partial int SetAlpn(nint ssl, byte* names, uint length);

    [LibraryImport(Ssl, EntryPoint = "SSL_do_handshake")]
    public static partial int DoHandshake(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_read")]
    public static partial int Read(nint ssl, byte* buffer, int length);

    [LibraryImport(Ssl, EntryPoint = "SSL_write")]
    public static partial int Write(nint ssl, byte* buffer, int length);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_error")]
    public static partial int GetError(nint ssl, int result);

    [LibraryImport(Ssl, EntryPoint = "SSL_pending")]
    [SuppressGCTransition]
    public static partial int Pending(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_shutdown")]
    public static partial int Shutdown(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_shutdown")]
    public static partial void SetShutdown(nint ssl, int mode);

    [LibraryImport(Ssl, EntryPoint = "SSL_session_reused")]
    public static partial int IsSessionReused(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_session")]
    public static partial int SetSession(nint ssl, nint session);

    [LibraryImport(Ssl, EntryPoint = "SSL_SESSION_free")]
    public static partial void FreeSession(nint session);

    [LibraryImport(Ssl, EntryPoint = "SSL_get0_peer_certificate")]
    public static partial nint PeerCertificate(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_peer_cert_chain")]
    public static partial nint PeerChain(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_version")]
    public static partial byte* Version(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_current_cipher")]
    public static partial nint CurrentCipher(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_CIPHER_standard_name")]
    public static partial byte* CipherName(nint cipher);

    [LibraryImport(Ssl, EntryPoint = "SSL_get0_alpn_selected")]
    public static partial void SelectedAlpn(nint ssl, byte** name, uint* length);

    [LibraryImport(Crypto, EntryPoint = "ERR_clear_error")]
    private static partial void ClearAllErrors();

    [LibraryImport(Crypto, EntryPoint = "ERR_peek_error")]
    [SuppressGCTransition]
    public static partial nuint PeekError();

    [LibraryImport(Crypto, EntryPoint = "ERR_reason_error_string")]
    public static partial byte* ErrorWords(nuint error);

    [LibraryImport(Crypto, EntryPoint = "BIO_meth_new")]
    public static partial nint NewBioMethod(int type, byte* name);

    [LibraryImport(Crypto, EntryPoint = "BIO_meth_set_read")]
    public static partial int SetBioRead(nint method, delegate* unmanaged[Cdecl]<nint, byte*, int, int> callback);

    [LibraryImport(Crypto, EntryPoint = "BIO_meth_set_write")]
    public static partial int SetBioWrite(nint method, delegate* unmanaged[Cdecl]<nint, byte*, int, int> callback);

    [LibraryImport(Crypto, EntryPoint = "BIO_meth_set_ctrl")]
    public static partial int SetBioControl(nint method, delegate* unmanaged[Cdecl]<nint, int, nint, void*, nint> callback);

    [LibraryImport(Crypto, EntryPoint = "BIO_new")]
    public static partial nint NewBio(nint method);

    [LibraryImport(Crypto, EntryPoint = "BIO_set_data")]
    public static partial void SetBioData(nint bio, nint data);

    [LibraryImport(Crypto, EntryPoint = "BIO_get_data")]
    [SuppressGCTransition]
    public static partial nint BioData(nint bio);

    [LibraryImport(Crypto, EntryPoint = "BIO_set_init")]
    public static partial void SetBioReady(nint bio, int ready);

    [LibraryImport(Crypto, EntryPoint = "BIO_set_flags")]
    [SuppressGCTransition]
    public static partial void SetBioFlags(nint bio, int flags);

    [LibraryImport(Crypto, EntryPoint = "BIO_clear_flags")]
    [SuppressGCTransition]
    public static partial void ClearBioFlags(nint bio, int flags);

    [LibraryImport(Crypto, EntryPoint = "d2i_X509")]
    public static partial nint ReadCertificate(nint* into, byte** der, nint length);

    [LibraryImport(Crypto, EntryPoint = "i2d_X509")]
    public static partial int WriteCertificate(nint certificate, byte** der);

    [LibraryImport(Crypto, EntryPoint = "X509_free")]
    public static partial void FreeCertificate(nint certificate);

    [LibraryImport(Crypto, EntryPoint = "d2i_AutoPrivateKey")]
    public static partial nint ReadPrivateKey(nint* into, byte** der, nint length);

    [LibraryImport(Crypto, EntryPoint = "EVP_PKEY_free")]
    public static partial void FreeKey(nint key);

    [LibraryImport(Crypto, EntryPoint = "OPENSSL_sk_num")]
    public static partial int Count(nint stack);

    [LibraryImport(Crypto, EntryPoint = "OPENSSL_sk_value")]
    public static partial nint At(nint stack, int index);

    [LibraryImport(Crypto, EntryPoint = "X509_STORE_CTX_get0_untrusted")]
    public static partial nint PresentedCertificates(nint verification);

    [LibraryImport(Crypto, EntryPoint = "X509_STORE_CTX_set_error")]
    public static partial void SetVerifyError(nint verification, int error);

    /// <summary>Forgets the errors of this thread, so that SSL_get_error(3) speaks of the next call. Looking whether there are any costs less than emptying the queue.</summary>
    public static void ClearErrors()
    {
        if (PeekError() != 0)
        {
            ClearAllErrors();
        }
    }

    /// <summary>The octets before the first 0. One by one: a wider look for the end reads behind the block.</summary>
    public static ReadOnlySpan<byte> Words(byte* text)
    {
        var length = 0;
        while (text[length] != 0)
        {
            length++;
        }

        return new ReadOnlySpan<byte>(text, length);
    }

    /// <summary>OpenSSL's words for an alert that the peer sent; null for one that it does not know.</summary>
    public static string? WordsOfAlert(byte alert)
    {
        // ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + alert) of err.h and ssl.h
        const int Library = 20;
        const int AlertOffset = 1000;
        return Marshal.PtrToStringUTF8((nint)ErrorWords(((nuint)Library << 23) | (nuint)(AlertOffset + alert)));
    }

    /// <summary>The oldest error of this thread in OpenSSL's words, or null. Clears all.</summary>
    public static string? TakeError()
    {
        var error = PeekError();
        var words = error == 0 ? null : Marshal.PtrToStringUTF8((nint)ErrorWords(error)) ?? $"OpenSSL error {error:x}";
        ClearErrors();
        return words;
    }
}
