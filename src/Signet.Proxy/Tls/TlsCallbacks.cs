using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Signet.Proxy.Loop;
using Signet.Proxy.Native;

namespace Signet.Proxy.Tls;

/// <summary>
/// What OpenSSL calls back. Each runs inside a call that a <see cref="TlsTransport"/> made on its loop's thread, and finds it there. No
/// exception leaves a callback: what cannot be answered is refused.
/// </summary>
internal static unsafe class TlsCallbacks
{
    /// <summary>Bytes in the loop's buffers instead of a socket.</summary>
    public static nint BioMethod { get; } = NewBioMethod();

    private static TlsTransport Active => (TlsTransport)EventLoop.Current!.ActiveTls!;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    public static int Verify(nint verification, nint argument)
    {
        var verdict = LibSsl.VerifyErrorRejected;
        try
        {
            verdict = Active.Judge(LibSsl.PresentedCertificates(verification));
        }
        catch (Exception e)
        {
            Active.Fault = e;
        }

        LibSsl.SetVerifyError(verification, verdict);
        return verdict == LibSsl.VerifyOk ? 1 : 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    public static int SelectAlpn(nint ssl, byte** selected, byte* selectedLength, byte* offered, uint offeredLength, nint argument)
    {
        try
        {
            if (Active.Negotiation.Alpn is { } name)
            {
                Span<byte> wanted = stackalloc byte[byte.MaxValue];
                wanted = wanted[..Encoding.ASCII.GetBytes(name, wanted)];
                for (var at = 0; at < offeredLength; at += offered[at] + 1)
                {
                    if (new ReadOnlySpan<byte>(offered + at + 1, offered[at]).SequenceEqual(wanted))
                    {
                        *selected = offered + at + 1;
                        *selectedLength = offered[at];
                        return LibSsl.AlpnOk;
                    }
                }
            }
        }
        catch (Exception e)
        {
            Active.Fault = e;
        }

        return LibSsl.AlpnNoAck;
    }

    /// <returns>1 when the session is ours now.</returns>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    public static int KeepSession(nint ssl, nint session)
    {
        try
        {
            return Active.Negotiation.Keep(session) ? 1 : 0;
        }
        catch (Exception e)
        {
            Active.Fault = e;
            return 0;
        }
    }

    /// <summary>OpenSSL has made a secret of this connection, and forgets the line after the call.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    public static void TakeSecret(nint ssl, byte* line)
    {
        try
        {
            Active.TakeSecret(LibSsl.Words(line));
        }
        catch (Exception e)
        {
            Active.Fault = e;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int ReadBio(nint bio, byte* into, int count)
    {
        LibSsl.ClearBioFlags(bio, LibSsl.BioRetryFlags);
        var taken = ((CipherBuffers.Cursor*)LibSsl.BioData(bio))->Take(into, count);
        if (taken > 0)
        {
            return taken;
        }

        LibSsl.SetBioFlags(bio, LibSsl.BioShouldRetryRead);
        return -1;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int WriteBio(nint bio, byte* from, int count)
    {
        LibSsl.ClearBioFlags(bio, LibSsl.BioRetryFlags);
        return ((CipherBuffers.Cursor*)LibSsl.BioData(bio))->Put(from, count) ? count : -1;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nint ControlBio(nint bio, int command, nint number, void* pointer) => command == LibSsl.BioControlFlush ? 1 : 0;

    private static nint NewBioMethod()
    {
        fixed (byte* name = "signet loop\0"u8)
        {
            var method = LibSsl.NewBioMethod(LibSsl.BioTypeOwn, name);
            _ = LibSsl.SetBioRead(method, &ReadBio);
            _ = LibSsl.SetBioWrite(method, &WriteBio);
            _ = LibSsl.SetBioControl(method, &ControlBio);
            return method;
        }
    }
}
