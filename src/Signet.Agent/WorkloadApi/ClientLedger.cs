using System.Collections.Immutable;
using Signet.Agent.Identities;
using Signet.Hosting;
using Signet.Identity.Registration;
using Signet.Identity.X509;

namespace Signet.Agent.WorkloadApi;

/// <summary>What a client on the agent's socket uses, as far as the agent knows.</summary>
/// <param name="Sequence">The bundle it was told, when the agent goes by that.</param>
/// <param name="Digest">The bundle it says it uses; null when the agent goes by what it was told.</param>
/// <param name="Issuers">The serial numbers of the certificates that signed its SVIDs.</param>
internal sealed record ClientUse(ulong Sequence, string? Digest, ImmutableArray<string> Issuers);

/// <summary>How a node stands: what the agent tells its server in each acknowledgement. Equal when the content is.</summary>
/// <param name="Sequence">The newest bundle that the agent and every client have applied.</param>
/// <param name="Lagging">The clients that are behind.</param>
/// <param name="Issuers">The serial numbers of the certificates that signed what the agent and its clients use, sorted.</param>
internal sealed record NodeStanding(ulong Sequence, ImmutableArray<string> Lagging, ImmutableArray<string> Issuers)
{
    public bool Equals(NodeStanding? other) =>
        other is not null && Sequence == other.Sequence && Lagging.SequenceEqual(other.Lagging, StringComparer.Ordinal) && Issuers.SequenceEqual(other.Issuers, StringComparer.Ordinal);

    public override int GetHashCode() => HashCode.Combine(Sequence, Lagging.Length, Issuers.Length);
}

/// <summary>
/// Who on this node uses which bundle and whose signatures. A client built on Signet says itself what it has applied; any other counts as told once
/// a message was written to its stream (or, with SDS, acknowledged), because its protocol has no answer. Thread-safe.
/// </summary>
internal sealed class ClientLedger
{
    private readonly Lock _gate = new();
    private readonly HashSet<ClientSeat> _seats = [];

    /// <summary>Raised when a client came, went, or uses something else.</summary>
    public ChangeSignal Changes { get; } = new();

    /// <summary>Keeps a seat for a stream. The caller disposes it when the stream ends.</summary>
    /// <param name="pid">The client's process.</param>
    /// <param name="name">What to call it.</param>
    /// <param name="reports">Whether it says itself what it uses; then what the other streams of its process were told does not count.</param>
    /// <param name="selectors">What fits these is to be there as long as the stream is; null when it waits for nothing.</param>
    public ClientSeat Open(int pid, string name, bool reports, IReadOnlySet<Selector>? selectors = null)
    {
        var seat = new ClientSeat(this, pid, name, reports, selectors);
        lock (_gate)
        {
            _seats.Add(seat);
        }

        return seat;
    }

    /// <summary>The selectors of those whose streams wait for identities, each set once.</summary>
    public IReadOnlyCollection<IReadOnlySet<Selector>> Subscribed()
    {
        lock (_gate)
        {
            return [.. _seats.Where(seat => seat.Selectors is not null).DistinctBy(seat => seat.SelectorText, StringComparer.Ordinal).Select(seat => seat.Selectors!)];
        }
    }

    /// <summary>Every stream at this moment, by name.</summary>
    /// <param name="snapshot">What the agent serves.</param>
    public IReadOnlyList<(string Name, int Pid, bool IsBehind)> Clients(IdentitySnapshot snapshot)
    {
        var (sequence, digest) = (snapshot.View.Own?.Sequence ?? 0, snapshot.View.Own?.Digest);
        lock (_gate)
        {
            return [.. _seats.Select(seat => (seat.Name, seat.Pid, seat.Use is not { } use || IsBehind(use, sequence, digest))).OrderBy(one => one.Name, StringComparer.Ordinal)];
        }
    }

    /// <summary>How the node stands.</summary>
    /// <param name="snapshot">What the agent serves.</param>
    /// <param name="own">The agent's own SVID.</param>
    public NodeStanding Standing(IdentitySnapshot snapshot, X509Svid? own)
    {
        (string Name, ClientUse Use)[] clients;
        lock (_gate)
        {
            var reporting = _seats.Where(seat => seat.Reports).Select(seat => seat.Pid).ToHashSet();
            clients = [.. _seats.Where(seat => seat.Use is not null && (seat.Reports || !reporting.Contains(seat.Pid))).Select(seat => (seat.Name, seat.Use!))];
        }

        var (sequence, digest) = (snapshot.View.Own?.Sequence ?? 0, snapshot.View.Own?.Digest);
        var behind = clients.Where(client => IsBehind(client.Use, sequence, digest)).ToArray();
        return new NodeStanding(
            behind.Select(client => client.Use.Sequence).Append(sequence).Min(),
            [.. behind.Select(client => client.Name).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)],
            [
                .. snapshot.Held.Values.Select(held => held.Svid).Append(own).Select(svid => svid?.Issuer?.SerialHex).OfType<string>()
                    .Concat(clients.SelectMany(client => client.Use.Issuers)).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal),
            ]);
    }

    private static bool IsBehind(ClientUse use, ulong sequence, string? digest) => use.Digest is { } uses ? uses != digest : use.Sequence < sequence;

    internal void Close(ClientSeat seat)
    {
        lock (_gate)
        {
            _seats.Remove(seat);
        }

        Changes.Raise();
    }
}

/// <summary>One stream of a client. One caller.</summary>
internal sealed class ClientSeat(ClientLedger ledger, int pid, string name, bool reports, IReadOnlySet<Selector>? selectors) : IDisposable
{
    private ClientUse? _use;

    public IReadOnlySet<Selector>? Selectors => selectors;

    /// <summary>The same for the same selectors.</summary>
    public string SelectorText { get; } = string.Join('\n', (selectors ?? new HashSet<Selector>()).Select(selector => selector.ToString()).Order(StringComparer.Ordinal));

    public int Pid => pid;

    public string Name => name;

    public bool Reports => reports;

    /// <summary>What the client uses; null before it has anything.</summary>
    public ClientUse? Use => Volatile.Read(ref _use);

    /// <summary>The client was told what it may have at this moment.</summary>
    public void Told(Entitlement entitlement) => Set(new ClientUse(
        entitlement.Snapshot.View.Own?.Sequence ?? 0, null, [.. entitlement.Svids.Select(held => held.Svid.Issuer?.SerialHex).OfType<string>().Distinct(StringComparer.Ordinal)]));

    /// <summary>The client says what it has applied.</summary>
    public void Says(string digest, IEnumerable<string> issuers) => Set(new ClientUse(0, digest, [.. issuers]));

    public void Dispose() => ledger.Close(this);

    private void Set(ClientUse use)
    {
        var before = Use;
        if (before is null || before.Sequence != use.Sequence || before.Digest != use.Digest || !before.Issuers.SequenceEqual(use.Issuers, StringComparer.Ordinal))
        {
            Volatile.Write(ref _use, use);
            ledger.Changes.Raise();
        }
    }
}
