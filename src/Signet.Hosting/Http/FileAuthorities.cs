using Signet.Hosting.Files;
using Signet.Identity.X509;

namespace Signet.Hosting.Http;

/// <summary>Judges the certificates of a server by the authorities in a file, which is read anew for each connection because others replace it. The file may hold the server's own certificate instead. Thread-safe.</summary>
/// <param name="path">PEM file.</param>
/// <param name="name">The name that the certificate must have; null for none in particular.</param>
/// <param name="time">The clock.</param>
public sealed class FileAuthorities(string path, string? name, TimeProvider time)
{
    private volatile string _problem = "";

    /// <summary>Why the last certificate was refused; empty when it was not.</summary>
    public string Problem => _problem;

    /// <summary>Whether a server is believed.</summary>
    /// <param name="presented">Its certificates, its own first.</param>
    /// <param name="problem">Why they could not be read; empty when they could.</param>
    public bool Judge(IReadOnlyList<Certificate> presented, string problem)
    {
        _problem = problem.Length > 0 ? problem : presented.Count == 0 ? "it presented no certificate" : ProblemOf(presented);
        return _problem.Length == 0;
    }

    private string ProblemOf(IReadOnlyList<Certificate> presented)
    {
        try
        {
            var (leaf, now) = (presented[0], time.GetUtcNow());
            if (!Pem.TryReadCertificates(FileSet.Of(path).Read()[0].Text, out var roots, out var problem))
            {
                return $"{path}: {problem}";
            }

            var isKnown = roots.Any(root => root.Der.Span.SequenceEqual(leaf.Der.Span)) && leaf.NotBefore <= now && now < leaf.NotAfter;
            return isKnown ? "" : PathValidator.Validate(new PathRequest
            {
                Leaf = leaf,
                Intermediates = [.. presented.Skip(1)],
                Roots = roots,
                At = now,
                Profile = PathProfile.Rfc5280,
                Usage = CertificateUsage.Server,
                DnsName = name,
            }).Reason;
        }
        catch (PlaceException e)
        {
            return e.Message;
        }
    }
}
