using System.Security.Cryptography;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Signet.Agent.Identities;
using Signet.Agent.WorkloadApi;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using Signet.Rpc.Wire.Envoy.Core;
using Signet.Rpc.Wire.Envoy.Tls;

namespace Signet.Agent.Sds;

/// <summary>
/// The secrets that a workload can ask for by name: <c>default</c> (its first SVID), <c>ROOTCA</c> (its own trust domain's bundle),
/// <c>ALL</c> (every bundle it may use, each for its own trust domain), one of its SPIFFE IDs, or the ID of a trust domain. Pure.
/// </summary>
internal static class SecretCatalog
{
    public const string Default = "default";
    public const string RootCa = "ROOTCA";
    public const string All = "ALL";

    private const int VersionDigits = 16;

    // One sentence for what nobody has and for what somebody else has: a guess learns nothing.
    private static readonly SecretAnswer.Missing NotYours = new(StatusCode.NotFound, "this workload has no secret of that name");

    private static readonly SecretAnswer.Pending Coming = new();

    // Those within the limit are read by the stream.
    private static readonly SecretAnswer.Missing TooManyFiles = new(StatusCode.ResourceExhausted, "there are too many secrets from files on this stream");

    /// <summary>The names that stand for a workload that asks for none by name.</summary>
    public static IEnumerable<string> NamesOf(Entitlement entitlement) =>
        entitlement.Svids.Select(held => held.Svid.Id.Uri).Distinct(StringComparer.Ordinal).Append(RootCa).Append(All);

    /// <summary>What there is under a name that stands for an identity or a bundle; files are read elsewhere.</summary>
    /// <param name="entitlement">What the workload may have.</param>
    /// <param name="text">The name as it was asked for: the secret bears it.</param>
    /// <param name="name">The name understood.</param>
    /// <param name="style">How the client takes authorities.</param>
    /// <param name="now">The time.</param>
    /// <param name="stapleOf">What is stapled with an SVID; null for nothing.</param>
    public static SecretAnswer Find(Entitlement entitlement, string text, SecretName name, ValidatorStyle style, DateTimeOffset now, Func<X509Svid, Staple?> stapleOf)
    {
        var own = entitlement.Snapshot.View.Bundles.Find(entitlement.Matching[0].SpiffeId.TrustDomain);
        return name switch
        {
            SecretName.Default => entitlement.Svids.Count > 0 ? Svid(text, entitlement.Svids[0].Svid, stapleOf) : Coming,
            SecretName.Identity(var id) => entitlement.Svids.FirstOrDefault(held => held.Svid.Id == id) is { } held ? Svid(text, held.Svid, stapleOf)
                : entitlement.Matching.Any(entry => entry.SpiffeId == id) ? Coming
                : NotYours,
            SecretName.FileCertificate or SecretName.FileRoots => TooManyFiles,
            SecretName.Unknown(var problem) => new SecretAnswer.Missing(StatusCode.NotFound, problem),
            _ when own is null => Coming,
            SecretName.RootCa => Context(text, [own], entitlement, style == ValidatorStyle.Spiffe, now),
            SecretName.Bundle(var trustDomain) => Usable(entitlement, own).FirstOrDefault(bundle => bundle.TrustDomain == trustDomain) is { } one
                ? Context(text, [one], entitlement, style == ValidatorStyle.Spiffe, now)
                : NotYours,
            SecretName.All when style == ValidatorStyle.Plain => new SecretAnswer.Missing(
                StatusCode.FailedPrecondition, "in one plain list the authorities of each trust domain would speak for every other; use the SPIFFE validator, or ask for trust domains by name"),
            SecretName.All => Context(text, Usable(entitlement, own), entitlement, isSpiffe: true, now),
            _ => NotYours,
        };
    }

    /// <summary>Text as a version: short, and telling nothing of what it was made from.</summary>
    public static string VersionOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..VersionDigits];

    public static DataSource Inline(string pem) => new() { InlineBytes = ByteString.CopyFromUtf8(pem) };

    // Of a trust domain without authorities nobody is believed: proxies refuse a list that names none.
    private static X509Bundle[] Usable(Entitlement entitlement, X509Bundle own) =>
    [
        own, .. entitlement.Matching
            .SelectMany(entry => entry.FederatesWith)
            .Distinct()
            .Where(trustDomain => trustDomain != own.TrustDomain)
            .Select(entitlement.Snapshot.View.Bundles.Find)
            .OfType<X509Bundle>()
            .Where(bundle => bundle.Authorities.Count > 0),
    ];

    private static SecretAnswer.Found Svid(string name, X509Svid svid, Func<X509Svid, Staple?> stapleOf)
    {
        var staple = stapleOf(svid);
        var version = VersionOf(staple is null ? svid.Leaf.Fingerprint : $"{svid.Leaf.Fingerprint}\n{staple.ThisUpdate.ToUnixTimeSeconds()}");
        return new SecretAnswer.Found(version, () =>
        {
            var certificate = new TlsCertificate { CertificateChain = Inline(Pem.Encode(svid.Chain)), PrivateKey = Inline(Pem.EncodePrivateKey(svid.Key)) };
            if (staple is not null)
            {
                certificate.OcspStaple = new DataSource { InlineBytes = UnsafeByteOperations.UnsafeWrap(staple.Der) };
            }

            return new Secret { Name = name, TlsCertificate = certificate };
        });
    }

    private static SecretAnswer.Found Context(string name, X509Bundle[] bundles, Entitlement entitlement, bool isSpiffe, DateTimeOffset now)
    {
        (X509Bundle Bundle, IReadOnlyList<CertificateRevocationList> Lists)[] parts =
        [
            .. bundles.Select(bundle => (bundle, RevocationCoverage.Of(bundle, entitlement.Snapshot.View.Bundles.Crls, entitlement.Snapshot.Held.Values.Select(held => held.Svid), now))),
        ];
        var version = VersionOf(string.Join('\n', parts
            .SelectMany(part => part.Bundle.Authorities.Select(authority => authority.Fingerprint).Prepend(part.Bundle.TrustDomain.Name).Concat(part.Lists.Select(list => $"{list.IssuerName} {list.NumberHex}")))
            .Prepend(isSpiffe ? "spiffe" : "plain")));
        return new SecretAnswer.Found(version, () => new Secret { Name = name, ValidationContext = isSpiffe ? Spiffe(parts) : Plain(parts[0].Bundle, parts[0].Lists) });
    }

    private static CertificateValidationContext Plain(X509Bundle bundle, IReadOnlyList<CertificateRevocationList> lists)
    {
        var context = new CertificateValidationContext { TrustedCa = Inline(bundle.ToPem()) };
        if (lists.Count > 0)
        {
            context.Crl = Inline(ToPem(lists));
        }

        return context;
    }

    // Each authority counts for its own trust domain only, which a plain list of authorities could not say. This validator reads lists beside authorities.
    private static CertificateValidationContext Spiffe(IEnumerable<(X509Bundle Bundle, IReadOnlyList<CertificateRevocationList> Lists)> parts)
    {
        var validator = new SPIFFECertValidatorConfig();
        validator.TrustDomains.AddRange(parts.Select(part => new SPIFFECertValidatorConfig.Types.TrustDomain
        {
            Name = part.Bundle.TrustDomain.Name,
            TrustBundle = Inline(part.Bundle.ToPem() + ToPem(part.Lists)),
        }));
        return new CertificateValidationContext
        {
            CustomValidatorConfig = new TypedExtensionConfig { Name = ValidatorStyles.SpiffeValidator, TypedConfig = Any.Pack(validator) },
        };
    }

    private static string ToPem(IEnumerable<CertificateRevocationList> lists) => string.Concat(lists.Select(list => list.ToPem()));
}
