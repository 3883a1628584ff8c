using Google.Protobuf.WellKnownTypes;
using Signet.Rpc.Wire.Envoy.Core;

namespace Signet.Agent.Sds;

/// <summary>In which form a client takes the authorities that it is to believe.</summary>
internal enum ValidatorStyle
{
    /// <summary>The client does not say: a plain list for one trust domain, the SPIFFE validator for several.</summary>
    Either,

    /// <summary>Envoy's SPIFFE validator: each authority counts for its own trust domain only.</summary>
    Spiffe,

    /// <summary>Lists of authorities only.</summary>
    Plain,
}

/// <summary>Reads it off the node that a proxy introduces itself with. Pure.</summary>
internal static class ValidatorStyles
{
    /// <summary>The name of Envoy's SPIFFE validator.</summary>
    public const string SpiffeValidator = "envoy.tls.cert_validator.spiffe";

    /// <summary>The key of node metadata by which SPIRE's users turn the SPIFFE validator off.</summary>
    public const string TurnedOff = "disable_spiffe_cert_validation";

    // The first version with the SPIFFE validator.
    private static readonly (uint Major, uint Minor) Since = (1, 18);

    /// <summary>What a proxy says of itself counts in this order: that it does not want it, what it was built with, its version.</summary>
    public static ValidatorStyle Of(Node? node)
    {
        if (node?.Metadata?.Fields.TryGetValue(TurnedOff, out var off) == true && (off.BoolValue || off.StringValue == "true"))
        {
            return ValidatorStyle.Plain;
        }

        if (node is null || (node.Extensions.Count == 0 && node.UserAgentName != "envoy"))
        {
            return ValidatorStyle.Either;
        }

        return node.Extensions.Count > 0
            ? node.Extensions.Any(extension => extension.Name == SpiffeValidator) ? ValidatorStyle.Spiffe : ValidatorStyle.Plain
            : node.UserAgentBuildVersion?.Version is { } version
            ? (version.MajorNumber, version.MinorNumber).CompareTo(Since) >= 0 ? ValidatorStyle.Spiffe : ValidatorStyle.Plain
            : ValidatorStyle.Either;
    }
}
