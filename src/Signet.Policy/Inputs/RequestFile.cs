using System.Globalization;
using System.Net;
using Signet.Identity.Spiffe;
using Signet.Policy.Jwt;
using Signet.Policy.Objects;
using Signet.Policy.Reading;
using Signet.Policy.Yaml;

namespace Signet.Policy.Inputs;

/// <summary>A request that somebody wrote down to ask what policies say about it.</summary>
/// <param name="Name">Free text.</param>
/// <param name="Destination">The workload that it goes to.</param>
/// <param name="Facts">The request.</param>
/// <param name="CustomAnswers">What external authorisers would say, by provider; who is not in it gives no answer.</param>
public sealed record WrittenRequest(string Name, Workload Destination, RequestFacts Facts, IReadOnlyDictionary<string, CustomOutcome> CustomAnswers)
{
    /// <summary>Decides without a network: an external authoriser says what was written down for it, or nothing.</summary>
    public Decision Decide(WorkloadPolicy policy)
    {
        var decision = policy.Decide(Facts);
        while (decision.Ask is { } question)
        {
            var written = CustomAnswers.TryGetValue(question.Provider.Name, out var outcome);
            Facts.Answer(question, written
                ? new CustomAnswer(outcome, "as the request says")
                : new CustomAnswer(CustomOutcome.NoAnswer, "nobody is asked here; write custom: {" + question.Provider.Name + ": allow} to say what it would answer"));
            decision = policy.Decide(Facts);
        }

        return decision;
    }
}

/// <summary>Reads a list of written requests.</summary>
public static class RequestFile
{
    private const int MaxRequests = 1_000_000;
    private const int MaxClaimDepth = 16;

    public static Input<IReadOnlyList<WrittenRequest>> Read(PolicyText text) => InputReader.ReadList(text, MaxRequests, ReadRequest);

    private static WrittenRequest? ReadRequest(YamlNode node, string path, ProblemList problems)
    {
        if (Fields.Open(node, path, problems, "name", "destination", "source", "tls", "request", "jwt", "custom") is not { } written)
        {
            return null;
        }

        var facts = new RequestFacts();
        var destination = written.Open("destination", "namespace", "labels", "port", "protocol", "ip", "serviceAccount");
        var workload = destination is null ? new Workload("default", null, new Dictionary<string, string>()) : InputReader.ReadWorkload(destination);
        var protocol = destination?.Word("protocol", "http", "tcp");
        facts.Protocol = protocol == "http" || (protocol is null && written.Has("request")) ? Protocol.Http : Protocol.Tcp;
        facts.DestinationPort = destination?.Number("port", 0, 65535) ?? 0;
        facts.DestinationIp = Address(destination, "ip", problems);

        var source = written.Open("source", "principal", "ip", "remoteIp");
        facts.Peer = ReadPeer(source, problems);
        facts.SourceIp = Address(source, "ip", problems);
        facts.RemoteIp = Address(source, "remoteIp", problems);

        var tls = written.Open("tls", "sni", "mutual");
        facts.Sni = tls?.Text("sni");
        facts.MutualTls = tls?.Has("mutual") == true ? tls.Flag("mutual") : facts.Peer is not null;

        var request = written.Open("request", "method", "host", "path", "headers");
        facts.Method = request?.Text("method");
        facts.Host = request?.Text("host");
        facts.Path = request?.Text("path");
        facts.Headers = request is null ? [] : ReadHeaders(request, problems);
        facts.Jwt = ReadJwt(written.Open("jwt", "iss", "sub", "aud", "azp", "claims"), problems);
        return new WrittenRequest(written.Text("name") ?? path, workload, facts, ReadCustom(written, problems));
    }

    private static SpiffeId? ReadPeer(Fields? source, ProblemList problems)
    {
        if (source?.Text("principal") is not { Length: > 0 } principal)
        {
            return null;
        }

        if (SpiffeId.TryParse(principal.StartsWith("spiffe://", StringComparison.Ordinal) ? principal : "spiffe://" + principal, out var peer, out var problem))
        {
            return peer;
        }

        problems.Error(source.LineOf("principal"), PolicyCodes.BadValue, $"{source.PathOf("principal")}: {problem}");
        return null;
    }

    private static IPAddress? Address(Fields? fields, string key, ProblemList problems)
    {
        if (fields?.Text(key) is not { } text)
        {
            return null;
        }

        if (IPAddress.TryParse(text, out var address))
        {
            return address;
        }

        problems.Error(fields.LineOf(key), PolicyCodes.BadValue, $"{fields.PathOf(key)} is \"{Printable.Of(text)}\"; an IP address was expected");
        return null;
    }

    private static List<KeyValuePair<string, string>> ReadHeaders(Fields request, ProblemList problems)
    {
        var headers = new List<KeyValuePair<string, string>>();
        if (request.Node("headers") is not YamlMapping mapping)
        {
            if (request.Has("headers"))
            {
                problems.Error(request.LineOf("headers"), PolicyCodes.BadValue, $"{request.PathOf("headers")} is {request.Node("headers")!.Noun}; a mapping was expected");
            }

            return headers;
        }

        foreach (var field in mapping.Fields)
        {
            foreach (var value in field.Value is YamlSequence list ? list.Items : [field.Value])
            {
                if (value is YamlScalar scalar)
                {
                    headers.Add(new(field.Key, scalar.IsNull ? "" : scalar.Value));
                }
                else
                {
                    problems.Error(value.Line, PolicyCodes.BadValue, $"{request.PathOf("headers")}.{Printable.Of(field.Key)} is {value.Noun}; a text or a list of texts was expected");
                }
            }
        }

        return headers;
    }

    private static ValidatedJwt? ReadJwt(Fields? jwt, ProblemList problems)
    {
        if (jwt is null)
        {
            return null;
        }

        var claims = jwt.Node("claims") is YamlMapping mapping ? ReadClaims(mapping, 0, problems) : [];
        foreach (var (name, value) in claims.ToList())
        {
            claims[name] = TokenClaims.Split(name, value, JwtRule.DefaultSpaceDelimited);
        }

        foreach (var name in new[] { "iss", "sub", "azp" })
        {
            if (jwt.Text(name) is { } text)
            {
                claims[name] = new ClaimValue.Text(text);
            }
        }

        if (jwt.Node("aud") is YamlSequence audiences)
        {
            claims["aud"] = ReadClaim(audiences, 0, problems);
        }
        else if (jwt.Text("aud") is { } audience)
        {
            claims["aud"] = new ClaimValue.Text(audience);
        }

        return new ValidatedJwt(new ClaimValue.Map(claims));
    }

    private static Dictionary<string, ClaimValue> ReadClaims(YamlMapping mapping, int depth, ProblemList problems) =>
        mapping.Fields.ToDictionary(field => field.Key, field => ReadClaim(field.Value, depth + 1, problems), StringComparer.Ordinal);

    private static ClaimValue ReadClaim(YamlNode node, int depth, ProblemList problems)
    {
        if (depth > MaxClaimDepth)
        {
            problems.Error(node.Line, PolicyCodes.BadValue, $"the claims are nested more than {MaxClaimDepth} levels deep");
            return new ClaimValue.Other();
        }

        return node switch
        {
            YamlMapping mapping => new ClaimValue.Map(ReadClaims(mapping, depth, problems)),
            YamlSequence list => new ClaimValue.List([.. list.Items.OfType<YamlScalar>().Where(IsText).Select(item => item.Value)]),
            YamlScalar scalar when IsText(scalar) => new ClaimValue.Text(scalar.Value),
            _ => new ClaimValue.Other(),
        };
    }

    private static bool IsText(YamlScalar scalar) => !scalar.Plain
        || !(scalar.IsNull || scalar.Value is "true" or "false" || double.TryParse(scalar.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out _));

    private static Dictionary<string, CustomOutcome> ReadCustom(Fields written, ProblemList problems)
    {
        var answers = new Dictionary<string, CustomOutcome>(StringComparer.Ordinal);
        foreach (var (provider, answer) in written.TextMap("custom"))
        {
            answers[provider] = answer switch
            {
                "allow" => CustomOutcome.Allowed,
                "deny" => CustomOutcome.Denied,
                _ => CustomOutcome.NoAnswer,
            };
            if (answer is not ("allow" or "deny" or "none"))
            {
                problems.Error(written.LineOf("custom"), PolicyCodes.BadValue, $"{written.PathOf("custom")}.{Printable.Of(provider)} is \"{Printable.Of(answer)}\"; allow, deny or none was expected");
            }
        }

        return answers;
    }
}
