using System.Net;
using System.Text.Json;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;

namespace Signet.Hosting.Distribution;

/// <summary>Where the proxies of a service listen, by the service's port. Immutable.</summary>
/// <param name="Hosts">What the service is called.</param>
/// <param name="Ports">Addresses by port.</param>
public sealed record ServiceEndpoints(IReadOnlyList<string> Hosts, IReadOnlyDictionary<int, IReadOnlyList<EndPoint>> Ports)
{
    /// <summary>The most endpoints of one port.</summary>
    public const int MaxEndpoints = 5_000;

    private const int MaxHosts = 256;
    private const int MaxPorts = 256;

    /// <summary>The text of its document.</summary>
    public string ToJson()
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            json.WriteStartArray("hosts");
            foreach (var host in Hosts)
            {
                json.WriteStringValue(host);
            }

            json.WriteEndArray();
            json.WriteStartArray("ports");
            foreach (var (port, endpoints) in Ports.OrderBy(pair => pair.Key))
            {
                json.WriteStartObject();
                json.WriteNumber("port", port);
                json.WriteStartArray("endpoints");
                foreach (var endpoint in endpoints)
                {
                    json.WriteStringValue(EndPointText.Format(endpoint));
                }

                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(text.GetBuffer(), 0, (int)text.Length);
    }

    /// <summary>Reads the text of a document. Never throws.</summary>
    public static bool TryRead(string text, out ServiceEndpoints? service, out string problem)
    {
        service = null;
        try
        {
            using var document = JsonDocument.Parse(text);
            var root = document.RootElement;
            var hosts = root.GetProperty("hosts").EnumerateArray().Take(MaxHosts + 1).Select(host => host.GetString() ?? "").ToArray();
            var ports = new Dictionary<int, IReadOnlyList<EndPoint>>();
            foreach (var one in root.GetProperty("ports").EnumerateArray().Take(MaxPorts + 1))
            {
                var endpoints = new List<EndPoint>();
                foreach (var item in one.GetProperty("endpoints").EnumerateArray().Take(MaxEndpoints + 1))
                {
                    if (!EndPointText.TryParse(item.GetString() ?? "", out var endpoint, out problem))
                    {
                        return false;
                    }

                    endpoints.Add(endpoint);
                }

                ports[one.GetProperty("port").GetInt32()] = endpoints;
            }

            problem = hosts.Length is 0 or > MaxHosts || ports.Count > MaxPorts || ports.Values.Any(list => list.Count > MaxEndpoints)
                ? $"1 to {MaxHosts} hosts, at most {MaxPorts} ports and {MaxEndpoints} endpoints of a port were expected"
                : "";
            service = problem.Length == 0 ? new ServiceEndpoints(hosts, ports) : null;
            return service is not null;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            problem = $"it does not read as endpoints: {Printable.Of(e.Message)}";
            return false;
        }
    }
}
