using System.Globalization;
using Signet.Identity;
using Signet.Identity.Spiffe;
using Signet.Policy.Engine;
using Signet.Policy.Yaml;

namespace Signet.Policy.Reading;

/// <summary>Reads one rule of an AuthorizationPolicy into clauses.</summary>
internal sealed class RuleReader(string policyNamespace, PolicyAction action, ReadingContext context)
{
    private const int MaxServiceAccounts = 16;
    private const int MaxServiceAccountLength = 320;
    private const int MaxClaimDepth = 16;

    private static readonly string[] SourceFields = Both("principals", "requestPrincipals", "namespaces", "ipBlocks", "remoteIpBlocks", "serviceAccounts", "trustDomains");
    private static readonly string[] OperationFields = Both("hosts", "ports", "methods", "paths");

    private static readonly string[] Keys =
    [
        "request.headers[…]", "source.ip", "remote.ip", "source.namespace", "source.principal", "source.serviceAccount", "source.trustDomain", "request.auth.principal",
        "request.auth.audiences", "request.auth.presenter", "request.auth.claims[…]", "destination.ip", "destination.port", "connection.sni",
    ];

    private readonly ProblemList _problems = context.Problems;

    public Rule? Read(YamlNode node, int index)
    {
        var path = string.Create(CultureInfo.InvariantCulture, $"spec.rules[{index}]");
        if (Fields.Open(node, path, _problems, "from", "to", "when") is not { } rule)
        {
            if (node is YamlScalar { IsNull: true })
            {
                _problems.Error(node.Line, PolicyCodes.BadValue, $"{path} is nothing", "a rule that matches everything is {}");
            }

            return null;
        }

        var from = ReadAlternatives(rule, "from", "source", SourceFields);
        var to = ReadAlternatives(rule, "to", "operation", OperationFields);
        var when = rule.Items("when").SelectMany((item, i) => ReadCondition(item, string.Create(CultureInfo.InvariantCulture, $"{path}.when[{i}]"))).ToList();
        return new Rule(index, node.Line, from, to, when);
    }

    private List<IReadOnlyList<Clause>> ReadAlternatives(Fields rule, string part, string inner, string[] known)
    {
        var alternatives = new List<IReadOnlyList<Clause>>();
        var i = 0;
        if (rule.Has(part) && rule.Items(part).Count == 0)
        {
            _problems.Warning(rule.LineOf(part), PolicyCodes.EmptyList, $"{rule.PathOf(part)} is an empty list, which constrains nothing", "fill it, or remove it");
        }

        foreach (var item in rule.Items(part))
        {
            var path = string.Create(CultureInfo.InvariantCulture, $"{rule.PathOf(part)}[{i++}]");
            var errors = _problems.Errors;
            var fields = Fields.Open(item, path, _problems, inner)?.Open(inner, known);
            if (fields is null)
            {
                if (_problems.Errors > errors)
                {
                    continue;
                }

                _problems.Error(item.Line, PolicyCodes.BadValue, $"{path} has no {inner}", $"say what {part} is about, or leave {part} out to mean anything");
                continue;
            }

            var clauses = new List<Clause>();
            foreach (var field in known)
            {
                if (fields.Texts(field) is { Count: > 0 } values)
                {
                    var negated = field.StartsWith("not", StringComparison.Ordinal);
                    var name = negated ? char.ToLowerInvariant(field[3]) + field[4..] : field;
                    if (ReadClause(name, name, fields.PathOf(field), values, negated) is { } clause)
                    {
                        clauses.Add(clause);
                    }
                }
            }

            CheckServiceAccountsStandAlone(fields, path);
            if (_problems.Errors == errors)
            {
                CheckNotEmpty(fields, known, inner, path);
            }

            alternatives.Add(clauses);
        }

        return alternatives;
    }

    private IEnumerable<Clause> ReadCondition(YamlNode item, string path)
    {
        if (Fields.Open(item, path, _problems, "key", "values", "notValues") is not { } condition)
        {
            yield break;
        }

        var key = condition.Text("key");
        if (string.IsNullOrEmpty(key))
        {
            _problems.Error(condition.Line, PolicyCodes.BadValue, $"{path} has no key", $"known keys: {string.Join(", ", Keys)}");
            yield break;
        }

        var any = false;
        foreach (var (field, negated) in new[] { ("values", false), ("notValues", true) })
        {
            if (condition.Texts(field) is { Count: > 0 } values)
            {
                any = true;
                if (ReadClause(key, FieldOfKey(key), condition.PathOf(field), values, negated) is { } clause)
                {
                    yield return clause;
                }
            }
        }

        if (!any)
        {
            _problems.Error(condition.Line, PolicyCodes.BadValue, $"{path} has neither values nor notValues for {Printable.Of(key)}");
        }
    }

    private static string FieldOfKey(string key) => key switch
    {
        "source.principal" => "principals",
        "source.namespace" => "namespaces",
        "source.serviceAccount" => "serviceAccounts",
        "source.trustDomain" => "trustDomains",
        "source.ip" => "ipBlocks",
        "remote.ip" => "remoteIpBlocks",
        "request.auth.principal" => "requestPrincipals",
        "destination.port" => "ports",
        _ => key,
    };

    // shown: the name in messages, a field or a condition's key; what: what it looks at, shared by fields and keys that look at the same.
    private Clause? ReadClause(string shown, string what, string path, IReadOnlyList<TextItem> items, bool negated)
    {
        var line = items[0].Line;
        if (action == PolicyAction.Custom && (what is "principals" or "namespaces" or "serviceAccounts" or "trustDomains" or "requestPrincipals" || what.StartsWith("request.auth.", StringComparison.Ordinal)))
        {
            _problems.Error(line, PolicyCodes.BadValue, $"{path}: a CUSTOM policy can't use {shown}, which is known only after the external authoriser was asked", "use ipBlocks, hosts, paths, methods, ports or request.headers");
            return null;
        }

        IReadOnlyList<string> values = [.. items.Select(item => item.Value)];
        switch (what)
        {
            case "principals":
                return new PrincipalClause(shown, values, negated, context.Mesh);
            case "requestPrincipals":
                return new RequestPrincipalClause(shown, values, negated);
            case "namespaces":
                return new NamespaceClause(shown, values, negated);
            case "serviceAccounts":
                return AreServiceAccounts(items, path) ? new ServiceAccountClause(shown, values, negated, policyNamespace) : null;
            case "trustDomains":
                return AreTrustDomains(items, path) ? new TrustDomainClause(shown, values, negated, context.Mesh) : null;
            case "ipBlocks":
                return ReadAddresses(shown, values, items, path, negated, AddressOf.Source);
            case "remoteIpBlocks":
                return ReadAddresses(shown, values, items, path, negated, AddressOf.Remote);
            case "destination.ip":
                return ReadAddresses(shown, values, items, path, negated, AddressOf.Destination);
            case "ports":
                return ReadPorts(shown, values, items, path, negated);
            case "hosts":
                return new HostClause(shown, values, negated);
            case "methods":
                return new MethodClause(shown, values, negated);
            case "paths":
                return ReadPaths(shown, values, items, path, negated);
            case "connection.sni":
                return new SniClause(shown, values, negated);
            case "request.auth.audiences":
                return new ClaimClause(shown, values, negated, ["aud"]);
            case "request.auth.presenter":
                return new ClaimClause(shown, values, negated, ["azp"]);
            default:
                return ReadBracketed(shown, values, line, path, negated);
        }
    }

    private Clause? ReadBracketed(string key, IReadOnlyList<string> values, int line, string path, bool negated)
    {
        const string headers = "request.headers";
        const string claims = "request.auth.claims";
        if (key.StartsWith(headers + "[", StringComparison.Ordinal))
        {
            if (TryBrackets(key[headers.Length..], out var names) && names is [var name] && name.All(IsTokenCharacter))
            {
                return new HeaderClause(key, values, negated, name);
            }

            _problems.Error(line, PolicyCodes.BadValue, $"{path}: \"{Printable.Of(key)}\" does not name a header", "write request.headers[x-name]; for :method, :path and :authority use methods, paths and hosts");
        }
        else if (key.StartsWith(claims + "[", StringComparison.Ordinal))
        {
            if (TryBrackets(key[claims.Length..], out var names) && names.Length <= MaxClaimDepth)
            {
                return new ClaimClause(key, values, negated, names);
            }

            _problems.Error(line, PolicyCodes.BadValue, $"{path}: \"{Printable.Of(key)}\" does not name a claim", "write request.auth.claims[name] or request.auth.claims[outer][inner]");
        }
        else if (key.StartsWith("experimental.", StringComparison.Ordinal))
        {
            _problems.Error(line, PolicyCodes.Unsupported, $"{path}: \"{Printable.Of(key)}\" reads what Envoy's own filters leave behind; there are none here");
        }
        else
        {
            var nearest = NearestWord.To(key, Keys);
            _problems.Error(line, PolicyCodes.UnknownField, $"{path}: \"{Printable.Of(key)}\" is not a known condition key", nearest is null ? $"known keys: {string.Join(", ", Keys)}" : $"did you mean {nearest}?");
        }

        return null;
    }

    private PathClause? ReadPaths(string shown, IReadOnlyList<string> values, IReadOnlyList<TextItem> items, string path, bool negated)
    {
        var patterns = new List<StringPattern>();
        var templates = new List<PathTemplate>();
        foreach (var item in items)
        {
            if (!PathTemplate.IsTemplate(item.Value))
            {
                patterns.Add(StringPattern.Of(item.Value));
            }
            else if (PathTemplate.TryParse(item.Value, out var template, out var problem))
            {
                templates.Add(template);
            }
            else
            {
                _problems.Error(item.Line, PolicyCodes.BadValue, $"{path}: \"{Printable.Of(item.Value)}\": {problem}");
                return null;
            }
        }

        return new PathClause(shown, values, negated, patterns, templates);
    }

    private AddressClause? ReadAddresses(string shown, IReadOnlyList<string> values, IReadOnlyList<TextItem> items, string path, bool negated, AddressOf which)
    {
        var blocks = new List<IpBlock>();
        foreach (var item in items)
        {
            if (!IpBlock.TryParse(item.Value, out var block, out var problem))
            {
                _problems.Error(item.Line, PolicyCodes.BadValue, $"{path}: \"{Printable.Of(item.Value)}\": {problem}");
                return null;
            }

            if (block.HasHostBits)
            {
                _problems.Warning(item.Line, PolicyCodes.HostBits, $"{path}: \"{Printable.Of(item.Value)}\" has bits behind its prefix; they don't count", $"write {block}");
            }

            blocks.Add(block);
        }

        return new AddressClause(shown, values, negated, which, [.. blocks]);
    }

    private PortClause? ReadPorts(string shown, IReadOnlyList<string> values, IReadOnlyList<TextItem> items, string path, bool negated)
    {
        var ports = new List<int>();
        foreach (var item in items)
        {
            if (!int.TryParse(item.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port is < 1 or > 65535)
            {
                _problems.Error(item.Line, PolicyCodes.BadValue, $"{path}: \"{Printable.Of(item.Value)}\" is not a port; a number from 1 to 65535 was expected");
                return null;
            }

            ports.Add(port);
        }

        return new PortClause(shown, values, negated, [.. ports]);
    }

    private bool AreServiceAccounts(IReadOnlyList<TextItem> items, string path)
    {
        if (items.Count > MaxServiceAccounts)
        {
            _problems.Error(items[0].Line, PolicyCodes.BadValue, $"{path} has {items.Count} entries; the limit is {MaxServiceAccounts}");
            return false;
        }

        foreach (var item in items)
        {
            var parts = item.Value.Split('/');
            if (item.Value.Length > MaxServiceAccountLength || item.Value.Contains('*', StringComparison.Ordinal) || parts.Length > 2 || parts.Any(part => part.Length == 0))
            {
                _problems.Error(item.Line, PolicyCodes.BadValue, $"{path}: \"{Printable.Of(item.Value)}\" is not a service account; name or namespace/name was expected, without '*', at most {MaxServiceAccountLength} characters");
                return false;
            }
        }

        return true;
    }

    private bool AreTrustDomains(IReadOnlyList<TextItem> items, string path)
    {
        foreach (var item in items)
        {
            var star = item.Value.AsSpan(1, Math.Max(0, item.Value.Length - 2)).Contains('*') || (item.Value.Length > 1 && item.Value.StartsWith('*') && item.Value.EndsWith('*'));
            if (item.Value.Contains('/', StringComparison.Ordinal) || star)
            {
                _problems.Error(item.Line, PolicyCodes.BadValue, $"{path}: \"{Printable.Of(item.Value)}\" is not a trust domain; a name was expected, with at most one '*', at an end, and no '/'");
                return false;
            }
        }

        return true;
    }

    // Somebody who empties the only list of a source would otherwise open it to everyone.
    private void CheckNotEmpty(Fields fields, string[] known, string inner, string path)
    {
        if (!known.Any(field => fields.Items(field).Count > 0))
        {
            _problems.Error(fields.Line, PolicyCodes.BadValue, $"{path}.{inner} is empty", $"say what it is about, or remove the entry to mean anything");
            return;
        }

        foreach (var field in known.Where(field => fields.Has(field) && fields.Items(field).Count == 0))
        {
            _problems.Warning(fields.LineOf(field), PolicyCodes.EmptyList, $"{fields.PathOf(field)} is an empty list, which constrains nothing", "fill it, or remove it");
        }
    }

    private void CheckServiceAccountsStandAlone(Fields fields, string path)
    {
        if ((fields.Has("serviceAccounts") || fields.Has("notServiceAccounts"))
            && (fields.Has("principals") || fields.Has("notPrincipals") || fields.Has("namespaces") || fields.Has("notNamespaces")))
        {
            _problems.Error(fields.Line, PolicyCodes.BadValue, $"{path}: serviceAccounts can't stand beside principals or namespaces", "say it with one of them");
        }
    }

    private static bool TryBrackets(string text, out string[] names)
    {
        names = text is ['[', .., ']'] ? text[1..^1].Split("][") : [];
        return names.Length > 0 && names.All(name => name.Length > 0 && !name.Contains('[', StringComparison.Ordinal) && !name.Contains(']', StringComparison.Ordinal));
    }

    private static bool IsTokenCharacter(char c) => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal);

    private static string[] Both(params string[] fields) => [.. fields.SelectMany(field => new[] { field, "not" + char.ToUpperInvariant(field[0]) + field[1..] })];
}
