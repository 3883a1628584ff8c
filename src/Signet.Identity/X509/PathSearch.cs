using System.Runtime.CompilerServices;
using Signet.Identity.X509.Revocation;

namespace Signet.Identity.X509;

/// <summary>
/// One search, depth first from the leaf upwards (RFC 4158 §2.4): anchors before intermediates, matching key identifiers before others.
/// Signatures are checked once per certificate and key, however many certificates of an issuer carry that key. Lives for one question on one thread.
/// </summary>
internal sealed class PathSearch(PathRequest request)
{
    /// <summary>How far an attempt came; the furthest one tells the operator most.</summary>
    private enum Progress
    {
        NoIssuer,
        IssuerRefused,
        PathRefused,
        OutOfBounds,
    }

    private readonly Dictionary<(object Signed, ReadOnlyMemory<byte> Key), bool> _signatures = new(ByKey.Instance);
    private readonly List<Certificate> _path = [request.Leaf];
    private (Progress Progress, PathFinding Finding)? _best;
    private int _steps;
    private bool _isExhausted;

    public PathVerdict Run()
    {
        if (Extend())
        {
            return new PathVerdict
            {
                Problem = PathProblem.None,
                Reason = "",
                Path = _path,
                ExpiresAt = EndOf(_path),
            };
        }

        var finding = _best?.Finding ?? PathFinding.UnknownAuthority(request.Leaf);
        return PathValidator.Refusal(finding.Problem, finding.Reason);
    }

    /// <summary>The earliest end of a certificate, or of a revocation list that spoke for one.</summary>
    private DateTimeOffset EndOf(List<Certificate> path) => path.Select(c => c.NotAfter)
        .Concat(request.Crls.Where(l => l.NextUpdate >= request.At && path.Exists(c => c.SubjectName.Equals(l.IssuerName))).Select(l => l.NextUpdate))
        .Min();

    private bool Extend()
    {
        var child = _path[^1];
        foreach (var (issuer, isAnchor) in IssuersOf(child))
        {
            if (_isExhausted || !MayStep())
            {
                return false;
            }

            // A path that meets the same name and key again is a loop: it proves nothing that the shorter one does not (RFC 4158 §2.4.2).
            if (_path.Exists(c => IsSameEntity(c, issuer)))
            {
                continue;
            }

            if (!isAnchor && _path.Skip(1).Count(c => !c.IsSelfIssued) + (issuer.IsSelfIssued ? 0 : 1) > request.MaxIntermediates)
            {
                Note(Progress.IssuerRefused, new(PathProblem.PathLength, $"the path from {request.Leaf} to a root has more than {request.MaxIntermediates} intermediates"));
                continue;
            }

            if (PathRules.CheckIssuer(issuer, child, request) is { } refusal)
            {
                Note(Progress.IssuerRefused, refusal);
                continue;
            }

            if (!IsSigned(child, issuer))
            {
                continue;
            }

            _path.Add(issuer);
            if (isAnchor ? IsComplete() : Extend())
            {
                return true;
            }

            _path.RemoveAt(_path.Count - 1);
        }

        return false;
    }

    private bool IsComplete()
    {
        if (PathRules.CheckPath(_path, request, IsListSigned) is not { } refusal)
        {
            return true;
        }

        if (refusal.Problem == PathProblem.TooComplex)
        {
            Exhaust(refusal.Reason);
        }

        Note(Progress.PathRefused, refusal);
        return false;
    }

    private IEnumerable<(Certificate Issuer, bool IsAnchor)> IssuersOf(Certificate child)
    {
        var isFound = false;
        for (var likely = true; ; likely = false)
        {
            foreach (var root in request.Roots)
            {
                if (root.SubjectName.Equals(child.IssuerName) && IsLikely(root, child) == likely)
                {
                    isFound = true;
                    yield return (root, true);
                }
            }

            foreach (var intermediate in request.Intermediates)
            {
                if (intermediate.SubjectName.Equals(child.IssuerName) && IsLikely(intermediate, child) == likely)
                {
                    isFound = true;
                    yield return (intermediate, false);
                }
            }

            if (!likely)
            {
                break;
            }
        }

        if (!isFound)
        {
            Note(Progress.NoIssuer, PathFinding.UnknownAuthority(child));
        }
    }

    private bool IsSigned(Certificate child, Certificate issuer)
    {
        var isSigned = IsSigned(child, issuer, static (c, i) => c.IsSignedBy(i));
        if (!isSigned && !_isExhausted)
        {
            // Another key under the issuer's name is no forgery yet, but an authority that nobody here knows.
            var isLikely = IsLikely(issuer, child);
            Note(isLikely ? Progress.IssuerRefused : Progress.NoIssuer, isLikely
                ? new(PathProblem.BadSignature, $"the signature of {child} was not made by the key of {issuer}")
                : PathFinding.UnknownAuthority(child));
        }

        return isSigned;
    }

    private bool IsListSigned(CertificateRevocationList list, Certificate issuer) => IsSigned(list, issuer, static (l, i) => l.IsSignedBy(i));

    /// <summary>Checks each pair of signed thing and key once, and no more pairs than the limit.</summary>
    private bool IsSigned<T>(T signed, Certificate issuer, Func<T, Certificate, bool> check)
        where T : class
    {
        if (_signatures.TryGetValue((signed, issuer.SubjectPublicKeyInfo), out var isSigned))
        {
            return isSigned;
        }

        if (_signatures.Count == PathValidator.MaxSignatureChecks)
        {
            Exhaust($"finding a path took more than {PathValidator.MaxSignatureChecks} signature checks");
            return false;
        }

        isSigned = check(signed, issuer);
        _signatures.Add((signed, issuer.SubjectPublicKeyInfo), isSigned);
        return isSigned;
    }

    private bool MayStep()
    {
        if (++_steps > PathValidator.MaxSteps)
        {
            Exhaust($"finding a path took more than {PathValidator.MaxSteps} steps");
        }

        return !_isExhausted;
    }

    private void Exhaust(string reason)
    {
        _isExhausted = true;
        Note(Progress.OutOfBounds, new(PathProblem.TooComplex, reason));
    }

    private void Note(Progress progress, PathFinding finding)
    {
        if (_best is null || progress > _best.Value.Progress)
        {
            _best = (progress, finding);
        }
    }

    // RFC 5280 §4.2.1.1: key identifiers help to choose; they are hints, and signatures decide.
    private static bool IsLikely(Certificate issuer, Certificate child) =>
        child.AuthorityKeyId.IsEmpty || issuer.SubjectKeyIdentifier.IsEmpty || child.AuthorityKeyId.Span.SequenceEqual(issuer.SubjectKeyIdentifier.Span);

    private static bool IsSameEntity(Certificate a, Certificate b) =>
        a.SubjectPublicKeyInfo.Span.SequenceEqual(b.SubjectPublicKeyInfo.Span) && a.SubjectName.Equals(b.SubjectName);

    private sealed class ByKey : IEqualityComparer<(object Signed, ReadOnlyMemory<byte> Key)>
    {
        private const int Enough = 16;

        public static readonly ByKey Instance = new();

        public bool Equals((object Signed, ReadOnlyMemory<byte> Key) x, (object Signed, ReadOnlyMemory<byte> Key) y) =>
            ReferenceEquals(x.Signed, y.Signed) && x.Key.Span.SequenceEqual(y.Key.Span);

        public int GetHashCode((object Signed, ReadOnlyMemory<byte> Key) pair)
        {
            var hash = default(HashCode);
            hash.Add(RuntimeHelpers.GetHashCode(pair.Signed));
            hash.AddBytes(pair.Key.Span[^Math.Min(Enough, pair.Key.Length)..]);
            return hash.ToHashCode();
        }
    }
}

/// <summary>A rule that does not hold, and the sentence that says so.</summary>
internal sealed record PathFinding(PathProblem Problem, string Reason)
{
    public static PathFinding UnknownAuthority(Certificate certificate) =>
        new(PathProblem.UnknownAuthority, $"{certificate} was issued by \"{certificate.Issuer}\", which is not among the trusted authorities");
}
