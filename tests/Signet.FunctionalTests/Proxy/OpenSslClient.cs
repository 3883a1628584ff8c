using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Signet.Identity.X509;

namespace Signet.FunctionalTests.Proxy;

/// <summary>A session that a later connection may offer.</summary>
internal sealed class OpenSslSession(nint handle) : SafeHandle(handle, ownsHandle: true)
{
    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        OpenSslClient.FreeSession(handle);
        return true;
    }
}

/// <summary>
/// A client on libssl that can do what <see cref="System.Net.Security.SslStream"/> can't: keep a session, ask for key updates and
/// renegotiation, send early data, speak an old version, and say which alert it got. It blocks, on a thread of its own, for at most 30 s.
/// </summary>
internal sealed unsafe partial class OpenSslClient : IDisposable
{
    public const int Tls11 = 0x0302;
    public const int Tls12 = 0x0303;
    public const int Tls13 = 0x0304;

    private const int MinVersion = 123;
    private const int MaxVersion = 124;
    private const int ExtraChainCertificate = 14;
    private const int ServerName = 55;
    private const int FirstAlertReason = 1000;
    private const int Groups = 92;
    private const int NegotiatedGroup = 134;

    private readonly Socket _socket;
    private readonly nint _context;
    private readonly nint _ssl;

    private OpenSslClient(Socket socket, nint context, nint ssl) => (_socket, _context, _ssl) = (socket, context, ssl);

    /// <summary>The alert that ended the connection, by its number in RFC 8446 §6.</summary>
    public int? Alert { get; private set; }

    /// <summary>Any other reason in OpenSSL's words.</summary>
    public string? Problem { get; private set; }

    public bool IsConnected { get; private set; }

    public bool IsResumed => SessionReused(_ssl) == 1;

    public bool WasEarlyDataTaken => EarlyDataStatus(_ssl) == 2;

    public string Version => Marshal.PtrToStringUTF8(VersionOf(_ssl))!;

    public Socket Socket => _socket;

    public string? Alpn
    {
        get
        {
            byte* name;
            uint length;
            SelectedAlpn(_ssl, &name, &length);
            return length == 0 ? null : Encoding.ASCII.GetString(name, (int)length);
        }
    }

    /// <summary>Whether this machine's OpenSSL knows the groups.</summary>
    public static bool Knows(string groups)
    {
        var context = NewContext(ClientMethod());
        var isKnown = TrySetGroups(context, groups);
        FreeContext(context);
        ClearErrors();
        return isKnown;
    }

    /// <summary>The group that keys were agreed on in, as OpenSSL writes it.</summary>
    public string? Group => Marshal.PtrToStringUTF8(GroupName(_ssl, (int)ControlConnection(_ssl, NegotiatedGroup, 0, null)));

    /// <summary>Connects and shakes hands; how that went is in <see cref="IsConnected"/>, <see cref="Alert"/> and <see cref="Problem"/>.</summary>
    public static Task<OpenSslClient> ConnectAsync(
        IPEndPoint to, X509Svid? svid, int? version = null, string[]? alpn = null, OpenSslSession? session = null, string? suites = null, string? earlyData = null, string? groups = null) => OnOwnThread(() =>
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 30_000, SendTimeout = 30_000 };
        socket.Connect(to);
        var context = NewContext(ClientMethod());
        if (version is { } only)
        {
            Control(context, MinVersion, only, null);
            Control(context, MaxVersion, only, null);
        }

        CipherList(context, suites ?? "DEFAULT:@SECLEVEL=0");
        if (groups is not null && !TrySetGroups(context, groups))
        {
            throw new NotSupportedException($"this OpenSSL does not know all of {groups}");
        }

        if (svid is not null)
        {
            Present(context, svid);
        }

        var ssl = New(context);
        SetDescriptor(ssl, (int)socket.Handle);
        fixed (byte* name = "orders\0"u8)
        {
            ControlConnection(ssl, ServerName, 0, name);
        }

        if (alpn is not null)
        {
            byte[] list = [.. alpn.SelectMany(name => Encoding.ASCII.GetBytes(name).Prepend((byte)name.Length))];
            fixed (byte* names = list)
            {
                SetAlpn(ssl, names, (uint)list.Length);
            }
        }

        var client = new OpenSslClient(socket, context, ssl);
        if (session is not null)
        {
            SetSession(ssl, session.DangerousGetHandle());
        }

        if (earlyData is not null)
        {
            nuint written;
            fixed (byte* bytes = Encoding.Latin1.GetBytes(earlyData))
            {
                ClearErrors();
                client.Note(WriteEarlyData(ssl, bytes, (nuint)earlyData.Length, &written));
            }
        }

        ClearErrors();
        client.IsConnected = client.Note(Connect(ssl)) == 1;
        return client;
    });

    /// <summary>False when it could not be sent.</summary>
    public Task<bool> WriteAsync(string text) => OnOwnThread(() =>
    {
        fixed (byte* bytes = Encoding.Latin1.GetBytes(text))
        {
            ClearErrors();
            return Note(Write(_ssl, bytes, text.Length)) > 0;
        }
    });

    /// <summary>What came, at most 64 KiB; empty at the end of the connection, however it ended.</summary>
    public Task<string> ReadAsync() => OnOwnThread(() =>
    {
        var buffer = new byte[64 * 1024];
        fixed (byte* bytes = buffer)
        {
            ClearErrors();
            return Encoding.Latin1.GetString(buffer, 0, Math.Max(0, Note(Read(_ssl, bytes, buffer.Length))));
        }
    });

    /// <summary>Asks for new keys on both sides, so many times, each in a record of its own.</summary>
    public Task<int> UpdateKeysAsync(int times) => OnOwnThread(() =>
    {
        for (var i = 0; i < times; i++)
        {
            ClearErrors();
            if (KeyUpdate(_ssl, 1) != 1 || Note(Handshake(_ssl)) != 1)
            {
                return i;
            }
        }

        return times;
    });

    /// <summary>Asks for a second handshake, TLS 1.2 only.</summary>
    public Task<bool> RenegotiateAsync() => OnOwnThread(() =>
    {
        ClearErrors();
        return Renegotiate(_ssl) == 1 && Note(Handshake(_ssl)) == 1;
    });

    /// <summary>Bytes on the socket, past TLS.</summary>
    public void SendRaw(ReadOnlySpan<byte> bytes) => _socket.Send(bytes);

    /// <summary>The session so far; of TLS 1.3, read something first.</summary>
    public OpenSslSession Session() => new(GetSession(_ssl));

    public static void AllowEarlyData(OpenSslSession session) => SetMaxEarlyData(session.DangerousGetHandle(), 16384);

    /// <summary>Ends in order, so that OpenSSL keeps the session valid.</summary>
    public void Dispose()
    {
        Shutdown(_ssl);
        Free(_ssl);
        FreeContext(_context);
        _socket.Dispose();
    }

    private static bool TrySetGroups(nint context, string groups)
    {
        fixed (byte* list = Encoding.ASCII.GetBytes(groups + '\0'))
        {
            return Control(context, Groups, 0, list) == 1;
        }
    }

    private int Note(int result)
    {
        if (result <= 0)
        {
            var error = PeekError();
            var reason = (int)(error & 0x7fffff);
            if (error != 0 && reason is >= FirstAlertReason and < FirstAlertReason + 256)
            {
                Alert ??= reason - FirstAlertReason;
            }

            Problem ??= error == 0 ? "the connection ended" : Marshal.PtrToStringUTF8(ErrorWords(error));
        }

        return result;
    }

    private static void Present(nint context, X509Svid svid)
    {
        for (var i = 0; i < svid.Chain.Count; i++)
        {
            fixed (byte* der = svid.Chain[i].Der.Span)
            {
                var cursor = der;
                var certificate = ReadCertificate(null, &cursor, svid.Chain[i].Der.Length);
                if (i == 0)
                {
                    UseCertificate(context, certificate);
                    FreeCertificate(certificate);
                }
                else
                {
                    Control(context, ExtraChainCertificate, 0, (void*)certificate);
                }
            }
        }

        var pkcs8 = svid.Key.ExportPkcs8PrivateKey();
        fixed (byte* der = pkcs8)
        {
            var cursor = der;
            var key = ReadKey(null, &cursor, pkcs8.Length);
            UseKey(context, key);
            FreeKey(key);
        }
    }

    private static Task<T> OnOwnThread<T>(Func<T> work) => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private const string Ssl = "libssl.so.3";
    private const string Crypto = "libcrypto.so.3";

    [LibraryImport(Ssl, EntryPoint = "TLS_client_method")]
    private static partial nint ClientMethod();

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_new")]
    private static partial nint NewContext(nint method);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_free")]
    private static partial void FreeContext(nint context);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_ctrl")]
    private static partial nint Control(nint context, int command, nint number, void* pointer);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_set_cipher_list", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int CipherList(nint context, string suites);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_use_certificate")]
    private static partial int UseCertificate(nint context, nint certificate);

    [LibraryImport(Ssl, EntryPoint = "SSL_CTX_use_PrivateKey")]
    private static partial int UseKey(nint context, nint key);

    [LibraryImport(Ssl, EntryPoint = "SSL_new")]
    private static partial nint New(nint context);

    [LibraryImport(Ssl, EntryPoint = "SSL_free")]
    private static partial void Free(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_group_to_name")]
    private static partial nint GroupName(nint ssl, int group);

    [LibraryImport(Ssl, EntryPoint = "SSL_ctrl")]
    private static partial nint ControlConnection(nint ssl, int command, nint number, void* pointer);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_fd")]
    private static partial int SetDescriptor(nint ssl, int fd);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_alpn_protos")]
    private static partial int SetAlpn(nint ssl, byte* names, uint length);

    [LibraryImport(Ssl, EntryPoint = "SSL_get0_alpn_selected")]
    private static partial void SelectedAlpn(nint ssl, byte** name, uint* length);

    [LibraryImport(Ssl, EntryPoint = "SSL_connect")]
    private static partial int Connect(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_do_handshake")]
    private static partial int Handshake(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_read")]
    private static partial int Read(nint ssl, byte* buffer, int length);

    [LibraryImport(Ssl, EntryPoint = "SSL_write")]
    private static partial int Write(nint ssl, byte* buffer, int length);

    [LibraryImport(Ssl, EntryPoint = "SSL_write_early_data")]
    private static partial int WriteEarlyData(nint ssl, byte* buffer, nuint length, nuint* written);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_early_data_status")]
    private static partial int EarlyDataStatus(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_SESSION_set_max_early_data")]
    private static partial int SetMaxEarlyData(nint session, uint bytes);

    [LibraryImport(Ssl, EntryPoint = "SSL_key_update")]
    private static partial int KeyUpdate(nint ssl, int kind);

    [LibraryImport(Ssl, EntryPoint = "SSL_renegotiate")]
    private static partial int Renegotiate(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_shutdown")]
    private static partial int Shutdown(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_session_reused")]
    private static partial int SessionReused(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_get1_session")]
    private static partial nint GetSession(nint ssl);

    [LibraryImport(Ssl, EntryPoint = "SSL_set_session")]
    private static partial int SetSession(nint ssl, nint session);

    [LibraryImport(Ssl, EntryPoint = "SSL_SESSION_free")]
    internal static partial void FreeSession(nint session);

    [LibraryImport(Ssl, EntryPoint = "SSL_get_version")]
    private static partial nint VersionOf(nint ssl);

    [LibraryImport(Crypto, EntryPoint = "d2i_X509")]
    private static partial nint ReadCertificate(nint* into, byte** der, nint length);

    [LibraryImport(Crypto, EntryPoint = "X509_free")]
    private static partial void FreeCertificate(nint certificate);

    [LibraryImport(Crypto, EntryPoint = "d2i_AutoPrivateKey")]
    private static partial nint ReadKey(nint* into, byte** der, nint length);

    [LibraryImport(Crypto, EntryPoint = "EVP_PKEY_free")]
    private static partial void FreeKey(nint key);

    [LibraryImport(Crypto, EntryPoint = "ERR_clear_error")]
    private static partial void ClearErrors();

    [LibraryImport(Crypto, EntryPoint = "ERR_peek_error")]
    private static partial nuint PeekError();

    [LibraryImport(Crypto, EntryPoint = "ERR_reason_error_string")]
    private static partial nint ErrorWords(nuint error);
}

internal sealed partial class OpenSslClient
{
    /// <summary>Sends and reads until as much has come back.</summary>
    public async Task<string> EchoAsync(string text)
    {
        if (!await WriteAsync(text))
        {
            return "";
        }

        var back = new StringBuilder();
        while (back.Length < text.Length && await ReadAsync() is { Length: > 0 } more)
        {
            back.Append(more);
        }

        return back.ToString();
    }
}
