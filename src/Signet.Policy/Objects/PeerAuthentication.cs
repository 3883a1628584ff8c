namespace Signet.Policy.Objects;

/// <summary>Which ports ask for mutual TLS.</summary>
public sealed record PeerAuthentication : PolicyObject
{
    public override string Kind => "PeerAuthentication";

    /// <summary>Null inherits from the wider scope.</summary>
    public MtlsMode? Mode { get; init; }

    /// <summary>By workload port; null inherits the workload's mode.</summary>
    public IReadOnlyDictionary<int, PortLevelMode> Ports { get; init; } = new Dictionary<int, PortLevelMode>();
}

/// <summary>A port's own mode, and the line on which it stands.</summary>
public sealed record PortLevelMode(int Line, MtlsMode? Mode);
