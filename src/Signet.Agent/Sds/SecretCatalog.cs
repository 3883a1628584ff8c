using System.Diagnostics.CodeAnalysis;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Signet.Agent.Identities;
using Signet.Agent.WorkloadApi;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
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

    private const string SpiffeValidator = "envoy.tls.cert_validator.spiffe";

    /// <summary>The names that stand for a workload that asks for none by name.</summary>
    public static IEnumerable<string> NamesOf(Entitlement entitlement) => entitlement.Svids.Select(held => held.Svid.Id.Uri).Append(RootCa).Append(All);

    /// <summary>The secret under a name, with a text that changes exactly when its content does.</summary>
    public static bool TryFind(Entitlement entitlement, string name, [NotNullWhen(true)] out Secret? secret, out string fingerprint)
    {
        var bundles = entitlement.Snapshot.View.Bundles;
        var own = bundles.Find(entitlement.Matching[0].SpiffeId.TrustDomain);
        if (name == RootCa && own is not null)
        {
            return Found(name, own, out secret, out fingerprint);
        }

        if (name == All && own is not null)
        {
            return Found(name, Usable(entitlement, own), out secret, out fingerprint);
        }

        if (Svid(entitlement, name) is { } held)
        {
            return Found(name, held, out secret, out fingerprint);
        }

        if (own is not null && TrustDomain.TryParse(name, out var trustDomain, out _)
            && Usable(entitlement, own).FirstOrDefault(bundle => bundle.TrustDomain == trustDomain) is { } federated)
        {
            return Found(name, federated, out secret, out fingerprint);
        }

        (secret, fingerprint) = (null, "");
        return false;
    }

    private static HeldSvid? Svid(Entitlement entitlement, string name) => name == Default
        ? entitlement.Svids.Count > 0 ? entitlement.Svids[0] : null
        : entitlement.Svids.FirstOrDefault(held => held.Svid.Id.Uri == name);

    // Of a trust domain without authorities nobody is believed: proxies refuse a list that names none.
    private static X509Bundle[] Usable(Entitlement entitlement, X509Bundle own) =>
    [
        own, .. entitlement.Matching
            .SelectMany(entry => entry.FederatesWith)
            .Distinct()
            .Select(entitlement.Snapshot.View.Bundles.Find)
            .OfType<X509Bundle>()
            .Where(bundle => bundle.Authorities.Count > 0),
    ];

    private static bool Found(string name, HeldSvid held, out Secret secret, out string fingerprint)
    {
        secret = new Secret
        {
            Name = name,
            TlsCertificate = new TlsCertificate
            {
                CertificateChain = Inline(Pem.Encode(held.Svid.Chain)),
                PrivateKey = Inline(Pem.EncodePrivateKey(held.Svid.Key)),
            },
        };
        fingerprint = held.Svid.Leaf.Fingerprint;
        return true;
    }

    private static bool Found(string name, X509Bundle bundle, out Secret secret, out string fingerprint)
    {
        secret = new Secret { Name = name, ValidationContext = new CertificateValidationContext { TrustedCa = Inline(bundle.ToPem()) } };
        fingerprint = Fingerprint([bundle]);
        return true;
    }

    // Each authority counts for its own trust domain only, which a plain list of authorities could not say.
    private static bool Found(string name, X509Bundle[] bundles, out Secret secret, out string fingerprint)
    {
        var validator = new SPIFFECertValidatorConfig();
        validator.TrustDomains.AddRange(bundles.Select(bundle => new SPIFFECertValidatorConfig.Types.TrustDomain
        {
            Name = bundle.TrustDomain.Name,
            TrustBundle = Inline(bundle.ToPem()),
        }));
        secret = new Secret
        {
            Name = name,
            ValidationContext = new CertificateValidationContext
            {
                CustomValidatorConfig = new TypedExtensionConfig { Name = SpiffeValidator, TypedConfig = Any.Pack(validator) },
            },
        };
        fingerprint = Fingerprint(bundles);
        return true;
    }

    private static string Fingerprint(IEnumerable<X509Bundle> bundles) =>
        string.Join('\n', bundles.Select(bundle => string.Join(',', bundle.Authorities.Select(authority => authority.Fingerprint).Prepend(bundle.TrustDomain.Name))));

    private static DataSource Inline(string pem) => new() { InlineBytes = ByteString.CopyFrom(Encoding.ASCII.GetBytes(pem)) };
}
