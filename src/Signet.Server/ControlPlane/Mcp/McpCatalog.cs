using System.Collections.Frozen;
using System.Collections.Immutable;
using Google.Protobuf.Reflection;
using Signet.Rpc.Wire.Istio.Networking;
using Signet.Rpc.Wire.Istio.Security;

namespace Signet.Server.ControlPlane.Mcp;

/// <summary>A collection of MCP: objects of one kind.</summary>
/// <param name="Name">As in the protocol's own examples.</param>
/// <param name="Kind">The kind of its objects.</param>
/// <param name="Body">What an object's <c>spec</c> is on the wire; null for pods, which are whole objects.</param>
internal sealed record McpCollection(string Name, string Kind, MessageDescriptor? Body);

/// <summary>The collections that are served, and every way in which sinks write their names.</summary>
internal static class McpCatalog
{
    public static readonly McpCollection Pods = new("k8s/core/v1/pods", "Pod", null);

    private static readonly ImmutableArray<(string Group, string[] Versions, string Plural, McpCollection Collection)> Istio =
    [
        ("security", ["v1beta1", "v1"], "peerauthentications", new("istio/security/v1beta1/peerauthentications", "PeerAuthentication", PeerAuthentication.Descriptor)),
        ("security", ["v1beta1", "v1"], "authorizationpolicies", new("istio/security/v1beta1/authorizationpolicies", "AuthorizationPolicy", AuthorizationPolicy.Descriptor)),
        ("security", ["v1beta1", "v1"], "requestauthentications", new("istio/security/v1beta1/requestauthentications", "RequestAuthentication", RequestAuthentication.Descriptor)),
        ("networking", ["v1alpha3", "v1beta1", "v1"], "destinationrules", new("istio/networking/v1alpha3/destinationrules", "DestinationRule", DestinationRule.Descriptor)),
        ("networking", ["v1alpha3", "v1beta1", "v1"], "serviceentries", new("istio/networking/v1alpha3/serviceentries", "ServiceEntry", ServiceEntry.Descriptor)),
    ];

    private static readonly FrozenDictionary<string, McpCollection> Spellings = Istio
        .SelectMany(one => one.Versions.SelectMany(version => new[]
        {
            $"istio/{one.Group}/{version}/{one.Plural}",
            $"istio/{one.Group}/{version}/{one.Collection.Kind}",
            $"{one.Group}.istio.io/{version}/{one.Collection.Kind}",
        }).Select(spelling => KeyValuePair.Create(spelling, one.Collection)))
        .Concat(new[] { Pods.Name, "k8s/core/v1/Pod", "core/v1/Pod", "/v1/Pod", "v1/Pod" }.Select(spelling => KeyValuePair.Create(spelling, Pods)))
        .ToFrozenDictionary(StringComparer.Ordinal);

    public static ImmutableArray<McpCollection> All { get; } = [Pods, .. Istio.Select(one => one.Collection)];

    /// <summary>Null when no such collection is served.</summary>
    public static McpCollection? Find(string spelling) => Spellings.GetValueOrDefault(spelling);
}
