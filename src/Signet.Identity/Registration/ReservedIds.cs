using Signet.Identity.Spiffe;

namespace Signet.Identity.Registration;

/// <summary>The IDs of servers and agents; the same as SPIRE's, so that its agents and ours can join either side.</summary>
public static class ReservedIds
{
    private const string Prefix = "/spire/";

    private const string AgentPrefix = "/spire/agent/";

    public static SpiffeId Server(TrustDomain trustDomain) => SpiffeId.Of(trustDomain, "/spire/server");

    /// <summary>An agent's ID, for example <c>…/spire/agent/join_token/&lt;name&gt;</c>.</summary>
    public static SpiffeId Agent(TrustDomain trustDomain, string attestor, string name) =>
        SpiffeId.Of(trustDomain, $"{AgentPrefix}{attestor}/{name}");

    /// <summary>Whether the ID is kept for servers and agents, so that no workload may have it.</summary>
    public static bool IsReserved(SpiffeId id) => id.Path.StartsWith(Prefix, StringComparison.Ordinal);

    public static bool IsAgent(SpiffeId id) => id.Path.StartsWith(AgentPrefix, StringComparison.Ordinal);
}
