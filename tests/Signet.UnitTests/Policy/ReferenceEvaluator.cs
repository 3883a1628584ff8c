using System.Text;
using System.Text.RegularExpressions;

namespace Signet.UnitTests.Policy;

internal sealed record RefSource(Dictionary<string, string[]> Fields);

internal sealed record RefCondition(string Key, string[] Values, string[] NotValues);

internal sealed record RefRule(List<Dictionary<string, string[]>> From, List<Dictionary<string, string[]>> To, List<RefCondition> When);

internal sealed record RefPolicy(string Namespace, string Name, string Action, bool DryRun, Dictionary<string, string> Selector, List<RefRule> Rules);

internal sealed record RefPeer(string Namespace, string Name, int Created, Dictionary<string, string> Selector, string? Mode, Dictionary<int, string?> Ports);

internal sealed record RefRequest(
    string Namespace, Dictionary<string, string> Labels, int Port, bool Http, bool Mutual, string? Principal, string SourceIp, string? RemoteIp, string DestinationIp,
    string Sni, string Method, string Host, string Path, List<(string Name, string Value)> Headers, string? Issuer, string? Subject, string[] Audiences, Dictionary<string, string[]> Claims);

/// <summary>
/// A slow evaluator that can be checked by reading it beside Istio's documentation: everything becomes a regular expression or a loop, nothing
/// is compiled ahead, indexed or shared with the product.
/// </summary>
internal static class ReferenceEvaluator
{
    private const string Root = "istio-system";
    private static readonly string[] HttpFields = ["hosts", "paths", "methods", "requestPrincipals"];

    public static string Mode(IEnumerable<RefPeer> peers, RefRequest request)
    {
        RefPeer? Oldest(Func<RefPeer, bool> where) => peers.Where(where).OrderBy(peer => peer.Created).ThenBy(peer => peer.Name, StringComparer.Ordinal).FirstOrDefault();
        var mesh = Oldest(peer => peer.Namespace == Root && peer.Selector.Count == 0);
        var ns = request.Namespace == Root ? null : Oldest(peer => peer.Namespace == request.Namespace && peer.Selector.Count == 0);
        var workload = request.Namespace == Root ? null : Oldest(peer => peer.Namespace == request.Namespace && peer.Selector.Count > 0 && Selects(peer.Selector, request));
        if (workload is not null && workload.Ports.TryGetValue(request.Port, out var port) && port is not null)
        {
            return port;
        }

        return workload?.Mode ?? ns?.Mode ?? mesh?.Mode ?? "PERMISSIVE";
    }

    /// <summary>allow or deny, the stage, the deciding policy and rule.</summary>
    public static (bool Allowed, string Stage, string? Policy, int? Rule) Decide(IEnumerable<RefPolicy> policies, IEnumerable<RefPeer> peers, RefRequest request)
    {
        var mode = Mode(peers, request);
        if (mode == "STRICT" && !request.Mutual)
        {
            return (false, "PeerAuthentication", null, null);
        }

        if (mode == "DISABLE" || !request.Mutual)
        {
            request = request with { Principal = null };
        }

        var mine = policies
            .Where(policy => (policy.Namespace == request.Namespace || policy.Namespace == Root) && Selects(policy.Selector, request) && !policy.DryRun)
            .OrderBy(policy => policy.Namespace, StringComparer.Ordinal).ThenBy(policy => policy.Name, StringComparer.Ordinal)
            .ToList();
        foreach (var policy in mine.Where(policy => policy.Action == "DENY"))
        {
            for (var i = 0; i < policy.Rules.Count; i++)
            {
                if (Matches(policy.Rules[i], "DENY", policy.Namespace, request))
                {
                    return (false, "Deny", policy.Namespace + "/" + policy.Name, i);
                }
            }
        }

        if (!mine.Any(policy => policy.Action == "ALLOW"))
        {
            return (true, "Default", null, null);
        }

        foreach (var policy in mine.Where(policy => policy.Action == "ALLOW"))
        {
            for (var i = 0; i < policy.Rules.Count; i++)
            {
                if (Matches(policy.Rules[i], "ALLOW", policy.Namespace, request))
                {
                    return (true, "Allow", policy.Namespace + "/" + policy.Name, i);
                }
            }
        }

        return (false, "Default", null, null);
    }

    private static bool Selects(Dictionary<string, string> selector, RefRequest request) =>
        selector.All(label => request.Labels.TryGetValue(label.Key, out var value) && value == label.Value);

    private static bool Matches(RefRule rule, string action, string policyNamespace, RefRequest request)
    {
        static string Plain(string field) => field.StartsWith("not", StringComparison.Ordinal) ? char.ToLowerInvariant(field[3]) + field[4..] : field;
        static bool IsHttp(string field) => HttpFields.Contains(Plain(field)) || field.StartsWith("request.", StringComparison.Ordinal);

        if (!request.Http)
        {
            var fields = rule.From.Concat(rule.To).SelectMany(part => part.Keys).Concat(rule.When.Select(condition => condition.Key));
            if (action == "ALLOW" && fields.Any(IsHttp))
            {
                return false;
            }
        }

        bool Part(List<Dictionary<string, string[]>> alternatives) => alternatives.Count == 0 || alternatives.Any(alternative => alternative.All(field =>
            (!request.Http && IsHttp(field.Key))
            || field.Value.Any(value => Value(Plain(field.Key), value, policyNamespace, request)) != field.Key.StartsWith("not", StringComparison.Ordinal)));

        return Part(rule.From) && Part(rule.To) && rule.When.All(condition =>
            (!request.Http && IsHttp(condition.Key))
            || ((condition.Values.Length == 0 || condition.Values.Any(value => Value(condition.Key, value, policyNamespace, request)))
                && (condition.NotValues.Length == 0 || !condition.NotValues.Any(value => Value(condition.Key, value, policyNamespace, request)))));
    }

    private static bool Value(string field, string value, string policyNamespace, RefRequest request)
    {
        var uri = request.Principal is null ? null : "spiffe://" + request.Principal;
        switch (field)
        {
            case "principals" or "source.principal":
                return uri is not null && Aliased(value).Any(one => one == "*" || Regex.IsMatch(uri, "^spiffe://" + Pattern(one) + "$"));
            case "namespaces" or "source.namespace":
                return uri is not null && Regex.IsMatch(uri, "^.*/ns/" + Regex.Escape(value).Replace("\\*", ".*") + "/.*$");
            case "serviceAccounts" or "source.serviceAccount":
                var parts = value.Split('/');
                var (ns, sa) = parts.Length == 1 ? (policyNamespace, parts[0]) : (parts[0], parts[1]);
                return uri is not null && Regex.IsMatch(uri, $"^spiffe://.+/ns/{Regex.Escape(ns)}/(.+/|)sa/{Regex.Escape(sa)}(/.+)?$");
            case "trustDomains" or "source.trustDomain":
                return uri is not null && Regex.IsMatch(uri.Split('/')[2], "^" + Regex.Escape(value).Replace("\\*", "[^/]*") + "$");
            case "ipBlocks" or "source.ip":
                return InBlock(request.SourceIp, value);
            case "remoteIpBlocks" or "remote.ip":
                return InBlock(request.RemoteIp ?? request.SourceIp, value);
            case "destination.ip":
                return InBlock(request.DestinationIp, value);
            case "ports" or "destination.port":
                return request.Port.ToString(System.Globalization.CultureInfo.InvariantCulture) == value;
            case "methods":
                return Text(request.Method, value);
            case "hosts":
                return Text(request.Host.ToLowerInvariant(), value.ToLowerInvariant());
            case "paths":
                var path = request.Path.Split('?')[0];
                return value.Contains('{', StringComparison.Ordinal)
                    ? Regex.IsMatch(path, "^" + Regex.Escape(value).Replace("\\{\\*\\*}", ".*").Replace("\\{\\*}", "[^/]+") + "$")
                    : Text(path, value);
            case "connection.sni":
                return request.Sni.Length > 0 && Text(request.Sni, value);
            case "requestPrincipals" or "request.auth.principal":
                return request.Issuer is not null && request.Subject is not null && RequestPrincipal(value, request.Issuer, request.Subject);
            case "request.auth.audiences":
                return request.Audiences.Any(audience => Text(audience, value));
        }

        var name = field[(field.IndexOf('[', StringComparison.Ordinal) + 1)..^1];
        if (field.StartsWith("request.headers", StringComparison.Ordinal))
        {
            var values = request.Headers.Where(header => header.Name.ToLowerInvariant() == name.ToLowerInvariant()).Select(header => header.Value).ToList();
            return values.Count > 0 && (value == "*" || Text(string.Join(",", values), value));
        }

        return request.Claims.TryGetValue(name, out var claims) && claims.Any(claim => Text(claim, value));
    }

    private static bool RequestPrincipal(string value, string issuer, string subject)
    {
        var slash = value.LastIndexOf('/');
        if (value == "*")
        {
            return issuer.Length > 0 && subject.Length > 0;
        }

        return slash >= 0 && Text(issuer, value[..slash]) && Text(subject, value[(slash + 1)..]);
    }

    private static IEnumerable<string> Aliased(string principal)
    {
        yield return principal;
        if (principal.Split('/') is ["cluster.local", "ns", _, "sa", _] or ["td1", "ns", _, "sa", _] or ["td2", "ns", _, "sa", _])
        {
            var rest = principal[principal.IndexOf('/', StringComparison.Ordinal)..];
            yield return "td1" + rest;
            yield return "td2" + rest;
        }
    }

    private static bool Text(string text, string pattern) => pattern == "*" ? text.Length > 0 : Regex.IsMatch(text, "^" + Pattern(pattern) + "$", RegexOptions.Singleline);

    private static string Pattern(string value) => value == "*" ? ".*"
        : value.StartsWith('*') ? ".*" + Regex.Escape(value[1..])
        : value.EndsWith('*') ? Regex.Escape(value[..^1]) + ".*"
        : Regex.Escape(value);

    private static bool InBlock(string address, string block)
    {
        var bits = Bits(address);
        var slash = block.IndexOf('/', StringComparison.Ordinal);
        var network = Bits(slash < 0 ? block : block[..slash]);
        var length = slash < 0 ? network.Length : int.Parse(block[(slash + 1)..], System.Globalization.CultureInfo.InvariantCulture);
        return bits.Length == network.Length && bits[..length] == network[..length];
    }

    private static string Bits(string address)
    {
        var text = new StringBuilder();
        foreach (var b in System.Net.IPAddress.Parse(address).GetAddressBytes())
        {
            text.Append(Convert.ToString(b, 2).PadLeft(8, '0'));
        }

        return text.ToString();
    }
}
