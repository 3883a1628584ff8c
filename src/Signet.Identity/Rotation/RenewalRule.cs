namespace Signet.Identity.Rotation;

/// <summary>
/// When SVIDs are renewed where whoever signs may be away for a while: early enough that what is held always lasts for the target still, if the
/// lifetime allows. Nobody accepts anything that has expired; the lifetime must be longer than the target. Pure.
/// </summary>
/// <param name="AvailabilityTarget">For how long an SVID is still to last whenever an outage begins; null renews at the usual moment.</param>
public sealed record RenewalRule(TimeSpan? AvailabilityTarget = null)
{
    /// <summary>No SVID is renewed before this part of its life is over: a lifetime too short for the target must not make its signer sign without end.</summary>
    private const double Earliest = 0.25;

    private const double Spread = 0.1;

    /// <summary>The shortest lifetime that leaves room for a target.</summary>
    public static TimeSpan LifetimeFor(TimeSpan target) => target / (1 - Earliest);

    /// <summary>Whether a lifetime leaves room for the target; where there is none, always. A hundredth may be missing, as when it is counted from the receipt.</summary>
    public bool IsMetBy(TimeSpan lifetime) => AvailabilityTarget is not { } target || lifetime * 1.01 >= LifetimeFor(target);

    /// <summary>The moment of renewal, at the latest that of <see cref="SvidRenewal.DueAt"/>. Time before the certificate was received does not count as life.</summary>
    /// <param name="validity">The certificate's own dates.</param>
    /// <param name="receivedAt">When it was received.</param>
    /// <param name="chance">A number in [0, 1), drawn once per certificate: it comes up to a tenth of the way sooner, so that many do not come at once.</param>
    public DateTimeOffset DueAt(Validity validity, DateTimeOffset receivedAt, double chance)
    {
        var usual = SvidRenewal.DueAt(validity, receivedAt, chance);
        if (AvailabilityTarget is not { } target)
        {
            return usual;
        }

        var begin = receivedAt > validity.NotBefore ? receivedAt : validity.NotBefore;
        var life = validity.NotAfter - begin;
        var latest = life - target > life * Earliest ? life - target : life * Earliest;
        var due = begin + (latest * (1 - (Spread * chance)));
        return due < usual ? due : usual;
    }
}
