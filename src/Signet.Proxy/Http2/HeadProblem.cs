namespace Signet.Proxy.Http2;

/// <summary>What makes a message malformed (RFC 9113 §8). The words are for the operator; the peer only gets PROTOCOL_ERROR on the stream.</summary>
public enum HeadProblem
{
    None,
    TooLarge,
    NameMalformed,
    NameUpperCase,
    ValueMalformed,
    PseudoUnknown,
    PseudoRepeated,
    PseudoAfterField,
    PseudoMissing,
    PseudoForbidden,
    ConnectionSpecific,
    TeUnsupported,
    MethodMalformed,
    SchemeMalformed,
    PathMalformed,
    AuthorityMalformed,
    HostRepeated,
    HostContradicted,
    StatusMalformed,
    ContentLengthMalformed,
    ContentLengthRepeated,
    ContentLengthContradicted,
    InterimTooMany,
    InterimEndsStream,
    TrailersWithoutEnd,
    DataBeforeHead,
}
