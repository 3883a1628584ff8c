using System.Text;
using System.Text.Json;

namespace Signet.UnitTests.Policy;

/// <summary>Random policies and requests over a small world, so that they meet often; the same seed gives the same mesh.</summary>
internal sealed class RandomMesh(int seed)
{
    private static readonly string[] Namespaces = ["a", "b", "istio-system"];
    private static readonly string[] Apps = ["x", "y"];
    private static readonly string[] TrustDomains = ["td1", "td2", "td3"];
    private static readonly string[] Paths = ["/", "/p", "/p/q", "/p/q/r", "/q"];
    private static readonly string[] Methods = ["GET", "PUT", "POST"];

    private readonly Random _random = new(seed);

    public List<RefPolicy> Policies() => [.. Enumerable.Range(0, _random.Next(0, 6)).Select(i => Policy("p" + i))];

    public RefPolicy Policy(string name)
    {
        var action = Pick("ALLOW", "ALLOW", "DENY", "DENY", "AUDIT");
        var rules = Enumerable.Range(0, action == "DENY" ? _random.Next(1, 3) : _random.Next(0, 3)).Select(_ => Rule()).ToList();
        return new RefPolicy(Pick(Namespaces), name, action, _random.Next(8) == 0, Selector(), rules);
    }

    public List<RefPeer> Peers() => [.. Enumerable.Range(0, _random.Next(0, 4)).Select(i =>
    {
        var selector = Selector();
        Dictionary<int, string?> ports = selector.Count > 0 && _random.Next(2) == 0 ? new() { [_random.Next(80, 83)] = PickMode() } : [];
        return new RefPeer(Pick(Namespaces), "m" + i, _random.Next(0, 3), selector, PickMode(), ports);
    })];

    public RefRequest Request()
    {
        var mutual = _random.Next(3) > 0;
        return new RefRequest(
            Pick(Namespaces), new() { ["app"] = Pick(Apps) }, _random.Next(80, 83), _random.Next(3) > 0, mutual, mutual && _random.Next(10) > 0 ? Principal() : null,
            Ip(), _random.Next(2) == 0 ? Ip() : null, Ip(), Pick("", "s1", "s2.org"), Pick(Methods), Pick("h1", "h1:80", "H2.org"), Pick(Paths) + Pick("", "?x=/q"),
            [.. Enumerable.Range(0, _random.Next(0, 3)).Select(_ => (Pick("h", "H", "g"), Pick("", "v1", "v2")))],
            _random.Next(2) == 0 ? Pick("i1", "https://i2/x") : null, Pick("s1", "s2"), [.. Some(["u1", "u2"])], new() { ["c"] = [.. Some(["v1", "v2", "w"])] });
    }

    public static string Yaml(RefPolicy policy) => JsonSerializer.Serialize(new
    {
        apiVersion = "security.istio.io/v1",
        kind = "AuthorizationPolicy",
        metadata = new { name = policy.Name, @namespace = policy.Namespace, annotations = policy.DryRun ? new Dictionary<string, string> { ["istio.io/dry-run"] = "true" } : [] },
        spec = new
        {
            selector = new { matchLabels = policy.Selector },
            action = policy.Action,
            rules = policy.Rules.Select(rule => new
            {
                from = rule.From.Select(source => new { source }),
                to = rule.To.Select(operation => new { operation }),
                when = rule.When.Select(condition => new { key = condition.Key, values = condition.Values, notValues = condition.NotValues }),
            }),
        },
    });

    public static string Yaml(RefPeer peer)
    {
        var spec = new StringBuilder("{\"selector\":{\"matchLabels\":" + JsonSerializer.Serialize(peer.Selector) + "},\"mtls\":{\"mode\":\"" + (peer.Mode ?? "UNSET") + "\"}");
        if (peer.Ports.Count > 0)
        {
            spec.Append(",\"portLevelMtls\":{" + string.Join(",", peer.Ports.Select(port => $"\"{port.Key}\":{{\"mode\":\"{port.Value ?? "UNSET"}\"}}")) + "}");
        }

        return $"{{\"apiVersion\":\"security.istio.io/v1\",\"kind\":\"PeerAuthentication\",\"metadata\":{{\"name\":\"{peer.Name}\",\"namespace\":\"{peer.Namespace}\",\"creationTimestamp\":\"2026-01-0{peer.Created + 1}T00:00:00Z\"}},\"spec\":{spec}}}}}";
    }

    public T Pick<T>(params T[] values) => values[_random.Next(values.Length)];

    public void Shuffle<T>(List<T> list) => _random.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(list));

    private RefRule Rule()
    {
        var from = Enumerable.Range(0, _random.Next(0, 3)).Select(_ => Fields(SourceFields(), 2)).Where(fields => fields.Count > 0).ToList();
        var to = Enumerable.Range(0, _random.Next(0, 3)).Select(_ => Fields(OperationFields(), 2)).Where(fields => fields.Count > 0).ToList();
        return new RefRule(from, to, [.. Enumerable.Range(0, _random.Next(0, 2)).Select(_ => Condition())]);
    }

    private Dictionary<string, string[]> SourceFields()
    {
        if (_random.Next(4) == 0)
        {
            return new() { ["serviceAccounts"] = Some(["s", "a/s", "b/t"]), ["ipBlocks"] = Blocks() };
        }

        return new()
        {
            ["principals"] = Some(["*", "td1/ns/a/sa/s", "td3/ns/b/sa/t", "cluster.local/ns/b/sa/s", "td1/ns/*", "td1/ns/a/*", "*/sa/t", "td2/ns/b/sa/t"]),
            ["namespaces"] = Some(["a", "b", "*", "a*", "a/x"]),
            ["trustDomains"] = Some(["td3", "td*", "*3"]),
            ["ipBlocks"] = Blocks(),
            ["remoteIpBlocks"] = Blocks(),
            ["requestPrincipals"] = Some(["*", "i1/s1", "i1/*", "https://i2/x/s2", "*/s1"]),
        };
    }

    private Dictionary<string, string[]> OperationFields() => new()
    {
        ["hosts"] = Some(["h1", "H1:80", "*.ORG", "h*", "*"]),
        ["ports"] = Some(["80", "81"]),
        ["methods"] = Some(["GET", "P*", "*T", "*"]),
        ["paths"] = Some(["/p", "/p*", "/p/*", "/p/q*", "*/q", "*", "/p/{*}", "/p/{**}", "/{*}/q", "/{**}"]),
    };

    private RefCondition Condition()
    {
        var (key, values) = Pick(
            ("request.headers[h]", new[] { "v1", "v*", "*", "v1,v2" }), ("source.ip", Blocks()), ("remote.ip", Blocks()), ("destination.ip", Blocks()), ("source.namespace", ["a", "*b"]),
            ("source.principal", ["td1/ns/a/sa/s", "*"]), ("destination.port", ["80", "82"]), ("connection.sni", ["s1", "*.org", "*"]), ("request.auth.audiences", ["u1", "*"]),
            ("request.auth.claims[c]", ["v1", "v*", "*"]), ("request.auth.principal", ["i1/s1", "*"]), ("source.serviceAccount", ["a/s"]), ("source.trustDomain", ["td3"]));
        var some = Some(values);
        return _random.Next(2) == 0 ? new RefCondition(key, some, []) : new RefCondition(key, [], some);
    }

    private Dictionary<string, string[]> Fields(Dictionary<string, string[]> all, int max)
    {
        var kept = new Dictionary<string, string[]>();
        foreach (var field in all.Keys.OrderBy(_ => _random.Next()).Take(_random.Next(1, max + 1)))
        {
            kept[_random.Next(4) == 0 ? "not" + char.ToUpperInvariant(field[0]) + field[1..] : field] = all[field];
        }

        return kept;
    }

    private string[] Some(string[] values) => [.. values.OrderBy(_ => _random.Next()).Take(_random.Next(1, Math.Min(3, values.Length) + 1))];

    private string[] Blocks() => Some(["10.0.0.1", "10.0.0.0/31", "10.0.0.0/8", "11.0.0.0/8", "2001:db8::/32", "0.0.0.0/0"]);

    private string Principal() => _random.Next(12) == 0 ? Pick("td1/odd", "td3/ns/a/x/sa/s/y", "td1/ns/a/ns/b/sa/t") : $"{Pick(TrustDomains)}/ns/{Pick("a", "b", "ab")}/sa/{Pick("s", "t")}";

    private string Ip() => Pick("10.0.0.1", "10.0.0.2", "11.1.1.1", "2001:db8::1");

    private string? PickMode() => Pick("STRICT", "PERMISSIVE", "PERMISSIVE", "DISABLE", null);

    private Dictionary<string, string> Selector() => _random.Next(2) == 0 ? [] : new() { ["app"] = Pick(Apps) };
}
