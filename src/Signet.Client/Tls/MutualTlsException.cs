using System.Security.Authentication;

namespace Signet.Client.Tls;

/// <summary>Why there is no connection. A closed list.</summary>
public enum MutualTlsProblem
{
    /// <summary>This side has no identity yet, or it was withdrawn.</summary>
    NoIdentity,

    /// <summary>This side's SVID expired and no newer one came.</summary>
    IdentityExpired,

    /// <summary>The peer has not proved who it is.</summary>
    PeerNotTrusted,

    /// <summary>The peer has proved who it is, and may not go on.</summary>
    PeerNotAuthorized,

    /// <summary>This side's SVID has a key that .NET cannot present (<see cref="TlsCredential.CanPresent"/>).</summary>
    KeyNotUsable,
}

/// <summary>No connection, for a reason that lies in identities. The message is for the operator, not for the peer.</summary>
public sealed class MutualTlsException(MutualTlsProblem problem, string message, Exception? cause = null) : AuthenticationException(message, cause)
{
    public MutualTlsProblem Problem => problem;
}
