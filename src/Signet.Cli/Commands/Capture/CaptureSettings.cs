using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Net;
using Signet.Proxy.Capture;
using Signet.Proxy.Config;

namespace Signet.Cli.Commands.Capture;

/// <summary>The options that say what is captured; the same for <c>install</c> and <c>show</c>.</summary>
internal sealed class CaptureSettings
{
    private const string Everything = "*";

    private readonly Option<CaptureMode?> _mode = new("--mode")
    {
        Description = "redirect rewrites addresses; tproxy leaves those of inbound connections as they are, and the proxy then needs CAP_NET_ADMIN (default: redirect)",
        HelpName = "redirect|tproxy",
        CustomParser = result => result.Tokens[0].Value switch
        {
            "redirect" => CaptureMode.Redirect,
            "tproxy" => CaptureMode.Tproxy,
            var other => Refuse<CaptureMode?>(result, $"--mode \"{OneLine(other)}\" is not known; write redirect or tproxy"),
        },
    };

    private readonly Option<uint?> _uid;
    private readonly Option<uint?> _gid = Id("--proxy-gid", "A group whose processes count as the proxy too; not root's", required: false);
    private readonly Option<int> _inboundPort = Port("--inbound-port", "Where the proxy takes captured inbound connections (capture.inbound in proxy.yaml)", 15006);
    private readonly Option<int> _outboundPort = Port("--outbound-port", "Where the proxy takes captured outbound connections (capture.outbound in proxy.yaml)", 15001);
    private readonly Option<Listed<PortRange>?> _proxyPorts = Ports("--proxy-ports", "Ports on which the proxy itself serves others uncaptured: metrics and readiness (default: 15020,15021)");
    private readonly Option<Listed<PortRange>?> _includeInbound = Ports("--include-inbound-ports", "Inbound ports that are captured (default: *, all)");
    private readonly Option<Listed<PortRange>?> _excludeInbound = Ports("--exclude-inbound-ports", "Inbound ports that go around the proxy, such as 22");
    private readonly Option<Listed<PortRange>?> _includeOutbound = Ports("--include-outbound-ports", "Outbound ports that are captured (default: *, all)");
    private readonly Option<Listed<PortRange>?> _excludeOutbound = Ports("--exclude-outbound-ports", "Outbound ports that go around the proxy");
    private readonly Option<Listed<IPNetwork>?> _includeNetworks = Networks("--include-outbound-cidrs", "Outbound destinations that are captured, IPv4 and IPv6 (default: *, all)");
    private readonly Option<Listed<IPNetwork>?> _excludeNetworks = Networks("--exclude-outbound-cidrs", "Outbound destinations that go around the proxy");
    private readonly Option<Listed<InterfaceName>?> _excludeInterfaces =
        List<InterfaceName>("--exclude-interfaces", "Interfaces whose traffic is left alone in both directions; docker+ means all that begin so", "NAMES", InterfaceName.TryParse, mayBeAll: false);

    public CaptureSettings(bool uidRequired)
    {
        _uid = Id("--proxy-uid", "The user that the proxy runs as, by number: its own connections are not captured. A user of its own, never root", uidRequired);
        _mode.CompletionSources.Add("redirect", "tproxy");
    }

    /// <summary>What a list option says; null entries mean everything.</summary>
    private sealed record Listed<T>(IReadOnlyList<T>? Entries);

    private delegate bool Parser<T>(string text, out T value, out string problem);

    public void AddTo(Command command)
    {
        foreach (var option in new Option[]
        {
            _mode, _uid, _gid, _inboundPort, _outboundPort, _proxyPorts, _includeInbound, _excludeInbound, _includeOutbound, _excludeOutbound, _includeNetworks, _excludeNetworks, _excludeInterfaces,
        })
        {
            command.Options.Add(option);
        }
    }

    /// <summary>What the command line asks for; null when it names no proxy.</summary>
    public CaptureOptions? Read(ParseResult parsed) => parsed.GetValue(_uid) is not { } uid ? null : new CaptureOptions
    {
        Mode = parsed.GetValue(_mode) ?? CaptureMode.Redirect,
        ProxyUid = uid,
        ProxyGid = parsed.GetValue(_gid),
        InboundPort = parsed.GetValue(_inboundPort),
        OutboundPort = parsed.GetValue(_outboundPort),
        ProxyPorts = parsed.GetValue(_proxyPorts)?.Entries ?? [new PortRange(15020, 15021)],
        IncludeInboundPorts = parsed.GetValue(_includeInbound)?.Entries,
        ExcludeInboundPorts = parsed.GetValue(_excludeInbound)?.Entries ?? [],
        IncludeOutboundPorts = parsed.GetValue(_includeOutbound)?.Entries,
        ExcludeOutboundPorts = parsed.GetValue(_excludeOutbound)?.Entries ?? [],
        IncludeOutboundNetworks = parsed.GetValue(_includeNetworks)?.Entries,
        ExcludeOutboundNetworks = parsed.GetValue(_excludeNetworks)?.Entries ?? [],
        ExcludeInterfaces = parsed.GetValue(_excludeInterfaces)?.Entries ?? [],
    };

    private static Option<uint?> Id(string name, string description, bool required) => new(name)
    {
        Description = description,
        HelpName = "N",
        Required = required,
        CustomParser = result => uint.TryParse(result.Tokens[0].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id is > 0 and < uint.MaxValue
            ? id
            : Refuse<uint?>(result, $"{name} \"{OneLine(result.Tokens[0].Value)}\" is not a number above 0; the proxy needs a user of its own, since whatever runs as root would go around it"),
    };

    private static Option<int> Port(string name, string description, int fallback) => new(name)
    {
        Description = description,
        HelpName = "PORT",
        DefaultValueFactory = _ => fallback,
        CustomParser = result => PortRange.TryParse(result.Tokens[0].Value, out var range, out _) && range.First == range.Last
            ? range.First
            : Refuse<int>(result, $"{name} \"{OneLine(result.Tokens[0].Value)}\" is not a port from 1 to 65535"),
    };

    private static Option<Listed<PortRange>?> Ports(string name, string description) =>
        List<PortRange>(name, description, "PORTS", PortRange.TryParse, mayBeAll: name.StartsWith("--include", StringComparison.Ordinal));

    private static Option<Listed<IPNetwork>?> Networks(string name, string description) =>
        List<IPNetwork>(name, description, "CIDRS", NetworkText.TryParse, mayBeAll: name.StartsWith("--include", StringComparison.Ordinal));

    /// <summary>Words with commas between them; given again, they add up. The word for everything stands alone, and an empty text is an empty list.</summary>
    private static Option<Listed<T>?> List<T>(string name, string description, string help, Parser<T> parse, bool mayBeAll) => new(name)
    {
        Description = description,
        HelpName = help,
        Arity = ArgumentArity.OneOrMore,
        CustomParser = result =>
        {
            var values = new List<T>();
            var words = result.Tokens.SelectMany(token => token.Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)).ToList();
            if (mayBeAll && words is [Everything])
            {
                return new Listed<T>(null);
            }

            foreach (var word in words)
            {
                if (!parse(word, out var value, out var problem))
                {
                    return Refuse<Listed<T>>(result, $"{name}: {problem}");
                }

                values.Add(value);
            }

            return values.Count <= CaptureOptions.MaxEntries ? new Listed<T>(values) : Refuse<Listed<T>>(result, $"{name} has {values.Count} entries; at most {CaptureOptions.MaxEntries} are taken");
        },
    };

    private static T? Refuse<T>(ArgumentResult result, string problem)
    {
        result.AddError(problem);
        return default;
    }

    private static string OneLine(string text) => Hosting.OneLine.Of(text);
}
