using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Signet.Identity.X509;
using Signet.Proxy.Native;
using Signet.Proxy.Tls;

namespace Signet.UnitTests.Proxy.Tls;

/// <summary>
/// The other side of a connection, all by libssl over a blocking socket: for comparison, and, since it tells its secrets, for going on by hand
/// once the handshake is over. Believes anybody. One thread at a time, which it blocks.
/// </summary>
internal sealed unsafe partial class LibraryPeer : IDisposable
{
    private const int ControlMaxVersion = 124;
    private const int KeyUpdateRequested = 1;
    private static readonly ConcurrentDictionary<nint, List<string>> s_lines = new();

    private readonly nint _context;
    private readonly nint _ssl;
    private readonly bool _isServer;
    private readonly Socket _socket;
    private TrafficSecrets _secrets;
    private RecordSuite _suite = null!;

    public LibraryPeer(Socket socket, bool isServer, X509Svid svid, string? suite = null, int maxVersion = LibSsl.Tls13, bool isShort = false)
    {
        (_socket, _isServer) = (socket, isServer);
        _socket.Blocking = true;
        _socket.ReceiveTimeout = _socket.SendTimeout = 30_000;
        _context = LibSsl.NewContext(0, null, isServer ? LibSsl.ServerMethod() : LibSsl.ClientMethod());
        _ = LibSsl.ControlContext(_context, ControlMaxVersion, maxVersion, null);
        if (suite is not null)
        {
            Assert.Equal(1, LibSsl.SetSuites(_context, suite));
        }

        // Records of 512 bytes (RFC 6066 §4).
        Assert.Equal(1, SetMaxFragment(_context, isShort ? (byte)1 : (byte)0));
        LibSsl.SetVerify(_context, LibSsl.VerifyPeer, 0);
        LibSsl.SetVerifyCallback(_context, &Believe, 0);
        LibSsl.SetSecretsCallback(_context, &KeepLine);
        _ = LibSsl.SetTicketCount(_context, 0);
        Present(svid);
        _ssl = LibSsl.New(_context);
        s_lines[_ssl] = [];
        Assert.Equal(1, SetDescriptor(_ssl, (int)socket.Handle));
    }

    /// <summary>What the other side says of a peer that it believes.</summary>
    public static Judgement Believed(X509Svid svid) => new(new Signet.Proxy.Tls.Peer(svid.Id, svid.Chain, svid.NotAfter), default, "");

    /// <summary>Runs the handshake.</summary>
    /// <returns>What went wrong, or null.</returns>
    public string? Handshake()
    {
        if (_isServer)
        {
            LibSsl.SetAcceptState(_ssl);
        }
        else
        {
            LibSsl.SetConnectState(_ssl);
        }

        LibSsl.ClearErrors();
        if (LibSsl.DoHandshake(_ssl) != 1)
        {
            return LibSsl.TakeError() ?? "the handshake failed";
        }

        foreach (var line in s_lines[_ssl])
        {
            _secrets.Take(Encoding.ASCII.GetBytes(line));
        }

        _suite = RecordSuite.Find(Marshal.PtrToStringUTF8((nint)LibSsl.CipherName(LibSsl.CurrentCipher(_ssl)))!)!;
        return null;
    }

    public void Write(ReadOnlySpan<byte> bytes)
    {
        fixed (byte* from = bytes)
        {
            Assert.Equal(bytes.Length, LibSsl.Write(_ssl, from, bytes.Length));
        }
    }

    /// <returns>0 at the end, and below when it broke.</returns>
    public int Read(Span<byte> bytes)
    {
        LibSsl.ClearErrors();
        fixed (byte* into = bytes)
        {
            return LibSsl.Read(_ssl, into, bytes.Length);
        }
    }

    public void ReadExactly(Span<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var read = Read(bytes);
            Assert.True(read > 0, LibSsl.TakeError() ?? "the other side ended early");
            bytes = bytes[read..];
        }
    }

    /// <summary>Announces a new key with the next write, and asks the other side for the same.</summary>
    public void ChangeKey(bool forBoth) => Assert.Equal(1, UpdateKey(_ssl, forBoth ? KeyUpdateRequested : 0));

    public void EndWrites() => _ = LibSsl.Shutdown(_ssl);

    /// <summary>From here on by hand: what this side sends.</summary>
    public RecordCipher Sending() => RecordCipher.ForSending(_suite, _isServer ? _secrets.Server : _secrets.Client, sequence: 0);

    /// <summary>From here on by hand: what the other side sends.</summary>
    public RecordCipher Receiving() => RecordCipher.ForReceiving(_suite, _isServer ? _secrets.Client : _secrets.Server, sequence: 0);

    public void SendRaw(ReadOnlySpan<byte> bytes) => Assert.Equal(bytes.Length, _socket.Send(bytes));

    /// <summary>The next record as it comes; empty at the end.</summary>
    public byte[] ReceiveRecord()
    {
        var record = new byte[RecordCipher.MaxRecord];
        if (!TryFill(record.AsSpan(0, RecordCipher.HeaderSize)))
        {
            return [];
        }

        var size = RecordCipher.SizeOfFirst(record.AsSpan(0, RecordCipher.HeaderSize));
        Assert.True(size > 0);
        Assert.True(TryFill(record.AsSpan(RecordCipher.HeaderSize, size - RecordCipher.HeaderSize)));
        return record[..size];
    }

    public void Dispose()
    {
        s_lines.TryRemove(_ssl, out _);
        LibSsl.Free(_ssl);
        LibSsl.FreeContext(_context);
    }

    private bool TryFill(Span<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var read = _socket.Receive(bytes, SocketFlags.None, out var error);
            if (read <= 0 || error != SocketError.Success)
            {
                return false;
            }

            bytes = bytes[read..];
        }

        return true;
    }

    private void Present(X509Svid svid)
    {
        foreach (var (certificate, i) in svid.Chain.Select((certificate, i) => (certificate, i)))
        {
            fixed (byte* der = certificate.Der.Span)
            {
                var cursor = der;
                var native = LibSsl.ReadCertificate(null, &cursor, certificate.Der.Length);
                Assert.Equal(1, i == 0 ? LibSsl.UseCertificate(_context, native) : (int)LibSsl.ControlContext(_context, LibSsl.ControlChainCertificate, 1, (void*)native));
                LibSsl.FreeCertificate(native);
            }
        }

        using var key = NativeKey.Of(svid.Key);
        Assert.Equal(1, LibSsl.UsePrivateKey(_context, key.DangerousGetHandle()));
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Believe(nint verification, nint argument)
    {
        LibSsl.SetVerifyError(verification, LibSsl.VerifyOk);
        return 1;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void KeepLine(nint ssl, byte* line) => s_lines[ssl].Add(Marshal.PtrToStringUTF8((nint)line)!);

    [LibraryImport("libssl.so.3", EntryPoint = "SSL_set_fd")]
    private static partial int SetDescriptor(nint ssl, int descriptor);

    [LibraryImport("libssl.so.3", EntryPoint = "SSL_CTX_set_tlsext_max_fragment_length")]
    private static partial int SetMaxFragment(nint context, byte mode);

    [LibraryImport("libssl.so.3", EntryPoint = "SSL_key_update")]
    private static partial int UpdateKey(nint ssl, int kind);
}
