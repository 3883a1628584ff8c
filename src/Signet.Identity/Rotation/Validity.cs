namespace Signet.Identity.Rotation;

/// <summary>From when until when a certificate or key may be used, both ends inclusive (RFC 5280 §4.1.2.5).</summary>
public readonly record struct Validity(DateTimeOffset NotBefore, DateTimeOffset NotAfter)
{
    public TimeSpan Lifetime => NotAfter - NotBefore;

    /// <summary>How long it still holds; negative once it has expired.</summary>
    public TimeSpan Remaining(DateTimeOffset now) => NotAfter - now;

    public bool Covers(DateTimeOffset now) => NotBefore <= now && now <= NotAfter;

    public bool HasExpired(DateTimeOffset now) => now > NotAfter;
}
