using Signet.Authority.Issuance;
using Signet.Authority.Rotation;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Server.Attestation;

namespace Signet.Server.Upkeep;

/// <summary>Whom a stage of the anchor's rotation waits for. Thread-safe.</summary>
internal sealed class RotationGate(Acknowledgements acknowledgements, AgentDirectory agents, ILiveCertificates issued, ServerIdentity identity, TrustDomain trustDomain, TimeProvider time)
{
    /// <summary>The log is looked through at most this often: it may be long.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(5);

    private readonly string _server = ReservedIds.Server(trustDomain).Uri;
    private (DateTimeOffset At, string Issuers, IReadOnlyList<LiveCertificates> Live) _looked = (DateTimeOffset.MinValue, "", []);

    /// <summary>Who keeps the stage from ending; nobody in a stage that does not wait.</summary>
    public async Task<IReadOnlyList<Laggard>> LaggardsAsync(AuthoritySnapshot current, AnchorStage stage, CancellationToken cancellationToken) => stage switch
    {
        AnchorStage.Announced => acknowledgements.Behind(),
        AnchorStage.Replacing => await UsersAsync([.. current.Ledger.BelowAndWithOldAnchors], cancellationToken).ConfigureAwait(false),
        _ => [],
    };

    /// <summary>Who still uses certificates of these authorities, or might.</summary>
    public async Task<IReadOnlyList<Laggard>> UsersAsync(HashSet<string> issuers, CancellationToken cancellationToken)
    {
        List<Laggard> users = [.. acknowledgements.Using(issuers)];
        if (identity.Current.Svid.Issuer is { } own && issuers.Contains(own.SerialHex))
        {
            users.Add(new Laggard("the server", "its own certificate is to be replaced"));
        }

        // What agents say is known at once; the log counts for what they don't speak of.
        return users.Count > 0
            ? users
            : [.. (await LiveAsync(issuers, cancellationToken).ConfigureAwait(false)).Where(live => Counts(live, issuers)).Select(Explain)];
    }

    private bool Counts(LiveCertificates live, IReadOnlySet<string> issuers) =>
        live.RequestedBy != _server
        && !(SpiffeId.TryParse(live.RequestedBy, out var agent, out _)
            && (agents.Find(agent) is { Banned: true } || acknowledgements.HasLeft(agent, issuers) || (live.ReplacedAt is { } at && acknowledgements.HasReplaced(agent, at))));

    private async Task<IReadOnlyList<LiveCertificates>> LiveAsync(HashSet<string> issuers, CancellationToken cancellationToken)
    {
        var (now, key) = (time.GetUtcNow(), string.Join(' ', issuers.Order(StringComparer.Ordinal)));
        if (_looked.Issuers != key || (now - _looked.At).Duration() >= LookEvery)
        {
            _looked = (now, key, await issued.LiveAsync(issuers, now, cancellationToken).ConfigureAwait(false));
        }

        return _looked.Live;
    }

    private static Laggard Explain(LiveCertificates live) =>
        new(live.RequestedBy, $"{live.Count} certificates that it asked for are valid until {live.LastNotAfter:u} at the latest, and nobody said that they are out of use");
}
