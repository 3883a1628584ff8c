namespace Signet.Identity.Rotation;

/// <summary>When an SVID is renewed: at half of its life, spread by ±10 % of that so that many do not come at once.</summary>
public static class SvidRenewal
{
    private const double Middle = 0.5;
    private const double Spread = 0.1;

    /// <summary>The moment of renewal. Time before the certificate was received, such as its backdating, does not count as life.</summary>
    /// <param name="validity">The certificate's own dates.</param>
    /// <param name="receivedAt">When it was received.</param>
    /// <param name="chance">A number in [0, 1), drawn once per certificate.</param>
    public static DateTimeOffset DueAt(Validity validity, DateTimeOffset receivedAt, double chance)
    {
        var begin = receivedAt > validity.NotBefore ? receivedAt : validity.NotBefore;
        return begin + ((validity.NotAfter - begin) * (Middle * (1 + (Spread * ((2 * chance) - 1)))));
    }

    /// <summary>
    /// The lifetime that is granted: what was asked for (or the default), but never beyond the issuer, who must outlive what it signed
    /// (RFC 5280 §6.1 would refuse the path from that moment on).
    /// </summary>
    /// <param name="wanted">The lifetime asked for, from now.</param>
    /// <param name="backdate">How far notBefore lies in the past, against clocks that are behind.</param>
    /// <param name="issuer">The issuing certificate's dates.</param>
    /// <param name="now">The present.</param>
    public static Validity Granted(TimeSpan wanted, TimeSpan backdate, Validity issuer, DateTimeOffset now)
    {
        var notBefore = now - backdate;
        var notAfter = now + wanted;
        return new Validity(
            notBefore < issuer.NotBefore ? issuer.NotBefore : notBefore,
            notAfter > issuer.NotAfter ? issuer.NotAfter : notAfter);
    }
}
