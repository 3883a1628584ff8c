namespace Signet.Proxy.L7;

/// <summary>What is wrong with an HTTP/1.1 message. The words are for the operator; the peer only gets the status.</summary>
public enum HttpProblem
{
    HeadTooLarge,
    TooManyHeaders,
    BareLineFeed,
    BareCarriageReturn,
    ControlCharacter,
    StartLineMalformed,
    MethodMalformed,
    MethodUnsupported,
    TargetMalformed,
    VersionUnsupported,
    HeaderFolded,
    HeaderNameMalformed,
    HostMissing,
    HostRepeated,
    HostMalformed,
    HostContradicted,
    ContentLengthMalformed,
    ContentLengthRepeated,
    LengthAmbiguous,
    TransferEncodingUnsupported,
    ExpectationUnsupported,
    HeaderImitated,
    HeaderNominated,
    HeaderRepeated,
    ChunkMalformed,
    TrailersTooLarge,
    TrailerForbidden,
    BodyCutShort,
    StatusMalformed,
    UpgradeUnasked,
}

/// <summary>The status that answers a problem of a request.</summary>
public static class HttpProblems
{
    public static int Status(this HttpProblem problem) => problem switch
    {
        HttpProblem.HeadTooLarge or HttpProblem.TooManyHeaders or HttpProblem.TrailersTooLarge => 431,
        HttpProblem.VersionUnsupported => 505,
        HttpProblem.MethodUnsupported or HttpProblem.TransferEncodingUnsupported => 501,
        HttpProblem.ExpectationUnsupported => 417,
        _ => 400,
    };
}
