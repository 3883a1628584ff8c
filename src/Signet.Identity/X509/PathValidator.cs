namespace Signet.Identity.X509;

/// <summary>
/// Finds a path from a leaf to a trust anchor and checks it by RFC 5280 §6.1, plus the rules of the request's profile. Pure: no clock, no
/// network, no store. Thread-safe. Work is bounded: the limits are below, and running into one is a refusal.
/// </summary>
public static class PathValidator
{
    /// <summary>How many signatures one question may check.</summary>
    public const int MaxSignatureChecks = 128;

    /// <summary>How many steps (a certificate tried as the issuer of another) one question may take.</summary>
    public const int MaxSteps = 20_000;

    /// <summary>How many certificates (leaf, intermediates and roots) one question may bring.</summary>
    public const int MaxCertificates = 10_000;

    /// <summary>The first path that holds; otherwise the reason of the attempt that came furthest.</summary>
    public static PathVerdict Validate(PathRequest request)
    {
        if (request.Intermediates.Count + request.Roots.Count >= MaxCertificates)
        {
            return Refusal(PathProblem.TooComplex, $"more than {MaxCertificates} certificates were given");
        }

        return new PathSearch(request).Run();
    }

    internal static PathVerdict Refusal(PathProblem problem, string reason) => new() { Problem = problem, Reason = reason };
}
