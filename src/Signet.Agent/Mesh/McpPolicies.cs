using System.Collections.Immutable;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Signet.Hosting.Distribution;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Istio.Mcp;
using Signet.Rpc.Wire.Istio.Networking;
using Signet.Rpc.Wire.Istio.Security;

namespace Signet.Agent.Mesh;

/// <summary>
/// Policies that a source of MCP tells of, as proxies get them. Nothing is passed on before every kind was told once: some of the policies may allow what all of them do not. Called from
/// one task.
/// </summary>
internal sealed class McpPolicies(MeshHolder held, TimeProvider time)
{
    /// <summary>Istio's default; by MCP nobody says another.</summary>
    private const string RootNamespace = "istio-system";

    private static readonly JsonFormatter Json = new(new JsonFormatter.Settings(formatDefaultValues: false));
    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Dictionary<string, ImmutableDictionary<string, MeshDocument>> _told = new(StringComparer.Ordinal);

    /// <summary>The collections, and what is in them.</summary>
    public static IReadOnlyDictionary<string, MessageDescriptor> Collections { get; } = new Dictionary<string, MessageDescriptor>(StringComparer.Ordinal)
    {
        ["istio/security/v1beta1/peerauthentications"] = PeerAuthentication.Descriptor,
        ["istio/security/v1beta1/authorizationpolicies"] = AuthorizationPolicy.Descriptor,
        ["istio/security/v1beta1/requestauthentications"] = RequestAuthentication.Descriptor,
        ["istio/networking/v1alpha3/destinationrules"] = DestinationRule.Descriptor,
    };

    /// <summary>Takes all of a message or nothing.</summary>
    /// <returns>Why not; null when it was taken.</returns>
    public string? Take(string collection, McpMessage message)
    {
        if (message.IsIncremental)
        {
            return "a difference, where the whole collection was asked for";
        }

        var kind = Collections[collection];
        var documents = ImmutableDictionary.CreateBuilder<string, MeshDocument>(StringComparer.Ordinal);
        foreach (var resource in message.Resources)
        {
            if (Read(resource, kind, out var problem) is not { } document)
            {
                return problem;
            }

            documents[document.Name] = document;
        }

        var told = new Dictionary<string, ImmutableDictionary<string, MeshDocument>>(_told, StringComparer.Ordinal) { [collection] = documents.ToImmutable() };
        var all = told.Values.SelectMany(one => one).ToImmutableDictionary(StringComparer.Ordinal);
        if (MeshSnapshot.ProblemOf([.. all.Values]) is { } tooMuch)
        {
            return tooMuch;
        }

        _told[collection] = told[collection];
        if (_told.Count == Collections.Count)
        {
            held.Take(new MeshSnapshot(Math.Max((held.Current.Snapshot?.Revision ?? 0) + 1, (ulong)time.GetUtcNow().ToUnixTimeMilliseconds()), all));
        }

        return null;
    }

    private static MeshDocument? Read(Resource? resource, MessageDescriptor kind, out string problem)
    {
        var name = resource?.Metadata?.Name ?? "";
        problem = $"{Printable.Of(name)} is not called NAMESPACE/NAME";
        if (name.Split('/') is not [{ Length: > 0 } ns, { Length: > 0 } own] || name.Length > MeshDocument.MaxName / 2)
        {
            return null;
        }

        problem = $"{Printable.Of(name)} is of type \"{Printable.Of(resource!.Body?.TypeUrl)}\"; {kind.FullName} was expected";
        if (resource.Body?.Is(kind) != true)
        {
            return null;
        }

        IMessage spec;
        try
        {
            spec = kind.Parser.ParseFrom(resource.Body.Value);
        }
        catch (InvalidProtocolBufferException)
        {
            problem = $"{Printable.Of(name)} does not read as {kind.FullName}";
            return null;
        }

        var text = new JsonObject
        {
            ["apiVersion"] = $"{(kind.File.Package.Contains("security", StringComparison.Ordinal) ? "security" : "networking")}.istio.io/v1",
            ["kind"] = kind.Name,
            ["metadata"] = MetadataOf(resource.Metadata!, ns, own),
            ["spec"] = WithModes(JsonNode.Parse(Json.Format(spec))!),
        }.ToJsonString(Plain);
        problem = "";
        return new MeshDocument(MeshDocument.NameOf(kind.Name, ns, own), kind.Name, ns, IsForEverybody(spec, ns), text);
    }

    private static JsonObject MetadataOf(Metadata metadata, string ns, string name)
    {
        var json = new JsonObject { ["name"] = name, ["namespace"] = ns };
        if (metadata.CreateTime is { } created)
        {
            // The oldest of several counts, so it must not be lost.
            json["creationTimestamp"] = JsonNode.Parse(Json.Format(created));
        }

        if (metadata.Annotations.Count > 0)
        {
            json["annotations"] = new JsonObject(metadata.Annotations.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value)));
        }

        return json;
    }

    // On the wire DISABLE, being zero, is the absence of a mode; written down, an absent mode would be a mistake.
    private static JsonNode WithModes(JsonNode node)
    {
        if (node is JsonObject map)
        {
            if (map["tls"] is JsonObject tls && tls["mode"] is null)
            {
                tls["mode"] = "DISABLE";
            }

            foreach (var (_, below) in map)
            {
                WithModes(below ?? new JsonObject());
            }
        }
        else if (node is JsonArray list)
        {
            foreach (var item in list)
            {
                WithModes(item ?? new JsonObject());
            }
        }

        return node;
    }

    private static bool IsForEverybody(IMessage spec, string ns) =>
        spec is DestinationRule rule ? rule.WorkloadSelector is null && (rule.ExportTo.Count == 0 || rule.ExportTo.Any(to => to != "." && to != ns)) : ns == RootNamespace;
}
