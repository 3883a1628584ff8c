using System.Diagnostics.CodeAnalysis;
using Signet.Identity.Registration;
using Signet.Rpc.Wire.Registration;

namespace Signet.Rpc.Wire;

/// <summary>Why an entry does not fit a workload, as the server and agents tell it.</summary>
public static class ExplanationMapping
{
    public static NearMiss ToWire(this EntryNearMiss miss)
    {
        var wire = new NearMiss { Entry = miss.Entry.ToWire() };
        wire.Missing.AddRange(miss.Missing.Select(selector => selector.ToWire()));
        wire.Reasons.AddRange(miss.Reasons);
        return wire;
    }

    public static bool TryRead(NearMiss wire, [NotNullWhen(true)] out EntryNearMiss? miss, out string problem)
    {
        miss = SpireMapping.TryRead(wire.Entry, out var entry, out problem)
            ? new EntryNearMiss(entry, [.. wire.Missing.Select(one => new Selector(one.Type, one.Value))], [.. wire.Reasons])
            : null;
        return miss is not null;
    }
}
