using System.Globalization;

namespace Signet.Policy.Engine;

internal enum AddressOf
{
    Source,
    Remote,
    Destination,
}

/// <summary><c>ipBlocks</c>, <c>remoteIpBlocks</c>, <c>source.ip</c>, <c>remote.ip</c>, <c>destination.ip</c>.</summary>
internal sealed class AddressClause : Clause
{
    private readonly AddressOf _which;
    private readonly IpBlock[] _blocks;

    public AddressClause(string field, IReadOnlyList<string> values, bool negated, AddressOf which, IpBlock[] blocks)
        : base(field, values, negated) => (_which, _blocks) = (which, blocks);

    // An address that nobody knows satisfies neither form: what is unknown proves nothing.
    internal override bool Matches(RequestFacts facts) => Address(facts).IsKnown && base.Matches(facts);

    internal override string Seen(RequestFacts facts) => (_which switch
    {
        AddressOf.Source => facts.SourceIp,
        AddressOf.Remote => facts.RemoteIp ?? facts.SourceIp,
        _ => facts.DestinationIp,
    })?.ToString() ?? "an unknown address";

    private protected override bool MatchesAny(RequestFacts facts)
    {
        var address = Address(facts);
        foreach (ref readonly var block in _blocks.AsSpan())
        {
            if (block.Contains(address))
            {
                return true;
            }
        }

        return false;
    }

    private IpKey Address(RequestFacts facts) => _which switch
    {
        AddressOf.Source => facts.SourceAddress,
        AddressOf.Remote => facts.ReportedAddress.IsKnown ? facts.ReportedAddress : facts.SourceAddress,
        _ => facts.DestinationAddress,
    };
}

/// <summary><c>ports</c> and <c>destination.port</c>: the workload's port.</summary>
internal sealed class PortClause : Clause
{
    private readonly int[] _ports;

    public PortClause(string field, IReadOnlyList<string> values, bool negated, int[] ports)
        : base(field, values, negated) => _ports = ports;

    internal override IndexDimension Dimension => Negated ? IndexDimension.None : IndexDimension.Port;

    internal override IReadOnlyList<StringPattern> IndexKeys => Exactly(_ports.Select(port => port.ToString(CultureInfo.InvariantCulture)));

    internal override string Seen(RequestFacts facts) => facts.DestinationPort.ToString(CultureInfo.InvariantCulture);

    private protected override bool MatchesAny(RequestFacts facts) => _ports.AsSpan().Contains(facts.DestinationPort);
}

/// <summary><c>connection.sni</c>.</summary>
internal sealed class SniClause : Clause
{
    private readonly StringPattern[] _patterns;

    public SniClause(string field, IReadOnlyList<string> values, bool negated)
        : base(field, values, negated) => _patterns = Patterns(values);

    internal override string Seen(RequestFacts facts) => facts.Sni ?? "no server name";

    private protected override bool MatchesAny(RequestFacts facts) => !string.IsNullOrEmpty(facts.Sni) && AnyMatches(_patterns, facts.Sni);
}
