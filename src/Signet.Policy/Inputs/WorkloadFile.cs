using System.Globalization;
using Signet.Policy.Reading;
using Signet.Policy.Yaml;

namespace Signet.Policy.Inputs;

/// <summary>A workload and the ports that it listens on.</summary>
public sealed record WrittenWorkload(Workload Workload, IReadOnlyList<int> Ports);

/// <summary>Reads one workload: <c>{namespace, labels, ports}</c>.</summary>
public static class WorkloadFile
{
    private const int MaxPorts = 65535;

    public static Input<WrittenWorkload> Read(PolicyText text) => InputReader.ReadOne(text, (node, problems) =>
    {
        if (Fields.Open(node, "", problems, "namespace", "labels", "serviceAccount", "ports") is not { } fields)
        {
            return null;
        }

        var ports = new List<int>();
        foreach (var item in fields.Items("ports").Take(MaxPorts))
        {
            if (item is YamlScalar scalar && int.TryParse(scalar.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is >= 1 and <= 65535)
            {
                ports.Add(port);
            }
            else
            {
                problems.Error(item.Line, PolicyCodes.BadValue, "ports has something else than a number from 1 to 65535");
            }
        }

        return new WrittenWorkload(InputReader.ReadWorkload(fields), ports);
    });
}
