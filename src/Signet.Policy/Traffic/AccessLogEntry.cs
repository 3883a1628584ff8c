using System.Net;
using System.Text.Json;
using Signet.Identity.Spiffe;

namespace Signet.Policy.Traffic;

/// <summary>One inbound line of a proxy's JSON access log, as far as policies care; docs/reference/access-log.md lists its fields.</summary>
/// <param name="Destination">The workload that was called.</param>
/// <param name="Facts">What was called, by whom.</param>
/// <param name="Allowed">What was decided then.</param>
public sealed record AccessLogEntry(Workload Destination, RequestFacts Facts, bool Allowed)
{
    /// <summary>The longest line that is read, in characters.</summary>
    public const int MaxLineLength = 256 * 1024;

    /// <summary>Reads a line. Lines of outbound traffic, and of connections that ended before policy was asked, give true and null.</summary>
    /// <param name="line">One JSON object.</param>
    /// <param name="entry">The entry, or null when the line is not about a decision.</param>
    /// <param name="problem">What is wrong, when the answer is false.</param>
    public static bool TryParse(string line, out AccessLogEntry? entry, out string problem)
    {
        (entry, problem) = (null, "");
        if (line.Length > MaxLineLength)
        {
            problem = $"the line has {line.Length} characters; the limit is {MaxLineLength}";
            return false;
        }

        try
        {
            using var document = JsonDocument.Parse(line, new JsonDocumentOptions { MaxDepth = 8 });
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                problem = "the line is not a JSON object";
                return false;
            }

            // What ended before policy was asked says nothing about policy.
            return Text(root, "direction") is not (null or "inbound") || Text(root, "stage") is "identity" or "detection" or "handshake" || TryRead(root, out entry, out problem);
        }
        catch (JsonException)
        {
            problem = "the line is not JSON";
            return false;
        }
    }

    private static bool TryRead(JsonElement root, out AccessLogEntry? entry, out string problem)
    {
        entry = null;
        var (source, destination, request, tls) = (Object(root, "source"), Object(root, "destination"), Object(root, "request"), Object(root, "tls"));
        var verdict = Text(root, "verdict");
        if (verdict is not ("allow" or "deny") || Text(destination, "namespace") is not { } ns || !TryPort(destination, out var port))
        {
            problem = "the line lacks verdict, destination.namespace or destination.port";
            return false;
        }

        SpiffeId? peer = null;
        if (Text(source, "principal") is { Length: > 0 } principal && !SpiffeId.TryParse("spiffe://" + principal, out peer, out problem))
        {
            return false;
        }

        var facts = new RequestFacts
        {
            Peer = peer,
            MutualTls = Flag(tls, "mutual") ?? Flag(root, "mtls") ?? peer is not null,
            Sni = Text(tls, "sni"),
            SourceIp = Address(source, "ip"),
            RemoteIp = Address(source, "remoteIp"),
            DestinationIp = Address(destination, "ip"),
            DestinationPort = port,
            Protocol = request.ValueKind == JsonValueKind.Object ? Protocol.Http : Protocol.Tcp,
            Method = Text(request, "method"),
            Host = Text(request, "host"),
            Path = Text(request, "path"),
        };
        var labels = new Dictionary<string, string>(StringComparer.Ordinal);
        if (Object(destination, "labels") is { ValueKind: JsonValueKind.Object } written)
        {
            foreach (var label in written.EnumerateObject().Where(label => label.Value.ValueKind == JsonValueKind.String))
            {
                labels[label.Name] = label.Value.GetString()!;
            }
        }

        (entry, problem) = (new AccessLogEntry(new Workload(ns, Text(destination, "workload"), labels), facts, verdict == "allow"), "");
        return true;
    }

    private static JsonElement Object(JsonElement owner, string name) =>
        owner.ValueKind == JsonValueKind.Object && owner.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object ? value : default;

    private static string? Text(JsonElement owner, string name) =>
        owner.ValueKind == JsonValueKind.Object && owner.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static bool? Flag(JsonElement owner, string name) =>
        owner.ValueKind == JsonValueKind.Object && owner.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : null;

    private static bool TryPort(JsonElement owner, out int port)
    {
        port = 0;
        return owner.ValueKind == JsonValueKind.Object && owner.TryGetProperty("port", out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out port) && port is >= 1 and <= 65535;
    }

    private static IPAddress? Address(JsonElement owner, string name) => IPAddress.TryParse(Text(owner, name), out var address) ? address : null;
}
