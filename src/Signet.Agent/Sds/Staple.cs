using System.Diagnostics.CodeAnalysis;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;

namespace Signet.Agent.Sds;

/// <summary>An OCSP response by which a server shows in its handshakes that its certificate is not revoked (RFC 6066 §8).</summary>
/// <param name="Der">The response.</param>
/// <param name="ThisUpdate">From when on it holds.</param>
/// <param name="NextUpdate">Until when.</param>
internal sealed record Staple(ReadOnlyMemory<byte> Der, DateTimeOffset ThisUpdate, DateTimeOffset NextUpdate)
{
    /// <summary>By so much of its life a refresh varies, so that many do not come at once.</summary>
    private const double Jitter = 0.1;

    /// <summary>Takes a response that says of exactly this certificate, with its issuer's signature, that it is good now.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> der, Certificate leaf, Certificate issuer, DateTimeOffset now, [NotNullWhen(true)] out Staple? staple, out string problem)
    {
        staple = null;
        if (!OcspResponse.TryParse(der, out var response, out problem))
        {
            return false;
        }

        var answer = response.Answers.FirstOrDefault(one => one.Certificate.SerialHex == leaf.SerialHex && one.Certificate.IsOf(issuer));
        problem = answer is null ? "it speaks of another certificate"
            : !response.IsSignedBy(issuer) ? "the issuer's key did not sign it"
            : answer.Status is not OcspStatus.Good ? $"it says that the certificate is {answer.Status.GetType().Name.ToLowerInvariant()}"
            : !answer.IsCurrent(now) ? $"it holds from {answer.ThisUpdate:u} to {answer.NextUpdate:u}, but this node's clock says {now:u}"
            : "";
        staple = problem.Length == 0 ? new Staple(response.Der, answer!.ThisUpdate, answer.NextUpdate) : null;
        return staple is not null;
    }

    public bool IsCurrent(DateTimeOffset now) => now >= ThisUpdate && now < NextUpdate;

    /// <summary>When the next one is to be had: at half of its life, give or take.</summary>
    /// <param name="chance">From 0 to 1.</param>
    public DateTimeOffset RefreshAt(double chance) => ThisUpdate + ((NextUpdate - ThisUpdate) * (0.5 + (Jitter * ((2 * chance) - 1))));
}
