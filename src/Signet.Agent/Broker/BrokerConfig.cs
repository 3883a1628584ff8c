using System.Collections.Immutable;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;

namespace Signet.Agent.Broker;

/// <summary>Whether there is a broker endpoint, and for whom.</summary>
/// <param name="Socket">Where; null for nowhere.</param>
/// <param name="Authorized">The SPIFFE IDs of brokers.</param>
public sealed record BrokerConfig(string? Socket, ImmutableHashSet<SpiffeId> Authorized)
{
    public static readonly BrokerConfig Off = new(null, []);

    /// <summary>Reads the section <c>broker</c>.</summary>
    public static BrokerConfig Read(ConfigSection broker)
    {
        if (!broker.IsPresent)
        {
            return Off;
        }

        var config = new BrokerConfig(broker.UnixPath("socket"), [.. broker.Values<SpiffeId>("authorizedBrokers", SpiffeId.TryParse)]);
        if (config.Socket is null)
        {
            broker.Problem("socket", "is missing; name the path where brokers are to connect, such as /run/signet/broker.sock");
        }

        return config;
    }
}
