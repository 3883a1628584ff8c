using Signet.Policy.Objects;

namespace Signet.Proxy.Upstreams;

/// <summary>How a service was at one moment. Immutable.</summary>
public sealed record UpstreamState
{
    /// <summary>The name in logs and metrics.</summary>
    public required string Service { get; init; }

    public required string Host { get; init; }

    public required int Port { get; init; }

    /// <summary>The DestinationRule that says how it is spread and limited, <c>namespace/name</c>; null when none does.</summary>
    public required string? Rule { get; init; }

    public required LoadBalancing Balancing { get; init; }

    /// <summary>Connections to all endpoints, streams in shared sessions included.</summary>
    public required int Connections { get; init; }

    /// <summary>Requests that wait for a connection.</summary>
    public required int Waiting { get; init; }

    /// <summary>Requests and relayed connections under way.</summary>
    public required int Active { get; init; }

    /// <summary>Retries under way.</summary>
    public required int Retries { get; init; }

    /// <summary>Retries since the start.</summary>
    public required long Retried { get; init; }

    /// <summary>Whether so few endpoints are well that all are used.</summary>
    public required bool IsPanicking { get; init; }

    /// <summary>In the order of the configuration.</summary>
    public required IReadOnlyList<UpstreamEndpointState> Endpoints { get; init; }
}

/// <summary>How an endpoint was at one moment. Immutable.</summary>
public sealed record UpstreamEndpointState
{
    /// <summary>Its address, or its name and port.</summary>
    public required string Endpoint { get; init; }

    /// <summary>Whether it is chosen when there is no panic.</summary>
    public required bool IsWell { get; init; }

    /// <summary>What active checks say: <c>unknown</c>, <c>healthy</c> or <c>unhealthy</c>.</summary>
    public required string Health { get; init; }

    /// <summary>Until when the outlier detection leaves it out; null when it does not. It comes back at the first look after that.</summary>
    public required DateTimeOffset? EjectedUntil { get; init; }

    /// <summary>Why it is left out.</summary>
    public required string? EjectedFor { get; init; }

    public required int Connections { get; init; }

    /// <summary>Requests and relayed connections under way.</summary>
    public required int Active { get; init; }

    /// <summary>Connections that came about since the start.</summary>
    public required long Connected { get; init; }

    /// <summary>Connections and requests without an answer since the start.</summary>
    public required long Failed { get; init; }

    /// <summary>How often it was left out since the start.</summary>
    public required long Ejected { get; init; }

    /// <summary>Answers since the start: 2xx, 3xx, 4xx, 5xx.</summary>
    public required IReadOnlyList<long> Answers { get; init; }

    /// <summary>The last failure in words; null when there was none.</summary>
    public required string? LastFailure { get; init; }

    public required DateTimeOffset? LastFailureAt { get; init; }
}
