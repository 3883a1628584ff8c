using System.Globalization;
using Signet.Identity.Spiffe;
using Signet.Policy.Objects;
using Signet.Policy.Yaml;

namespace Signet.Policy.Reading;

internal static class PeerAuthenticationReader
{
    public static readonly string[] SpecFields = ["selector", "mtls", "portLevelMtls"];

    /// <summary>The most ports with a mode of their own.</summary>
    private const int MaxPorts = 1024;

    public static PolicyObject Read(Header header, Fields spec, ReadingContext context)
    {
        var selector = context.Selector(spec);
        return new PeerAuthentication
        {
            Namespace = header.Namespace,
            Name = header.Name,
            File = header.File,
            Line = header.Line,
            Created = header.Created,
            Selector = selector,
            Mode = Mode(spec.Open("mtls", "mode")),
            Ports = ReadPorts(spec, selector.Count > 0, context.Problems),
        };
    }

    private static Dictionary<int, PortLevelMode> ReadPorts(Fields spec, bool hasSelector, ProblemList problems)
    {
        var ports = new Dictionary<int, PortLevelMode>();
        if (!spec.Has("portLevelMtls"))
        {
            return ports;
        }

        var line = spec.LineOf("portLevelMtls");
        if (spec.Node("portLevelMtls") is not YamlMapping { Fields.Count: > 0 and <= MaxPorts } mapping)
        {
            problems.Error(line, PolicyCodes.BadValue, $"spec.portLevelMtls must be a mapping from ports to modes, with 1 to {MaxPorts} entries");
            return ports;
        }

        if (!hasSelector)
        {
            problems.Error(line, PolicyCodes.BadValue, "spec.portLevelMtls needs a spec.selector: ports belong to a workload, not to a mesh or namespace", "add spec.selector.matchLabels");
        }

        foreach (var field in mapping.Fields)
        {
            if (!int.TryParse(field.Key, NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port is < 1 or > 65535)
            {
                problems.Error(field.Line, PolicyCodes.BadValue, $"spec.portLevelMtls has the port \"{Printable.Of(field.Key)}\"; a number from 1 to 65535 was expected");
            }
            else if (!ports.TryAdd(port, new PortLevelMode(field.Line, Mode(Fields.Open(field.Value, "spec.portLevelMtls." + field.Key, problems, "mode")))))
            {
                problems.Error(field.Line, PolicyCodes.BadValue, $"spec.portLevelMtls names port {port} twice");
            }
        }

        return ports;
    }

    private static MtlsMode? Mode(Fields? mtls) => mtls?.Word("mode", "UNSET", "DISABLE", "PERMISSIVE", "STRICT") switch
    {
        "DISABLE" => MtlsMode.Disable,
        "PERMISSIVE" => MtlsMode.Permissive,
        "STRICT" => MtlsMode.Strict,
        _ => null,
    };
}
