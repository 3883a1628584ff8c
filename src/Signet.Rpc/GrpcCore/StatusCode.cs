namespace Grpc.Core;

/// <summary>How a call ended, as a number that every gRPC implementation shares.</summary>
public enum StatusCode
{
    /// <summary>It did what was asked.</summary>
    OK = 0,

    /// <summary>The caller gave up. Clients that retry usually do not retry this one.</summary>
    Cancelled = 1,

    /// <summary>An error without a better name.</summary>
    Unknown = 2,

    /// <summary>The request is wrong whatever state the server is in.</summary>
    InvalidArgument = 3,

    /// <summary>Time ran out first.</summary>
    DeadlineExceeded = 4,

    /// <summary>There is no such thing.</summary>
    NotFound = 5,

    /// <summary>There is such a thing already.</summary>
    AlreadyExists = 6,

    /// <summary>The caller is known and may not do that.</summary>
    PermissionDenied = 7,

    /// <summary>A limit was reached: a quota, a rate or a message size.</summary>
    ResourceExhausted = 8,

    /// <summary>The server is not in a state in which that can be done.</summary>
    FailedPrecondition = 9,

    /// <summary>Another change came between.</summary>
    Aborted = 10,

    /// <summary>Past the end.</summary>
    OutOfRange = 11,

    /// <summary>There is no such service or method here.</summary>
    Unimplemented = 12,

    /// <summary>The other side broke the protocol, or an invariant does not hold.</summary>
    Internal = 13,

    /// <summary>Not now; trying again later may work.</summary>
    Unavailable = 14,

    /// <summary>Data is lost or damaged.</summary>
    DataLoss = 15,

    /// <summary>The caller did not say who it is, or not credibly.</summary>
    Unauthenticated = 16,
}
