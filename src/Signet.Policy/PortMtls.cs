namespace Signet.Policy;

/// <summary>What a port's server side does about mutual TLS.</summary>
public enum MtlsMode
{
    /// <summary>Takes mutual TLS and plaintext.</summary>
    Permissive,

    /// <summary>Takes mutual TLS only.</summary>
    Strict,

    /// <summary>Does not terminate TLS: bytes go to the application as they are, and nobody is authenticated.</summary>
    Disable,
}

/// <summary>A port's mode, and the PeerAuthentication that supplied it.</summary>
/// <param name="Mode">What the port does.</param>
/// <param name="From"><c>namespace/name</c>; null means the built-in default, PERMISSIVE.</param>
public readonly record struct PortMtls(MtlsMode Mode, string? From);
