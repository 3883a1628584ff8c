using System.Globalization;
using Signet.Identity.Spiffe;
using Signet.Policy.Reading;
using Signet.Policy.Yaml;

namespace Signet.Policy.Inputs;

/// <summary>Reads mesh settings: fields of Istio's MeshConfig at the top level. Those that say nothing about policy are passed over.</summary>
public static class MeshFile
{
    private const int MaxProviders = 1024;

    private static readonly string[] Used = ["rootNamespace", "trustDomain", "trustDomainAliases", "pathNormalization", "extensionProviders", "enableAutoMtls"];

    private static readonly string[] PassedOver =
    [
        "proxyListenPort", "proxyInboundListenPort", "proxyHttpPort", "connectTimeout", "tcpKeepalive", "ingressClass", "ingressService", "ingressControllerMode", "ingressSelector",
        "enableTracing", "accessLogFile", "accessLogFormat", "accessLogEncoding", "enableEnvoyAccessLogService", "disableEnvoyListenerLog", "defaultConfig", "outboundTrafficPolicy",
        "inboundTrafficPolicy", "configSources", "caCertificates", "defaultServiceExportTo", "defaultVirtualServiceExportTo", "defaultDestinationRuleExportTo", "localityLbSetting",
        "dnsRefreshRate", "h2UpgradePolicy", "inboundClusterStatName", "outboundClusterStatName", "certificates", "thriftConfig", "serviceSettings", "enablePrometheusMerge",
        "verifyCertificateAtClient", "ca", "defaultProviders", "discoverySelectors", "defaultHttpRetryPolicy", "meshMTLS", "tlsDefaults", "protocolDetectionTimeout", "serviceScopeConfigs",
    ];

    public static Input<MeshSettings> Read(PolicyText text) => InputReader.ReadOne(text, (node, problems) =>
    {
        if (Fields.Open(node, "", problems, [.. Used, .. PassedOver]) is not { } mesh)
        {
            return null;
        }

        var settings = MeshSettings.Default;
        return settings with
        {
            RootNamespace = mesh.Text("rootNamespace") ?? settings.RootNamespace,
            TrustDomain = mesh.Text("trustDomain") ?? settings.TrustDomain,
            TrustDomainAliases = [.. mesh.Texts("trustDomainAliases").Select(item => item.Value)],
            PathNormalization = ReadNormalization(mesh),
            ExtensionProviders = ReadProviders(mesh, problems),
            EnableAutoMtls = !mesh.Has("enableAutoMtls") || mesh.Flag("enableAutoMtls"),
        };
    });

    private static PathNormalization ReadNormalization(Fields mesh)
    {
        var owner = mesh.Node("pathNormalization") is YamlMapping ? mesh.Open("pathNormalization", "normalization") : mesh;
        return owner?.Word(owner == mesh ? "pathNormalization" : "normalization", "DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES") switch
        {
            "NONE" => PathNormalization.None,
            "MERGE_SLASHES" => PathNormalization.MergeSlashes,
            "DECODE_AND_MERGE_SLASHES" => PathNormalization.DecodeAndMergeSlashes,
            _ => PathNormalization.Base,
        };
    }

    private static IReadOnlyList<ExtensionProvider> ReadProviders(Fields mesh, ProblemList problems)
    {
        var items = mesh.Items("extensionProviders");
        if (items.Count > MaxProviders)
        {
            problems.Error(mesh.LineOf("extensionProviders"), PolicyCodes.BadValue, $"extensionProviders has {items.Count} items; the limit is {MaxProviders}");
        }

        var providers = new List<ExtensionProvider>();
        foreach (var (index, item) in items.Take(MaxProviders).Index())
        {
            if (ProviderReader.Read(item, string.Create(CultureInfo.InvariantCulture, $"extensionProviders[{index}]"), problems) is not { } provider)
            {
                continue;
            }

            if (providers.Exists(other => other.Name == provider.Name))
            {
                problems.Error(item.Line, PolicyCodes.BadValue, $"extensionProviders[{index}] has the name \"{Printable.Of(provider.Name)}\", which another one has", "names are unique");
            }

            providers.Add(provider);
        }

        return providers;
    }
}
