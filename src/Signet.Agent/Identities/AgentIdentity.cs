using System.Collections.Immutable;
using System.Text;
using Signet.Client.Tls;
using Signet.Hosting.Files;
using Signet.Identity.Registration;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;

namespace Signet.Agent.Identities;

/// <summary>
/// Who this agent is and whom it trusts. Both survive a restart: the SVID with its key in one private file, so that they never part, and
/// the newest bundle beside it. One owner writes the SVID; any number read.
/// </summary>
internal sealed class AgentIdentity
{
    private const int MaxFileBytes = 1024 * 1024;

    private readonly string _identityFile;
    private readonly string _bundleFile;
    private readonly Lock _gate = new();
    private readonly RenewalRule _renewal;
    private readonly Func<double> _chance;
    private TlsCredential? _credential;
    private TrustBundles _bundles;
    private long _renewAt;

    private AgentIdentity(TrustDomain trustDomain, string folder, TrustBundles bundles, TlsCredential? credential, RenewalRule renewal, Func<double> chance)
    {
        TrustDomain = trustDomain;
        _identityFile = Path.Combine(folder, "identity.pem");
        _bundleFile = Path.Combine(folder, "bundle.pem");
        _bundles = bundles;
        (_renewal, _chance) = (renewal, chance);
        if (credential is not null)
        {
            Use(credential, credential.Svid.NotBefore);
        }
    }

    public TrustDomain TrustDomain { get; }

    /// <summary>What the agent presents to the server; null before it has joined.</summary>
    public TlsCredential? Credential => Volatile.Read(ref _credential);

    public TrustBundles Bundles => Volatile.Read(ref _bundles);

    /// <summary>What the operator may give when nothing that is known proves the server any more; null for nothing.</summary>
    public Bootstrap? Bootstrap { get; set; }

    /// <summary>Whether there is an SVID that the server would accept at this time.</summary>
    public bool IsValid(DateTimeOffset now) => Credential?.Svid.Validity.Covers(now) == true;

    /// <summary>When the SVID is to be renewed.</summary>
    public DateTimeOffset RenewAt
    {
        get => new(Interlocked.Read(ref _renewAt), TimeSpan.Zero);
        private set => Interlocked.Exchange(ref _renewAt, value.UtcTicks);
    }

    /// <summary>Resumes from the folder; a saved bundle is newer than the one the operator gave at the first start.</summary>
    /// <param name="bootstrap">The bundle the operator gave; may be null when one was saved before.</param>
    /// <param name="renewal">When the agent's own SVID is renewed.</param>
    /// <param name="problem">Why the agent cannot begin, when the answer is null.</param>
    public static AgentIdentity? TryLoad(
        TrustDomain trustDomain, string folder, IReadOnlyList<Certificate>? bootstrap, RenewalRule renewal, Func<double> chance, out string problem)
    {
        var saved = ReadText(Path.Combine(folder, "bundle.pem"));
        var anchors = bootstrap;
        if (saved is not null && !Pem.TryReadCertificates(saved, out anchors, out problem))
        {
            problem = $"{Path.Combine(folder, "bundle.pem")}: {problem}; remove the file to start again from the bootstrap bundle";
            return null;
        }

        if (anchors is null)
        {
            problem = "the agent has no trust bundle yet; give it one: bootstrap: {bundle: /path/to/bundle.pem} (from: signet bundle show)";
            return null;
        }

        // A file without lists has none; one with a broken list is a broken file.
        IReadOnlyList<CertificateRevocationList> crls = [];
        problem = "";
        if (saved?.Contains(CertificateRevocationList.PemLabel, StringComparison.Ordinal) == true && !CertificateRevocationList.TryReadPem(saved, out crls, out problem))
        {
            problem = $"{Path.Combine(folder, "bundle.pem")}: {problem}; remove the file to start again from the bootstrap bundle";
            return null;
        }

        var bundles = TrustBundles.Of(X509Bundle.Create(trustDomain, anchors, sequence: null, refreshHint: null)).WithCrls(crls);
        return new AgentIdentity(trustDomain, folder, bundles, LoadCredential(trustDomain, folder), renewal, chance);
    }

    /// <summary>Takes over a new SVID, in use and on the disk.</summary>
    /// <exception cref="IOException">It cannot be kept; it is in use all the same, but a restart would need a new way to join.</exception>
    public void Accept(X509Svid svid, DateTimeOffset now)
    {
        Use(new TlsCredential(svid), now);
        PrivateFile.WriteAtomically(_identityFile, Encoding.ASCII.GetBytes(Pem.EncodePrivateKey(svid.Key) + Pem.Encode(svid.Chain)));
    }

    /// <summary>Brings the renewal of the SVID forward when a superseded authority signed it.</summary>
    /// <returns>Whether it has.</returns>
    public bool ReplaceIfSuperseded(IReadOnlySet<string> superseded, DateTimeOffset now)
    {
        if (Credential?.Svid.Issuer is not { } issuer || !superseded.Contains(issuer.SerialHex) || RenewAt <= now + SvidPlan.ReplaceWithin)
        {
            return false;
        }

        RenewAt = now + (SvidPlan.ReplaceWithin * _chance());
        return true;
    }

    /// <summary>The server no longer knows this agent: what it showed is worth nothing, and it must join again; unless it has another SVID by now.</summary>
    /// <param name="shown">What the agent presented when the server said so.</param>
    public void Forget(TlsCredential shown) => Interlocked.CompareExchange(ref _credential, null, shown);

    /// <summary>Takes over a new bundle of the own trust domain, and what its authorities revoked.</summary>
    /// <exception cref="IOException">It cannot be kept; the old one stays in use.</exception>
    public void Accept(X509Bundle bundle, IReadOnlyList<CertificateRevocationList> crls)
    {
        lock (_gate)
        {
            var next = Bundles.With(bundle).WithCrls(crls);
            if (bundle.Authorities.Count > 0 && !next.Equals(Bundles))
            {
                PrivateFile.WriteAtomically(_bundleFile, Encoding.ASCII.GetBytes(bundle.ToPem() + string.Concat(crls.Select(list => list.ToPem()))));
                Volatile.Write(ref _bundles, next);
            }
        }
    }

    /// <summary>Begins anew with anchors that the operator gave since, if they prove the server. The own SVID goes if it does not stand on them.</summary>
    /// <param name="server">The chain that the server presents.</param>
    /// <param name="now">The time.</param>
    /// <exception cref="IOException">It cannot be kept.</exception>
    public void BeginAnewIfProven(IReadOnlyList<Certificate> server, DateTimeOffset now)
    {
        lock (_gate)
        {
            Bootstrap?.Offer(anchors =>
            {
                var bundle = X509Bundle.Create(TrustDomain, anchors);
                var verdict = SvidVerifier.Verify(server, TrustBundles.Of(bundle), CertificateUsage.Server, now);
                if (!verdict.IsTrusted || verdict.Id != ReservedIds.Server(TrustDomain))
                {
                    return false;
                }

                Accept(bundle, []);
                if (Credential is { } own && !SvidVerifier.Verify(own.Svid.Chain, Bundles, CertificateUsage.Client, now).IsTrusted)
                {
                    Forget(own);
                }

                return true;
            });
        }
    }

    private void Use(TlsCredential credential, DateTimeOffset receivedAt)
    {
        RenewAt = _renewal.DueAt(credential.Svid.Validity, receivedAt, _chance());
        Volatile.Write(ref _credential, credential);
    }

    // A damaged identity file, or one of another trust domain, is no reason to stop: the agent joins again.
    private static TlsCredential? LoadCredential(TrustDomain trustDomain, string folder) =>
        ReadText(Path.Combine(folder, "identity.pem")) is { } text
        && Pem.TryReadPrivateKey(text, out var key, out _)
        && Pem.TryReadCertificates(text, out var chain, out _)
        && X509Svid.TryCreate(chain, key, hint: null, out var svid, out _)
        && svid.Id.IsMemberOf(trustDomain)
        && TlsCredential.CanPresent(svid, out _)
            ? new TlsCredential(svid)
            : null;

    private static string? ReadText(string path) =>
        File.Exists(path) && new FileInfo(path).Length <= MaxFileBytes ? File.ReadAllText(path) : null;
}
