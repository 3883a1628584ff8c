using Signet.Policy.Engine;

namespace Signet.Policy.Objects;

/// <summary>Who may do what.</summary>
public sealed record AuthorizationPolicy : PolicyObject
{
    public override string Kind => "AuthorizationPolicy";

    public PolicyAction Action { get; init; }

    /// <summary>CUSTOM only: the external authoriser's name.</summary>
    public string? Provider { get; init; }

    /// <summary>On trial: its matches are reported, not enforced.</summary>
    public bool DryRun { get; init; }

    /// <summary>Whether it names gateways or services instead of workloads; then no sidecar is covered.</summary>
    public bool HasTargetRefs { get; init; }

    /// <summary>No rules match nothing; a rule without parts matches everything.</summary>
    public IReadOnlyList<Rule> Rules { get; init; } = [];
}
