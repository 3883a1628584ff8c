using Signet.Agent.Attestation.Workload.Containers;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Agent.Attestation.Workload;

/// <summary>Selectors as they may stand in a log: what a container's environment holds may be a secret, and labels are whatever somebody wrote.</summary>
internal static class LoggedSelectors
{
    /// <summary>How many are shown.</summary>
    public const int Max = 64;

    private const string Environment = "env:";

    public static string Of(IReadOnlyCollection<Selector> selectors)
    {
        var shown = string.Join(' ', selectors.Select(Of).Order(StringComparer.Ordinal).Take(Max));
        return selectors.Count <= Max ? shown : $"{shown} and {selectors.Count - Max} more";
    }

    private static string Of(Selector selector)
    {
        var value = selector.Type == DockerEngine.Type && selector.Value.StartsWith(Environment, StringComparison.Ordinal) && selector.Value.IndexOf('=', StringComparison.Ordinal) is >= 0 and var end
            ? selector.Value[..end] + "=..."
            : selector.Value;
        return Printable.Of($"{selector.Type}:{value}");
    }
}
