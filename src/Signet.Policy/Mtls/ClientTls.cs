using Signet.Policy.Objects;

namespace Signet.Policy;

/// <summary>What a client does about TLS.</summary>
public enum ClientTlsMode
{
    /// <summary>Plaintext.</summary>
    Disable,

    /// <summary>TLS without a client certificate.</summary>
    Simple,

    /// <summary>Mutual TLS with certificates that the rule names.</summary>
    Mutual,

    /// <summary>Mutual TLS with the mesh's identities.</summary>
    IstioMutual,
}

/// <summary>One connection that a client is about to make.</summary>
/// <param name="Client">The client.</param>
/// <param name="Host">The service's host; a short name is completed with <paramref name="ServiceNamespace"/>.</param>
/// <param name="ServiceNamespace">The service's namespace.</param>
/// <param name="ServicePort">The service's port (not the workload's).</param>
/// <param name="Endpoint">The endpoint that was chosen; null when nothing is known of it, and then automatic mutual TLS is used.</param>
/// <param name="Subset">The subset of the DestinationRule, or null.</param>
public sealed record ClientTlsQuery(Workload Client, string Host, string ServiceNamespace, int ServicePort, ClientEndpoint? Endpoint = null, string? Subset = null);

/// <summary>What decides whether mutual TLS is possible with an endpoint.</summary>
/// <param name="HasSidecar">Whether something there terminates mutual TLS.</param>
/// <param name="Mode">The endpoint's mode on its workload port.</param>
public readonly record struct ClientEndpoint(bool HasSidecar, MtlsMode Mode);

/// <summary>What the client does, and which object says so.</summary>
/// <param name="Mode">What it does. When <paramref name="Refusal"/> is set it does not connect at all.</param>
/// <param name="From">The DestinationRule, <c>namespace/name</c>; null when mutual TLS is automatic.</param>
/// <param name="Reason">A sentence for an operator.</param>
/// <param name="Settings">The rule's TLS settings; null when mutual TLS is automatic.</param>
/// <param name="Refusal">Why the client must not connect: the rule that would decide can't be understood. Null otherwise.</param>
public sealed record ClientTls(ClientTlsMode Mode, string? From, string Reason, ClientTlsSettings? Settings = null, string? Refusal = null);
