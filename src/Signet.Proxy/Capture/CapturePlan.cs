using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Signet.Proxy.Capture;

/// <summary>
/// Which rules capture what the options say, for one address family. Pure: the same options give the same rules. A packet's way, in words:
/// <list type="number">
/// <item>What arrives from outside for a captured port goes to the proxy's inbound port.</item>
/// <item>What the application sends goes to the proxy's outbound port, unless it stays on the machine.</item>
/// <item>What the proxy sends goes where it is addressed to. Only when the proxy calls a service that is its own workload, it goes to the inbound port
/// as if it had arrived from outside.</item>
/// <item>What the proxy sends to the application carries <see cref="AppSourceV4"/> or <see cref="AppSourceV6"/> as its source, so that it is not taken for 3.</item>
/// </list>
/// </summary>
public sealed class CapturePlan
{
    /// <summary>Marks what goes to a transparent socket, so that the policy route keeps it on this machine.</summary>
    internal const string TproxyMark = "0x539/0xfff";

    /// <summary>Marks the proxy's call to its own workload.</summary>
    internal const string SelfCallMark = "0x53a/0xfff";

    /// <summary>The routing table of the policy route.</summary>
    internal const string RouteTable = "133";

    // A SYN without ACK: the first packet of a connection. Later ones find their socket by themselves.
    private const string FirstPacket = "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN";
    private const string LaterPacket = "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN";

    private readonly CaptureOptions _options;
    private readonly bool _isV6;
    private readonly List<(string, string)> _chains = [];
    private readonly List<CaptureRule> _rules = [];

    private CapturePlan(CaptureOptions options, AddressFamily family) => (_options, _isV6) = (options, family == AddressFamily.InterNetworkV6);

    /// <summary>The source of the proxy's connections to the application at the address that the peer chose.</summary>
    public static IPAddress AppSourceV4 { get; } = IPAddress.Parse("127.0.0.6");

    /// <inheritdoc cref="AppSourceV4"/>
    public static IPAddress AppSourceV6 => IPAddress.IPv6Loopback;

    /// <summary>The source of the proxy's connections to the application at an address of the workload.</summary>
    public static IPAddress AppSource(IPAddress app) => app.AddressFamily == AddressFamily.InterNetworkV6 ? AppSourceV6 : AppSourceV4;

    /// <summary>The rules of one address family, <see cref="AddressFamily.InterNetwork"/> or <see cref="AddressFamily.InterNetworkV6"/>.</summary>
    public static RuleSet Of(CaptureOptions options, AddressFamily family)
    {
        var plan = new CapturePlan(options, family);
        if (options.Mode == CaptureMode.Tproxy)
        {
            plan.AddTproxyInbound();
            plan.AddOutbound(selfCall: null);
        }
        else
        {
            plan.AddRedirectInbound();
            plan.AddOutbound(selfCall: "SIGNET_INBOUND");
        }

        return new RuleSet(plan._chains, plan._rules);
    }

    private string Loopback => _isV6 ? "::1/128" : "127.0.0.0/8";

    private string OwnSource => _isV6 ? $"{AppSourceV6}/128" : $"{AppSourceV4}/32";

    private void AddRedirectInbound()
    {
        AddChains("nat", "SIGNET_PREROUTING", "SIGNET_INBOUND", "SIGNET_IN_REDIRECT");
        Add("nat", "PREROUTING", "-p tcp -j SIGNET_PREROUTING");
        AddInterfaces("nat", "SIGNET_PREROUTING", "-i");
        Add("nat", "SIGNET_PREROUTING", "-j SIGNET_INBOUND");
        AddInboundPorts("nat", "SIGNET_IN_REDIRECT");
        Add("nat", "SIGNET_IN_REDIRECT", $"-p tcp -j REDIRECT --to-ports {Text(_options.InboundPort)}");
    }

    private void AddTproxyInbound()
    {
        AddChains("mangle", "SIGNET_PREROUTING", "SIGNET_INBOUND", "SIGNET_TPROXY", "SIGNET_OUTPUT");
        Add("mangle", "PREROUTING", "-p tcp -j SIGNET_PREROUTING");
        Add("mangle", "OUTPUT", "-p tcp -j SIGNET_OUTPUT");

        // Packets of connections that the proxy has accepted may be addressed to machines elsewhere; the mark keeps them here.
        AddInterfaces("mangle", "SIGNET_PREROUTING", "-i");
        Add("mangle", "SIGNET_PREROUTING", $"-p tcp -m socket --transparent -j MARK --set-xmark {TproxyMark}");
        Add("mangle", "SIGNET_PREROUTING", $"{LaterPacket} -j RETURN");
        Add("mangle", "SIGNET_PREROUTING", $"-i lo -m mark ! --mark {SelfCallMark} -j RETURN");
        Add("mangle", "SIGNET_PREROUTING", $"-d {Loopback} -j RETURN");
        Add("mangle", "SIGNET_PREROUTING", "-j SIGNET_INBOUND");
        AddInboundPorts("mangle", "SIGNET_TPROXY");
        Add("mangle", "SIGNET_TPROXY", $"-p tcp -j TPROXY --on-port {Text(_options.InboundPort)} --on-ip {(_isV6 ? "::" : "0.0.0.0")} --tproxy-mark {TproxyMark}");

        AddInterfaces("mangle", "SIGNET_OUTPUT", "-o");
        Add("mangle", "SIGNET_OUTPUT", $"-s {OwnSource} -o lo -j RETURN");
        foreach (var proxy in ProxyOwners)
        {
            Add("mangle", "SIGNET_OUTPUT", $"! -d {Loopback} -o lo {FirstPacket} -m owner {proxy} -j MARK --set-xmark {SelfCallMark}");
        }
    }

    private void AddInboundPorts(string table, string target)
    {
        foreach (var port in _options.ProxyPorts.Concat(_options.ExcludeInboundPorts))
        {
            Add(table, "SIGNET_INBOUND", $"-p tcp -m tcp --dport {port.Match} -j RETURN");
        }

        AddPorts(table, "SIGNET_INBOUND", _options.IncludeInboundPorts, $"-j {target}");
    }

    private void AddOutbound(string? selfCall)
    {
        AddChains("nat", "SIGNET_OUTPUT", "SIGNET_OUT_REDIRECT");
        Add("nat", "OUTPUT", "-p tcp -j SIGNET_OUTPUT");
        AddInterfaces("nat", "SIGNET_OUTPUT", "-o");

        // The proxy to the application; then to its own workload as a service; then to anywhere.
        Add("nat", "SIGNET_OUTPUT", $"-s {OwnSource} -o lo -j RETURN");
        foreach (var proxy in ProxyOwners)
        {
            if (selfCall is not null)
            {
                Add("nat", "SIGNET_OUTPUT", $"! -d {Loopback} -o lo -p tcp -m owner {proxy} -j {selfCall}");
            }

            Add("nat", "SIGNET_OUTPUT", $"-m owner {proxy} -j RETURN");
        }

        // The application to itself stays on the machine.
        Add("nat", "SIGNET_OUTPUT", "-o lo -j RETURN");
        Add("nat", "SIGNET_OUTPUT", $"-d {Loopback} -j RETURN");
        foreach (var port in _options.ExcludeOutboundPorts)
        {
            Add("nat", "SIGNET_OUTPUT", $"-p tcp -m tcp --dport {port.Match} -j RETURN");
        }

        foreach (var network in OfFamily(_options.ExcludeOutboundNetworks))
        {
            Add("nat", "SIGNET_OUTPUT", $"-d {network} -j RETURN");
        }

        if (_options.IncludeOutboundNetworks is { } networks)
        {
            foreach (var network in OfFamily(networks))
            {
                Add("nat", "SIGNET_OUTPUT", $"-d {network} -j SIGNET_OUT_REDIRECT");
            }
        }
        else
        {
            Add("nat", "SIGNET_OUTPUT", "-j SIGNET_OUT_REDIRECT");
        }

        AddPorts("nat", "SIGNET_OUT_REDIRECT", _options.IncludeOutboundPorts, $"-j REDIRECT --to-ports {Text(_options.OutboundPort)}");
    }

    private IEnumerable<string> ProxyOwners
    {
        get
        {
            yield return $"--uid-owner {Text(_options.ProxyUid)}";
            if (_options.ProxyGid is { } gid)
            {
                yield return $"--gid-owner {Text(gid)}";
            }
        }
    }

    private IEnumerable<IPNetwork> OfFamily(IEnumerable<IPNetwork> networks) =>
        networks.Where(network => network.BaseAddress.AddressFamily == AddressFamily.InterNetworkV6 == _isV6);

    private void AddInterfaces(string table, string chain, string direction)
    {
        foreach (var name in _options.ExcludeInterfaces)
        {
            Add(table, chain, $"{direction} {name} -j RETURN");
        }
    }

    private void AddPorts(string table, string chain, IReadOnlyList<PortRange>? ports, string action)
    {
        if (ports is null)
        {
            Add(table, chain, $"-p tcp {action}");
            return;
        }

        foreach (var port in ports)
        {
            Add(table, chain, $"-p tcp -m tcp --dport {port.Match} {action}");
        }
    }

    private void AddChains(string table, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            _chains.Add((table, name));
        }
    }

    private void Add(string table, string chain, string text) => _rules.Add(new CaptureRule(table, chain, text));

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
