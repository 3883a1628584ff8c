using System.Net;
using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Agent.Mesh;

/// <summary>Where pods, and policies where that is wanted, come from by MCP.</summary>
/// <param name="Server">The source; null for the agent's own server.</param>
/// <param name="Id">Who is to be there.</param>
/// <param name="OverXds">Whether the source speaks MCP over xDS.</param>
public sealed record McpConfig(DnsEndPoint? Server, SpiffeId Id, bool OverXds)
{
    /// <summary>Whether proxies get the source's policies, in place of the server's.</summary>
    public bool Policies { get; init; }

    /// <summary>Null when there is none.</summary>
    public static McpConfig? Read(ConfigSection section, TrustDomain trustDomain)
    {
        if (!section.IsPresent)
        {
            return null;
        }

        var server = section.Text("server") is null ? null : section.RequiredEndPoint("server") switch
        {
            DnsEndPoint name => name,
            IPEndPoint address => new DnsEndPoint(address.Address.ToString(), address.Port),
            var other => throw new InvalidOperationException($"unexpected {other}"),
        };
        var id = section.Text("spiffeId") is null ? ReservedIds.Server(trustDomain) : section.RequiredSpiffeId("spiffeId");
        var (overXds, policies) = (section.Choice("protocol", "mcp", "mcp", "xds") == "xds", section.Flag("policies", false));
        if (overXds && policies)
        {
            section.Problem("policies", "are taken by protocol mcp only: over xDS differences come without a sign that they are whole");
        }

        return new McpConfig(server, id, overXds) { Policies = policies };
    }
}
