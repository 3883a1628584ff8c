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
            ExtensionProviders = [.. mesh.Items("extensionProviders").Take(MaxProviders).Select(item => ReadProvider(item, problems)).OfType<ExtensionProvider>()],
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

    // Of all extension providers only external authorisers answer for CUSTOM policies; one that does not say what it is counts as one.
    private static ExtensionProvider? ReadProvider(YamlNode node, ProblemList problems)
    {
        if (node is not YamlMapping mapping || mapping["name"] is not YamlScalar { IsNull: false, Value: { Length: > 0 } name })
        {
            problems.Error(node.Line, PolicyCodes.BadValue, "extensionProviders has an entry without a name");
            return null;
        }

        var kinds = mapping.Fields.Where(field => field.Key != "name").ToList();
        var authorisers = kinds.FindAll(field => field.Key is "envoyExtAuthzHttp" or "envoyExtAuthzGrpc");
        if (kinds.Count > 0 && authorisers.Count == 0)
        {
            return null;
        }

        return new ExtensionProvider(name, authorisers.Exists(field => field.Value is YamlMapping settings && settings["failOpen"] is YamlScalar { Plain: true, Value: "true" }));
    }
}
