namespace Signet.Proxy.Tls;

/// <summary>What a record carries (RFC 8446 §B.1).</summary>
internal enum ContentType : byte
{
    Alert = 21,
    Handshake = 22,
    ApplicationData = 23,
}

/// <summary>Alerts about records: those that this side sends, and those that end nothing or one direction only (RFC 8446 §6).</summary>
internal enum TlsAlert : byte
{
    CloseNotify = 0,
    UnexpectedMessage = 10,
    BadRecordMac = 20,
    RecordOverflow = 22,
    IllegalParameter = 47,
    DecodeError = 50,
    UserCanceled = 90,
}
