using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Signet.Hosting.Http;
using Signet.Identity.Spiffe;

namespace Signet.Server.ControlPlane;

/// <summary>A kind of object that the mesh is made of, and where a cluster lists it. Immutable.</summary>
/// <param name="Path">Of the list, for all namespaces.</param>
/// <param name="ApiVersion">Group and version.</param>
/// <param name="Name">As objects say it.</param>
internal sealed record KubernetesKind(string Path, string ApiVersion, string Name)
{
    private const string LastApplied = "kubectl.kubernetes.io/last-applied-configuration";
    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly string[] Metadata = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp", "labels"];
    private static readonly string[] PodSpec = ["nodeName", "serviceAccountName"];
    private static readonly string[] PodStatus = ["phase", "hostIP", "podIP"];
    private static readonly string[] PodContainer = ["name", "image", "ports"];
    private static readonly string[] PodContainerStatus = ["name", "imageID", "containerID"];

    /// <summary>All that the mesh needs, in the versions that Istio has served longest.</summary>
    public static ImmutableArray<KubernetesKind> All { get; } =
    [
        new("api/v1/pods", "v1", "Pod"),
        new("api/v1/services", "v1", "Service"),
        new("apis/security.istio.io/v1beta1/peerauthentications", "security.istio.io/v1beta1", "PeerAuthentication"),
        new("apis/security.istio.io/v1beta1/authorizationpolicies", "security.istio.io/v1beta1", "AuthorizationPolicy"),
        new("apis/security.istio.io/v1beta1/requestauthentications", "security.istio.io/v1beta1", "RequestAuthentication"),
        new("apis/networking.istio.io/v1beta1/destinationrules", "networking.istio.io/v1beta1", "DestinationRule"),
        new("apis/networking.istio.io/v1beta1/serviceentries", "networking.istio.io/v1beta1", "ServiceEntry"),
    ];

    /// <summary>Its namespace and name, which tell it from all others of its kind.</summary>
    /// <exception cref="JsonApiException">It has none.</exception>
    public string IdOf(JsonElement item)
    {
        var metadata = item.Child("metadata");
        return metadata.Text("name") is { Length: > 0 } name && metadata.Text("namespace") is { Length: > 0 } space
            ? $"{space}/{name}"
            : throw new JsonApiException($"the cluster gave a {Name} without name or namespace");
    }

    /// <summary>
    /// The object with what counts of it, as JSON; empty when it counts for nothing. Of a pod that is where it runs and what it is called; the environment of its containers, where
    /// secrets are, is not kept. A service without selector or ports has no pods behind it.
    /// </summary>
    public string TextOf(JsonElement item)
    {
        var spec = item.Child("spec");
        if (Name == "Service" && (spec.Text("type") == "ExternalName" || !spec.Child("selector").Texts().Any() || !spec.Child("ports").Items().Any()))
        {
            return "";
        }

        var text = new ArrayBufferWriter<byte>();
        try
        {
            using var json = new Utf8JsonWriter(text, Plain);
            json.WriteStartObject();
            json.WriteString("apiVersion", ApiVersion);
            json.WriteString("kind", Name);
            var metadata = item.Child("metadata");
            json.WriteStartObject("metadata");
            Copy(json, metadata, Metadata);
            json.WriteStartObject("annotations");
            foreach (var (name, value) in metadata.Child("annotations").Texts().Where(one => one.Name != LastApplied))
            {
                json.WriteString(name, value);
            }

            json.WriteEndObject();
            json.WriteEndObject();
            if (Name == "Pod")
            {
                WritePod(json, spec, item.Child("status"));
            }
            else
            {
                Copy(json, item, "spec");
            }

            json.WriteEndObject();
        }
        catch (InvalidOperationException e)
        {
            throw new JsonApiException($"the cluster gave a {Name} that is no text: {Printable.Of(e.Message)}");
        }

        return Encoding.UTF8.GetString(text.WrittenSpan);
    }

    private static void WritePod(Utf8JsonWriter json, JsonElement spec, JsonElement status)
    {
        json.WriteStartObject("spec");
        Copy(json, spec, PodSpec);
        CopyEach(json, spec, "containers", PodContainer);
        CopyEach(json, spec, "initContainers", PodContainer);
        json.WriteEndObject();
        json.WriteStartObject("status");
        Copy(json, status, PodStatus);
        CopyEach(json, status, "containerStatuses", PodContainerStatus);
        CopyEach(json, status, "initContainerStatuses", PodContainerStatus);
        json.WriteEndObject();
    }

    private static void CopyEach(Utf8JsonWriter json, JsonElement parent, string list, string[] names)
    {
        json.WriteStartArray(list);
        foreach (var item in parent.Child(list).Items())
        {
            json.WriteStartObject();
            Copy(json, item, names);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Copy(Utf8JsonWriter json, JsonElement from, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (from.Child(name) is { ValueKind: not JsonValueKind.Undefined } value)
            {
                json.WritePropertyName(name);
                value.WriteTo(json);
            }
        }
    }
}
