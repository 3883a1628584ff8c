using Signet.Identity.Jose;
using Signet.Identity.Spiffe;

namespace Signet.Client;

/// <summary>Where the keys of JWT-SVIDs come from and stay fresh. Thread-safe.</summary>
public interface IJwtBundleSource
{
    /// <summary>Why there are no keys, or why the newest could not be received; null when all is well. For operators.</summary>
    string? Problem { get; }

    /// <summary>The newest keys of exactly this trust domain; null when it is not trusted, or nothing is known yet.</summary>
    JwtBundle? Find(TrustDomain trustDomain);
}
