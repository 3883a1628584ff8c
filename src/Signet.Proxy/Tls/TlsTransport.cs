using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Signet.Proxy.Loop;
using Signet.Proxy.Native;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Tls;

/// <summary>
/// One TLS connection on a socket of a loop, from its handshake to its end. OpenSSL never sees the socket: records go through the loop's
/// buffers during a call, and what does not fit waits here, bounded by one call's worth. In TLS 1.3 OpenSSL does the handshake, and the
/// records after it are protected here, straight between the loop's buffers and the caller's; in TLS 1.2 it does all. Everything native
/// happens on the loop's thread. Owns the socket.
/// </summary>
internal sealed partial class TlsTransport : ITransport
{
    /// <summary>Payload that is encrypted before the socket is asked to take it.</summary>
    private const int WriteStep = 64 * 1024;

    /// <summary>Answers that a peer may provoke (key updates) without taking them.</summary>
    private const int MaxUnsent = 256 * 1024;

    /// <summary>Records without payload (key updates, tickets) that a peer may send in a row; several times the largest record.</summary>
    private const int MaxWithoutPayload = 128 * 1024;

    private readonly LoopSocket _socket;
    private nint _ssl;
    private PooledBytes _received;
    private PooledBytes _unsent;
    private int _receivedWithoutPayload;
    private bool _hasEnded;

    /// <summary>Whether what was sent last may still be with the kernel, which waits for more.</summary>
    private bool _isKept;
    private int _isClosed;
    private string? _failure;

    /// <summary>On the loop's thread only.</summary>
    /// <exception cref="IOException">What this side would present is of the past.</exception>
    public TlsTransport(LoopSocket socket, TlsNegotiation negotiation, ReadOnlySpan<byte> received)
    {
        (_socket, Negotiation) = (socket, negotiation);
        _ssl = negotiation.Context.NewConnection();
        _received.Append(received);
        var bio = LibSsl.NewBio(TlsCallbacks.BioMethod);
        unsafe
        {
            LibSsl.SetBioData(bio, (nint)socket.Loop.Cipher.State);
        }

        LibSsl.SetBioReady(bio, 1);
        LibSsl.SetBio(_ssl, bio, bio);
        negotiation.Apply(_ssl);
    }

    public TlsNegotiation Negotiation { get; }

    public LoopSocket Socket => _socket;

    /// <summary>What went wrong in a callback, which may not throw.</summary>
    public Exception? Fault { get; set; }

    private EventLoop Loop => _socket.Loop;

    /// <summary>Runs the handshake to its end. An alert for the peer has been sent when it is refused.</summary>
    /// <exception cref="IOException">The connection broke.</exception>
    public async ValueTask<TlsOutcome> HandshakeAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var outcome = StepHandshake();
            await DrainAsync(cancellationToken).ConfigureAwait(false);
            if (outcome is not null)
            {
                return outcome;
            }

            await _socket.ReadableAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (!Loop.IsCurrent)
        {
            return ReadFromElsewhereAsync(buffer, cancellationToken);
        }

        if (buffer.IsEmpty)
        {
            return HasBytes() ? new(0) : _socket.ReadAsync(buffer, cancellationToken);
        }

        var read = TryRead(buffer.Span);
        return read >= 0 ? new(read) : WaitAndReadAsync(buffer, cancellationToken);
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (Loop.IsCurrent && _unsent.Count == 0)
        {
            bytes = bytes[Write(bytes.Span)..];
            if (bytes.IsEmpty && _unsent.Count == 0)
            {
                return default;
            }
        }

        return WaitAndWriteAsync(bytes, cancellationToken);
    }

    public async ValueTask EndWritesAsync(CancellationToken cancellationToken)
    {
        await Loop.EnterAsync();
        SendCloseNotify();
        await DrainAsync(cancellationToken).ConfigureAwait(false);
        _socket.EndWrites();
    }

    public void Abort()
    {
        if (Loop.IsCurrent)
        {
            Free();
            _socket.Abort();
        }
        else
        {
            Loop.Post(Abort);
        }
    }

    public ValueTask DisposeAsync()
    {
        if (Loop.IsCurrent)
        {
            Free();
        }
        else
        {
            Loop.Post(Free);
        }

        return _socket.DisposeAsync();
    }

    /// <summary>OpenSSL asks about the certificates that the peer has just sent.</summary>
    public int Judge(nint stack) => Negotiation.Judge(_ssl, stack);

    /// <summary>Lets go of TLS and leaves the socket to the caller. On the loop's thread, or after it has ended.</summary>
    public void Detach() => Free();

    /// <summary>What arrives without waiting: a count, 0 at the end, or -1.</summary>
    private int TryRead(Span<byte> into)
    {
        if (_hasEnded && _opened.Count == 0)
        {
            return 0;
        }

        ThrowIfBroken();
        return _receiving is { } receiving ? ReadRecords(receiving, into) : ReadThroughLibrary(into);
    }

    private unsafe int ReadThroughLibrary(Span<byte> into)
    {
        var cipher = Loop.Cipher;
        var total = 0;
        Loop.ActiveTls = this;
        fixed (byte* left = _received.Span, to = into)
        {
            cipher.Offer(left, _received.Count);
            var isLeftover = _received.Count > 0;
            var mustReceive = !isLeftover && LibSsl.Pending(_ssl) == 0;
            while (total < into.Length)
            {
                if (mustReceive)
                {
                    mustReceive = false;
                    if (!TryReceive(cipher))
                    {
                        break;
                    }

                    isLeftover = false;
                }

                LibSsl.ClearErrors();
                var read = LibSsl.Read(_ssl, to + total, into.Length - total);
                if (read > 0)
                {
                    total += read;
                    _receivedWithoutPayload = 0;
                    if (cipher.Unread.IsEmpty && LibSsl.Pending(_ssl) == 0)
                    {
                        break;
                    }
                }
                else if (!GoesOn(LibSsl.GetError(_ssl, read)) || total > 0)
                {
                    break;
                }
                else
                {
                    mustReceive = true;
                }
            }

            KeepUnread(cipher, isLeftover);
        }

        Loop.ActiveTls = null;
        Flush(cipher);
        if (total == 0)
        {
            ThrowIfBroken();
        }

        return total > 0 ? total : _hasEnded ? 0 : -1;
    }

    /// <summary>True when more records are what is missing.</summary>
    private bool GoesOn(int error)
    {
        switch (error)
        {
            case LibSsl.ErrorWantRead:
                return true;
            case LibSsl.ErrorZeroReturn:
                _hasEnded = true;
                return false;
            default:
                _failure ??= LibSsl.TakeError() ?? "the TLS connection failed";
                return false;
        }
    }

    private bool TryReceive(CipherBuffers cipher)
    {
        var received = Receive(cipher.ReceiveRoom);
        if (received > 0)
        {
            cipher.OfferReceived(received);
        }

        return received > 0;
    }

    /// <summary>How many bytes came without waiting; 0 when none did, or none may any more.</summary>
    private int Receive(Span<byte> room)
    {
        int received;
        try
        {
            received = _socket.TryReceive(room);
        }
        catch (IOException e)
        {
            _failure = e.Message;
            return 0;
        }

        if (received == 0)
        {
            // Only close_notify ends a direction: a bare FIN could be anyone's on the path, and would cut a message short (RFC 8446 §6.1).
            _failure = "the peer ended the connection without close_notify";
        }

        received = Math.Max(received, 0);
        _receivedWithoutPayload += received;
        if (_receivedWithoutPayload > MaxWithoutPayload)
        {
            _failure = $"the peer sent {MaxWithoutPayload / 1024} KiB of records without payload";
            return 0;
        }

        return received;
    }

    /// <summary>Encrypts one step's worth and sends what the socket takes; the rest waits in <see cref="_unsent"/>.</summary>
    /// <returns>How many bytes of payload are on their way.</returns>
    private int Write(ReadOnlySpan<byte> bytes)
    {
        ThrowIfBroken();
        bytes = bytes[..Math.Min(bytes.Length, WriteStep)];
        if (_sending is not { } sending)
        {
            return WriteThroughLibrary(bytes);
        }

        WriteRecords(sending, bytes);
        return bytes.Length;
    }

    private unsafe int WriteThroughLibrary(ReadOnlySpan<byte> bytes)
    {
        var cipher = Loop.Cipher;
        var total = 0;
        Loop.ActiveTls = this;
        fixed (byte* from = bytes)
        {
            while (total < bytes.Length)
            {
                LibSsl.ClearErrors();
                var written = LibSsl.Write(_ssl, from + total, bytes.Length - total);
                if (written <= 0)
                {
                    _failure = LibSsl.TakeError() ?? "the TLS connection failed";
                    break;
                }

                total += written;
            }
        }

        Loop.ActiveTls = null;
        Flush(cipher);
        ThrowIfBroken();
        return total;
    }

    /// <summary>To be followed by the end of the socket's direction, in whose packet it leaves.</summary>
    private void SendCloseNotify()
    {
        ThrowIfBroken();
        if (_sending is { } sending)
        {
            EndRecords(sending);
        }
        else
        {
            Loop.ActiveTls = this;
            LibSsl.ClearErrors();
            _ = LibSsl.Shutdown(_ssl);
            Loop.ActiveTls = null;
        }

        Flush(Loop.Cipher, isMoreComing: true);
    }

    /// <summary>As far as the handshake goes with what has arrived. Null: more is needed.</summary>
    private unsafe TlsOutcome? StepHandshake()
    {
        ThrowIfBroken();
        var cipher = Loop.Cipher;
        var result = 0;
        var isStuck = false;
        Loop.ActiveTls = this;
        fixed (byte* left = _received.Span)
        {
            cipher.Offer(left, _received.Count);
            var isLeftover = _received.Count > 0;
            while (true)
            {
                LibSsl.ClearErrors();
                result = LibSsl.DoHandshake(_ssl);
                if (result == 1 || LibSsl.GetError(_ssl, result) != LibSsl.ErrorWantRead)
                {
                    break;
                }

                // What is on its way to the peer must not wait behind what comes from it.
                Flush(cipher);
                if (!TryReceive(cipher))
                {
                    isStuck = true;
                    break;
                }

                isLeftover = false;
            }

            KeepUnread(cipher, isLeftover);
        }

        Loop.ActiveTls = null;
        var error = result == 1 || isStuck ? null : LibSsl.TakeError();
        if (result != 1)
        {
            Flush(cipher);
            return isStuck && _failure is null ? null : Refused(error);
        }

        var isResumed = LibSsl.IsSessionReused(_ssl) == 1;
        var tickets = Negotiation.IsServer ? CountRecords(cipher.Out) : 0;
        try
        {
            Negotiation.Complete(_ssl, isResumed, isNewSession: tickets > 0);
        }
        catch (Exception e)
        {
            throw Abandoned(e);
        }

        if (tickets > 0)
        {
            _tickets.Append(cipher.Out);
            cipher.ClearOut();
        }

        // A client often has its first payload at hand: one packet instead of two, and the server wakes up once.
        Flush(cipher, isMoreComing: !Negotiation.IsServer);
        if (_isKept)
        {
            Loop.Post(PushKept);
        }

        return Finish(isResumed, tickets);
    }

    private void PushKept()
    {
        if (_isKept && _isClosed == 0)
        {
            _socket.Push();
        }
    }

    /// <param name="isResumed">Whether the keys came from an earlier session.</param>
    /// <param name="tickets">Records that OpenSSL has sealed under this side's first key for payload.</param>
    private TlsOutcome Finish(bool isResumed, int tickets)
    {
        switch (Negotiation.Answer)
        {
            case { Peer: { } peer }:
                var session = new TlsSession(this, peer, Text(Version()), Text(CipherName()), Alpn(), isResumed) { IsMutual = Negotiation.HasCertificate, OwnExpiresAt = Negotiation.Context.PresentedUntil };
                TakeOverRecords(session.CipherSuite, tickets);
                return new TlsOutcome.Established(session);
            case { } no:
                return new TlsOutcome.Refused(no.Reason, no.Detail);
            default:
                return new TlsOutcome.Refused(RefusalReason.PeerCertificateMissing, "the peer presented no certificate");
        }
    }

    private TlsOutcome Refused(string? error)
    {
        const string NoCertificate = "peer did not return a certificate";
        return Negotiation.Answer is { Peer: null } no ? new TlsOutcome.Refused(no.Reason, no.Detail)
            : Fault is { } fault ? new TlsOutcome.Refused(RefusalReason.HandshakeFailed, $"a certificate could not be judged: {fault.Message}")
            : _failure is not null ? new TlsOutcome.Refused(RefusalReason.HandshakeFailed, EndedWithin)
            : error == NoCertificate ? new TlsOutcome.Refused(RefusalReason.PeerCertificateMissing, "the peer presented no certificate")
            : new TlsOutcome.Refused(RefusalReason.HandshakeFailed, error ?? "the TLS handshake failed");
    }

    private string EndedWithin => _failure!.Contains("close_notify", StringComparison.Ordinal) ? "the peer ended the connection during the handshake" : _failure;

    private unsafe nint Version() => (nint)LibSsl.Version(_ssl);

    private unsafe nint CipherName() => (nint)LibSsl.CipherName(LibSsl.CurrentCipher(_ssl));

    private static string Text(nint utf8) => Marshal.PtrToStringUTF8(utf8) ?? "";

    private unsafe string? Alpn()
    {
        byte* name;
        uint length;
        LibSsl.SelectedAlpn(_ssl, &name, &length);
        return length == 0 ? null : System.Text.Encoding.Latin1.GetString(name, (int)length);
    }

    /// <summary>Whether a read may find something without the socket.</summary>
    private bool HasBytes() =>
        _hasEnded || _failure is not null || (_receiving is null ? _received.Count > 0 || (_ssl != 0 && LibSsl.Pending(_ssl) > 0) : _opened.Count > 0 || HasRecord());

    /// <summary>What OpenSSL has not taken waits for the next call.</summary>
    private void KeepUnread(CipherBuffers cipher, bool isLeftover)
    {
        var unread = cipher.Unread;
        if (isLeftover)
        {
            _received.Consume(_received.Count - unread.Length);
        }
        else
        {
            _received.Clear();
            _received.Append(unread);
        }

        cipher.ClearIn();
    }

    /// <summary>Sends what OpenSSL wrote, behind what still waits. A broken socket is noticed by whoever reads or writes next.</summary>
    private void Flush(CipherBuffers cipher, bool isMoreComing = false)
    {
        var bytes = cipher.Out;
        if (bytes.IsEmpty)
        {
            return;
        }

        try
        {
            if (_unsent.Count == 0)
            {
                bytes = bytes[_socket.TrySend(bytes, isMoreComing)..];
                _isKept = isMoreComing;
            }

            _unsent.Append(bytes);
        }
        catch (IOException e)
        {
            _failure ??= e.Message;
        }

        cipher.ClearOut();
        if (_unsent.Count > MaxUnsent)
        {
            _failure ??= "the peer asks for answers that it does not read";
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask DrainAsync(CancellationToken cancellationToken)
    {
        while (_unsent.Count > 0)
        {
            _unsent.Consume(_socket.TrySend(_unsent.Span));
            if (_unsent.Count > 0)
            {
                await _socket.WritableAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async ValueTask<int> ReadFromElsewhereAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await Loop.EnterAsync();
        return await ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> WaitAndReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            await _socket.ReadableAsync(cancellationToken).ConfigureAwait(false);
            var read = TryRead(buffer.Span);
            if (read >= 0)
            {
                return read;
            }
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WaitAndWriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await Loop.EnterAsync();
        while (true)
        {
            await DrainAsync(cancellationToken).ConfigureAwait(false);
            if (bytes.IsEmpty)
            {
                return;
            }

            bytes = bytes[Write(bytes.Span)..];
        }
    }

    private void ThrowIfBroken()
    {
        if (_isClosed != 0)
        {
            throw new IOException("the connection is closed");
        }

        if (_failure is not null)
        {
            throw new IOException(_failure);
        }
    }

    private void Free()
    {
        // Once the loop has ended, two threads may come here at once.
        if (Interlocked.Exchange(ref _isClosed, 1) != 0)
        {
            return;
        }

        FreeLibrary();
        _receiving?.Dispose();
        _sending?.Dispose();
        (_receiving, _sending) = (null, null);
        _secrets.Wipe();
        _received.Clear();
        _opened.Clear();
        _unsent.Clear();
        _tickets.Clear();
    }

    private void FreeLibrary()
    {
        if (_ssl == 0)
        {
            return;
        }

        // Without this OpenSSL takes the connection for a broken one and forgets its session.
        if (_failure is null)
        {
            LibSsl.SetShutdown(_ssl, LibSsl.ShutdownBoth);
        }

        LibSsl.Free(_ssl);
        _ssl = 0;
    }
}
