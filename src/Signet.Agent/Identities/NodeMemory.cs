using System.Collections.Immutable;
using System.Diagnostics;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Signet.Agent.Wire;
using Signet.Hosting.Configuration;
using Signet.Hosting.Files;
using Signet.Identity.Rotation;

namespace Signet.Agent.Identities;

/// <summary>
/// Keeps what the agent serves on its disk, sealed, and gives it back after a restart, so that workloads have their identities while no server can be
/// reached. What does not hold is passed over and told; nothing of it ends the agent. One task keeps.
/// </summary>
internal sealed class NodeMemory(SealedFolder folder, AgentIdentity identity, RenewalRule renewal, TimeSpan maxAge, TimeProvider time, Func<double> chance, ILogger<NodeMemory> log)
{
    private const string ViewKind = "entries";
    private const string SvidKind = "svids";

    /// <summary>A file may seem to be so much younger than the present: clocks differ a little after a restart.</summary>
    private static readonly TimeSpan FutureTolerance = TimeSpan.FromMinutes(10);

    /// <summary>So often it is written that what was heard still holds.</summary>
    private static readonly TimeSpan Confirmation = TimeSpan.FromHours(1);

    /// <summary>Changes that come together are kept together.</summary>
    private static readonly TimeSpan ShortestRest = TimeSpan.FromSeconds(1);

    /// <summary>Keeping takes at most one part in so many of the time.</summary>
    private const int RestFactor = 20;

    private NodeView? _keptView;
    private ImmutableDictionary<string, HeldSvid>? _keptSvids;
    private DateTimeOffset _heardAt;
    private DateTimeOffset _confirmedAt;
    private string _problem = "";

    /// <summary>What was served before the restart and may be served still; nothing when there is nothing.</summary>
    public IdentitySnapshot Restore()
    {
        var began = time.GetTimestamp();
        if (RestoreView() is not { } remembered)
        {
            return IdentitySnapshot.Empty;
        }

        var held = RestoreSvids(remembered);
        (_keptView, _heardAt, _confirmedAt) = (remembered.View, remembered.HeardAt, remembered.HeardAt);
        log.CacheRestored(remembered.View.Entries.Length, held.Count, DurationText.Format(time.GetUtcNow() - remembered.HeardAt), (long)time.GetElapsedTime(began).TotalMilliseconds);
        return new IdentitySnapshot(remembered.View, held);
    }

    /// <summary>Keeps what changes, and once more at the end.</summary>
    public async Task RunAsync(IdentityCache cache, NodeSync sync, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var (seen, began) = (cache.Changes.Version, Stopwatch.GetTimestamp());
            Keep(cache.Current, sync.Problem.Length == 0);
            var rest = Stopwatch.GetElapsedTime(began) * RestFactor;
            await Task.Delay(rest > ShortestRest ? rest : ShortestRest, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await cache.Changes.WaitAsync(seen, Confirmation, time, cancellationToken).ConfigureAwait(false);
        }

        Keep(cache.Current, sync.Problem.Length == 0);
    }

    private RememberedView? RestoreView()
    {
        if (Load(ViewKind) is not { } content)
        {
            return null;
        }

        var now = time.GetUtcNow();
        var reason = !KeptIdentities.TryReadView(content, identity.TrustDomain, out var remembered, out var problem) ? problem
            : remembered.Agent != identity.Credential?.Svid.Id.Uri ? $"it was kept by {remembered.Agent}, which this agent is no longer"
            : now - remembered.HeardAt > maxAge ? $"it was last known to hold at {remembered.HeardAt:u}, longer ago than cache.maxAge, {DurationText.Format(maxAge)}"
            : remembered.HeardAt - now > FutureTolerance ? $"it was last known to hold at {remembered.HeardAt:u}, and this node's clock says {now:u}"
            : "";
        if (reason.Length == 0)
        {
            return remembered;
        }

        log.CacheIgnored(ViewKind, reason);
        return null;
    }

    private ImmutableDictionary<string, HeldSvid> RestoreSvids(RememberedView remembered)
    {
        var now = time.GetUtcNow();
        if (Load(SvidKind) is not { } content)
        {
            return ImmutableDictionary<string, HeldSvid>.Empty;
        }

        try
        {
            if (!KeptIdentities.TryReadSvids(content, out var agent, out var svids, out var problem) || agent != remembered.Agent)
            {
                log.CacheIgnored(SvidKind, problem.Length > 0 ? problem : $"it was kept by {agent}, and the entries by {remembered.Agent}");
                return ImmutableDictionary<string, HeldSvid>.Empty;
            }

            // Whether its entry still says the same is for the plan to see, as ever.
            return svids
                .Where(one => one.Svid.Validity.Covers(now))
                .ToImmutableDictionary(one => one.Entry.Id, one => new HeldSvid(one.Entry, one.Svid, renewal.DueAt(one.Svid.Validity, one.Svid.NotBefore, chance())), StringComparer.Ordinal);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(content);
        }
    }

    private byte[]? Load(string kind)
    {
        switch (folder.Load(kind))
        {
            case SealedContent.Opened(var content):
                return content;
            case SealedContent.Refused(var reason):
                log.CacheIgnored(kind, reason);
                return null;
            default:
                return null;
        }
    }

    /// <summary>Keeps what has changed since the last time.</summary>
    /// <param name="snapshot">What is served.</param>
    /// <param name="isInTouch">Whether the server would have said so by now if it were otherwise.</param>
    public void Keep(IdentitySnapshot snapshot, bool isInTouch)
    {
        if (snapshot.View.Revision == 0 || identity.Credential?.Svid.Id.Uri is not { } agent)
        {
            return;
        }

        var now = time.GetUtcNow();
        _heardAt = isInTouch || snapshot.View != _keptView ? now : _heardAt;
        try
        {
            if (snapshot.View != _keptView || _heardAt - _confirmedAt >= Confirmation)
            {
                folder.Save(ViewKind, KeptIdentities.Encode(new RememberedView(agent, _heardAt, snapshot.View)).Span);
                (_keptView, _confirmedAt) = (snapshot.View, _heardAt);
            }

            if (snapshot.Held != _keptSvids)
            {
                var content = KeptIdentities.Encode(agent, snapshot.Held.Values);
                folder.Save(SvidKind, content);
                CryptographicOperations.ZeroMemory(content);
                _keptSvids = snapshot.Held;
            }

            _problem = "";
        }
        catch (Exception e) when (e is PlaceException or CryptographicException)
        {
            if (e.Message != _problem)
            {
                log.CacheNotKept(e.Message);
            }

            _problem = e.Message;
        }
    }
}
