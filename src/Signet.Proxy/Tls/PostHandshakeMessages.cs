namespace Signet.Proxy.Tls;

/// <summary>
/// Takes the messages apart that a peer may send once the handshake is over (RFC 8446 §4.6): a client is sent tickets, either side is told
/// of new keys. Holds a message's header at most. Mutable; one owner.
/// </summary>
internal struct PostHandshakeMessages(bool isServer)
{
    private const int NewSessionTicket = 4;
    private const int KeyUpdate = 24;
    private const int HeaderSize = 4;

    private uint _header;
    private int _headerCount;
    private int _left;
    private bool _isKeyUpdate;

    public enum Found
    {
        /// <summary>Tickets, whole or in part.</summary>
        Tickets,

        /// <summary>The peer's next record comes under its next key.</summary>
        NewKey,

        /// <summary>The same, and the peer wants this side to change its key, too.</summary>
        NewKeyForBoth,

        /// <summary>A message that does not belong here, or bytes behind one that ends its record (§5.1).</summary>
        Unexpected,

        /// <summary>A message of a wrong length.</summary>
        Malformed,

        /// <summary>A value that means nothing.</summary>
        Illegal,
    }

    /// <summary>Whether a message has begun and not ended; nothing else may come before it has (§5.1).</summary>
    public readonly bool IsWithin => _headerCount > 0 || _left > 0;

    /// <summary>Takes the content of one record.</summary>
    public Found Take(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return Found.Unexpected;
        }

        while (!bytes.IsEmpty)
        {
            if (_left == 0)
            {
                _header = (_header << 8) | bytes[0];
                bytes = bytes[1..];
                if (++_headerCount < HeaderSize)
                {
                    continue;
                }

                (_headerCount, _left) = (0, (int)(_header & 0xFFFFFF));
                _isKeyUpdate = _header >> 24 == KeyUpdate;
                if (!_isKeyUpdate && (isServer || _header >> 24 != NewSessionTicket))
                {
                    return Found.Unexpected;
                }

                if (_isKeyUpdate ? _left != 1 : _left == 0)
                {
                    return Found.Malformed;
                }
            }
            else if (_isKeyUpdate)
            {
                (_left, _isKeyUpdate) = (0, false);
                return bytes.Length > 1 ? Found.Unexpected : bytes[0] switch { 0 => Found.NewKey, 1 => Found.NewKeyForBoth, _ => Found.Illegal };
            }
            else
            {
                var taken = Math.Min(_left, bytes.Length);
                _left -= taken;
                bytes = bytes[taken..];
            }
        }

        return Found.Tickets;
    }
}
