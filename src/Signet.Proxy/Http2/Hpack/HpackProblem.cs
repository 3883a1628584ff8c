namespace Signet.Proxy.Http2.Hpack;

/// <summary>Why a header block cannot be decoded. Each ends the connection: the tables of the two sides no longer agree (RFC 9113 §4.3).</summary>
public enum HpackProblem
{
    None,

    /// <summary>The block ends inside a representation.</summary>
    Truncated,

    /// <summary>An integer of more octets than any that means something here.</summary>
    IntegerTooLong,

    /// <summary>An index that neither table has.</summary>
    IndexUnknown,

    /// <summary>A table size update after the first field, or more of them than a sender needs.</summary>
    SizeUpdateMisplaced,

    /// <summary>A table larger than was agreed.</summary>
    SizeUpdateTooLarge,

    /// <summary>The end-of-string symbol inside a string.</summary>
    HuffmanEndOfString,

    /// <summary>Padding that is a whole octet or more, or is not all ones.</summary>
    HuffmanPadding,
}
