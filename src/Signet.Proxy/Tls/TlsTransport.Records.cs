using Signet.Proxy.Loop;
using Signet.Proxy.Native;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Tls;

/// <summary>
/// Records after a handshake of TLS 1.3 (RFC 8446 §5). OpenSSL's own way copies each payload twice and keeps its state of a handshake and two
/// buffers for as long as the connection lives. A client lends it the tickets that come before the first payload, for it to make sessions of;
/// later ones are of no use.
/// </summary>
internal sealed partial class TlsTransport
{
    /// <summary>Records in a row that carry neither payload nor tickets: empty ones, new keys, warnings.</summary>
    private const int MaxIdleRecords = 32;

    private TrafficSecrets _secrets;
    private RecordCipher? _receiving;
    private RecordCipher? _sending;
    private PostHandshakeMessages _messages;
    private PooledBytes _opened;

    /// <summary>A server's, sealed by OpenSSL. They leave with its first record; alone they would cost either side a turn more.</summary>
    private PooledBytes _tickets;
    private int _idleRecords;
    private bool _mustChangeKey;
    private bool _isEndSent;

    /// <summary>OpenSSL tells a secret of this connection.</summary>
    public void TakeSecret(ReadOnlySpan<byte> line) => _secrets.Take(line);

    /// <summary>How many protected records these bytes are; -1 when they are anything else.</summary>
    private static int CountRecords(ReadOnlySpan<byte> bytes)
    {
        var count = 0;
        for (; !bytes.IsEmpty; count++)
        {
            var size = RecordCipher.SizeOfFirst(bytes);
            if (size <= 0 || size > bytes.Length)
            {
                return -1;
            }

            bytes = bytes[size..];
        }

        return count;
    }

    /// <summary>From here on records are protected here, if the version and the suite allow, and the peer did not ask for shorter ones (RFC 6066 §4).</summary>
    /// <exception cref="IOException">OpenSSL has sent what it should not have.</exception>
    private void TakeOverRecords(string suiteName, int tickets)
    {
        if (!_secrets.AreKnown || RecordSuite.Find(suiteName) is not { } suite || LibSsl.MaxFragmentLength(LibSsl.Session(_ssl)) != 0)
        {
            _secrets.Wipe();
            AddTickets(Loop.Cipher);
            Flush(Loop.Cipher);
            return;
        }

        if (tickets < 0)
        {
            throw new IOException("OpenSSL ended the handshake with other records than tickets");
        }

        var isServer = Negotiation.IsServer;
        _messages = new PostHandshakeMessages(isServer);
        _receiving = RecordCipher.ForReceiving(suite, isServer ? _secrets.Client : _secrets.Server, sequence: 0);
        _sending = RecordCipher.ForSending(suite, isServer ? _secrets.Server : _secrets.Client, (ulong)tickets);
        _secrets.Wipe();
        if (isServer)
        {
            FreeLibrary();
        }
    }

    private bool HasRecord() => RecordCipher.SizeOfFirst(_received.Span) is var size && (size < 0 || (size > 0 && size <= _received.Count));

    private void WriteRecords(RecordCipher sending, ReadOnlySpan<byte> bytes)
    {
        if (_isEndSent)
        {
            throw new IOException("this side has ended its direction");
        }

        try
        {
            while (!bytes.IsEmpty)
            {
                if (_mustChangeKey || sending.IsWorn)
                {
                    ChangeKey(sending);
                }

                var payload = bytes[..Math.Min(bytes.Length, RecordCipher.MaxPayload)];
                Seal(sending, payload, ContentType.ApplicationData);
                bytes = bytes[payload.Length..];
            }
        }
        catch (Exception e)
        {
            throw Abandoned(e);
        }

        Flush(Loop.Cipher);
        ThrowIfBroken();
    }

    private void EndRecords(RecordCipher sending)
    {
        try
        {
            SealAlert(sending, TlsAlert.CloseNotify);
            _isEndSent = true;
        }
        catch (Exception e)
        {
            throw Abandoned(e);
        }
    }

    private int ReadRecords(RecordCipher receiving, Span<byte> into)
    {
        try
        {
            return OpenInto(receiving, into);
        }
        catch (Exception e)
        {
            throw Abandoned(e);
        }
    }

    /// <summary>What failed half-way leaves nothing in the loop's buffers for the next connection to send, and this one at its end.</summary>
    private IOException Abandoned(Exception cause)
    {
        Loop.Cipher.ClearOut();
        _failure ??= cause.Message;
        return cause as IOException ?? new IOException(cause.Message, cause);
    }

    private unsafe int OpenInto(RecordCipher receiving, Span<byte> into)
    {
        if (_opened.Count > 0)
        {
            var taken = Math.Min(_opened.Count, into.Length);
            _opened.Span[..taken].CopyTo(into);
            _opened.Consume(taken);
            return taken;
        }

        var cipher = Loop.Cipher;
        var total = 0;
        fixed (byte* to = into)
        {
            if (HasRecord())
            {
                _received.Consume(OpenRecords(receiving, _received.Span, to, into.Length, ref total));
            }

            while (total == 0 && !_hasEnded && _failure is null && TryReceiveBehindRest(cipher, out var bytes))
            {
                var taken = OpenRecords(receiving, bytes, to, into.Length, ref total);
                _received.Clear();
                _received.Append(bytes[taken..]);
            }
        }

        Flush(cipher);
        if (total == 0)
        {
            ThrowIfBroken();
        }

        return total > 0 ? total : _hasEnded ? 0 : -1;
    }

    /// <summary>Receives behind the part of a record that is here already, so that it lies in one piece.</summary>
    private bool TryReceiveBehindRest(CipherBuffers cipher, out ReadOnlySpan<byte> bytes)
    {
        var room = cipher.ReceiveRoom;
        var rest = _received.Count;
        var received = Receive(room[rest..]);
        if (received > 0)
        {
            _received.Span.CopyTo(room);
        }

        bytes = room[..(rest + received)];
        return received > 0;
    }

    /// <summary>Opens whole records from the front, until there is no room for the next one's payload.</summary>
    /// <returns>How many bytes were taken.</returns>
    private unsafe int OpenRecords(RecordCipher receiving, ReadOnlySpan<byte> bytes, byte* to, int room, ref int total)
    {
        var taken = 0;
        while (!_hasEnded && _failure is null)
        {
            var size = RecordCipher.SizeOfFirst(bytes[taken..]);
            if (size < 0)
            {
                Fail(TlsAlert.UnexpectedMessage, "the peer sent what is no protected record");
                break;
            }

            if (size > RecordCipher.MaxRecord)
            {
                Fail(TlsAlert.RecordOverflow, "the peer sent a record that is too large");
                break;
            }

            if (size == 0 || size > bytes.Length - taken)
            {
                break;
            }

            var isRoomy = size - RecordCipher.Overhead <= room - total;
            if (!isRoomy && total > 0)
            {
                break;
            }

            var record = bytes.Slice(taken, size);
            taken += size;
            var payload = isRoomy ? to + total : Loop.Cipher.Scratch;
            if (!receiving.TryOpen(record, payload, out var count, out var type))
            {
                Fail(TlsAlert.BadRecordMac, "decryption failed or bad record mac");
            }
            else if (type == ContentType.Handshake)
            {
                TakeMessages(receiving, record, new ReadOnlySpan<byte>(payload, count));
            }
            else if (_messages.IsWithin)
            {
                Fail(TlsAlert.UnexpectedMessage, "the peer sent something else within a message");
            }
            else if (type != ContentType.ApplicationData)
            {
                TakeControl(type, new ReadOnlySpan<byte>(payload, count));
            }
            else if (count == 0)
            {
                CountIdle();
            }
            else
            {
                FreeLibrary();
                (_receivedWithoutPayload, _idleRecords) = (0, 0);
                total += isRoomy ? count : CopyFromScratch(count, to, room);
            }
        }

        return taken;
    }

    /// <summary>What costs this side work and brings nobody forward; OpenSSL does not see it and can be lent no more tickets.</summary>
    private void CountIdle()
    {
        FreeLibrary();
        if (++_idleRecords > MaxIdleRecords)
        {
            Fail(TlsAlert.UnexpectedMessage, $"the peer sent more than {MaxIdleRecords} records in a row without payload");
        }
    }

    private unsafe int CopyFromScratch(int count, byte* to, int room)
    {
        var payload = new Span<byte>(Loop.Cipher.Scratch, count);
        var fitting = Math.Min(count, room);
        payload[..fitting].CopyTo(new Span<byte>(to, fitting));
        _opened.Append(payload[fitting..]);
        payload.Clear();
        return fitting;
    }

    private void TakeControl(ContentType type, ReadOnlySpan<byte> content)
    {
        switch (type)
        {
            case ContentType.Alert when content.Length == 2:
                TakeAlert(content[1]);
                break;
            case ContentType.Alert when !content.IsEmpty:
                Fail(TlsAlert.DecodeError, "the peer sent an alert of a wrong length");
                break;
            default:
                Fail(TlsAlert.UnexpectedMessage, "the peer sent a record of an unknown kind");
                break;
        }
    }

    /// <summary>An alert other than these two ends the connection, whatever its level (RFC 8446 §6.2).</summary>
    private void TakeAlert(byte alert)
    {
        switch ((TlsAlert)alert)
        {
            case TlsAlert.CloseNotify:
                _hasEnded = true;
                break;
            case TlsAlert.UserCanceled:
                CountIdle();
                break;
            default:
                _failure ??= LibSsl.WordsOfAlert(alert) ?? $"the peer sent alert {alert}";
                break;
        }
    }

    private void TakeMessages(RecordCipher receiving, ReadOnlySpan<byte> record, ReadOnlySpan<byte> content)
    {
        switch (_messages.Take(content))
        {
            case PostHandshakeMessages.Found.Tickets:
                LendToLibrary(record);
                break;
            case PostHandshakeMessages.Found.NewKey:
                CountIdle();
                receiving.Update();
                break;
            case PostHandshakeMessages.Found.NewKeyForBoth:
                CountIdle();
                receiving.Update();
                _mustChangeKey = true;
                break;
            case PostHandshakeMessages.Found.Malformed:
                Fail(TlsAlert.DecodeError, "the peer sent a message of a wrong length");
                break;
            case PostHandshakeMessages.Found.Illegal:
                Fail(TlsAlert.IllegalParameter, "the peer asked for new keys in a way that means nothing");
                break;
            default:
                Fail(TlsAlert.UnexpectedMessage, "the peer sent a message that does not belong here");
                break;
        }
    }

    /// <summary>OpenSSL has seen every record so far, so that it counts them as the peer does; what it would answer is not sent.</summary>
    private unsafe void LendToLibrary(ReadOnlySpan<byte> record)
    {
        if (_ssl == 0)
        {
            return;
        }

        var cipher = Loop.Cipher;
        var length = cipher.Out.Length;
        var isTaken = false;
        byte none;
        Loop.ActiveTls = this;
        fixed (byte* bytes = record)
        {
            cipher.Offer(bytes, record.Length);
            LibSsl.ClearErrors();
            isTaken = LibSsl.GetError(_ssl, LibSsl.Read(_ssl, &none, 1)) == LibSsl.ErrorWantRead;
        }

        Loop.ActiveTls = null;
        cipher.ClearIn();
        cipher.CutOut(length);
        if (!isTaken)
        {
            Fail(TlsAlert.DecodeError, LibSsl.TakeError() ?? "the peer sent a ticket that OpenSSL does not take");
        }
    }

    /// <summary>Says that this side's next record comes under its next key (RFC 8446 §4.6.3), and goes over to it; once before the next payload, however often the peer asks.</summary>
    private void ChangeKey(RecordCipher sending)
    {
        Seal(sending, [24, 0, 0, 1, 0], ContentType.Handshake);
        sending.Update();
        _mustChangeKey = false;
    }

    /// <summary>Nothing follows this side's close_notify (RFC 8446 §6.1).</summary>
    private void SealAlert(RecordCipher sending, TlsAlert alert)
    {
        const byte Warning = 1;
        const byte Fatal = 2;
        if (!_isEndSent)
        {
            Seal(sending, [alert == TlsAlert.CloseNotify ? Warning : Fatal, (byte)alert], ContentType.Alert);
        }
    }

    private unsafe void Seal(RecordCipher sending, ReadOnlySpan<byte> content, ContentType type)
    {
        var cipher = Loop.Cipher;
        AddTickets(cipher);
        cipher.Added(sending.Seal(content, type, cipher.RoomOut(content.Length + RecordCipher.Overhead)));
    }

    private void AddTickets(CipherBuffers cipher)
    {
        if (_tickets.Count > 0)
        {
            cipher.Add(_tickets.Span);
            _tickets.Clear();
        }
    }

    private void Fail(TlsAlert alert, string reason)
    {
        _failure ??= reason;
        SealAlert(_sending!, alert);
    }
}
