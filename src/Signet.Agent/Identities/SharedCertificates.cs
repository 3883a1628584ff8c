using Signet.Identity.X509;

namespace Signet.Agent.Identities;

/// <summary>Keeps each certificate of an issuer once, however many chains it stands in. Thread-safe.</summary>
internal sealed class SharedCertificates
{
    /// <summary>A server has few issuers at a time; of more, the one that came first is let go.</summary>
    private const int Max = 64;

    private readonly Lock _gate = new();
    private readonly List<Certificate> _kept = [];

    /// <summary>The chain with the certificates above the leaf that are already there.</summary>
    public IReadOnlyList<Certificate> Share(IReadOnlyList<Certificate> chain) => [.. chain.Select((certificate, place) => place == 0 ? certificate : Share(certificate))];

    private Certificate Share(Certificate certificate)
    {
        lock (_gate)
        {
            if (_kept.Find(certificate.Equals) is { } same)
            {
                return same;
            }

            if (_kept.Count == Max)
            {
                _kept.RemoveAt(0);
            }

            _kept.Add(certificate);
            return certificate;
        }
    }
}
