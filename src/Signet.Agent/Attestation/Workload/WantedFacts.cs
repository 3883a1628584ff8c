using Signet.Agent.Attestation.Workload.Systemd;
using Signet.Agent.Identities;

namespace Signet.Agent.Attestation.Workload;

/// <summary>Facts that are found out only when entries ask about them, because that is costly.</summary>
[Flags]
internal enum CostlyFacts
{
    None = 0,

    /// <summary><c>unix:sha256</c>: the whole program is read.</summary>
    ProgramDigest = 1,

    /// <summary><c>systemd:fragment_path</c>: systemd is asked.</summary>
    UnitFile = 2,
}

/// <summary>Which of the costly facts the entries of this agent ask about. Thread-safe.</summary>
internal sealed class WantedFacts(IdentityCache cache)
{
    private Known _known = new(NodeView.Nothing, CostlyFacts.None);

    public CostlyFacts Current
    {
        get
        {
            var view = cache.Current.View;
            var known = Volatile.Read(ref _known);
            if (known.View != view)
            {
                known = new Known(view, Of(view));
                Volatile.Write(ref _known, known);
            }

            return known.Facts;
        }
    }

    private static CostlyFacts Of(NodeView view)
    {
        var facts = CostlyFacts.None;
        foreach (var selector in view.Entries.SelectMany(entry => entry.Selectors))
        {
            facts |= selector.Type == UnixAttestor.Type && selector.Value.StartsWith("sha256:", StringComparison.Ordinal) ? CostlyFacts.ProgramDigest
                : selector.Type == SystemdAttestor.Type && selector.Value.StartsWith("fragment_path:", StringComparison.Ordinal) ? CostlyFacts.UnitFile
                : CostlyFacts.None;
        }

        return facts;
    }

    private sealed record Known(NodeView View, CostlyFacts Facts);
}
