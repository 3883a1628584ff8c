using Signet.Hosting.Configuration;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;

namespace Signet.Agent.Attestation.Workload.Token;

/// <summary>Which signed tokens workloads may show beside what their processes are. None, when nobody is named who issues them.</summary>
public sealed record WorkloadTokenConfig
{
    public const int MaxIssuers = 16;

    /// <summary>The field of the node's metadata in which the token stands.</summary>
    public string Field { get; init; } = "token";

    /// <summary>For whom tokens are made, besides the agent's own ID; null for the trust domain's ID.</summary>
    public string? Audience { get; init; }

    /// <summary>The longest time from issue to expiry.</summary>
    public TimeSpan MaxLifetime { get; init; } = TimeSpan.FromHours(24);

    /// <summary>Who is believed, and about what.</summary>
    public IReadOnlyList<WorkloadTokenIssuer> Issuers { get; init; } = [];

    internal static WorkloadTokenConfig Read(ConfigSection section)
    {
        if (!section.IsPresent)
        {
            return new WorkloadTokenConfig();
        }

        var issuers = section.Sections("issuers").Select(WorkloadTokenIssuer.Read).ToArray();
        if (issuers.Length is 0 or > MaxIssuers)
        {
            section.Problem("issuers", $"names {issuers.Length} issuers; write 1 to {MaxIssuers} of them, each with issuer, keys and claims");
        }

        if (issuers.GroupBy(issuer => issuer.Issuer, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            section.Problem("issuers", $"names \"{Printable.Of(twice.Key)}\" twice");
        }

        return new WorkloadTokenConfig
        {
            Field = section.Text("field", "token"),
            Audience = section.Text("audience"),
            MaxLifetime = section.Duration("maxLifetime", TimeSpan.FromHours(24), TimeSpan.FromSeconds(1)),
            Issuers = issuers,
        };
    }
}

/// <summary>One that issues tokens, and what it may say.</summary>
public sealed record WorkloadTokenIssuer
{
    /// <summary>The <c>iss</c> of its tokens.</summary>
    public required string Issuer { get; init; }

    /// <summary>A file with its public keys, a JWK Set; followed while the agent runs.</summary>
    public required string Keys { get; init; }

    /// <summary>The only <c>alg</c> that count.</summary>
    public IReadOnlyList<string> Algorithms { get; init; } = ["ES256", "ES384", "ES512", "RS256", "PS256"];

    /// <summary>The claims that become selectors, each with the values that this issuer may give; <c>*</c> at the end of one stands for any rest.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<string>> Claims { get; init; }

    /// <summary>Whether this issuer may say that.</summary>
    internal bool MaySay(string claim, string value) => Claims[claim].Any(pattern =>
        pattern.EndsWith('*') ? value.StartsWith(pattern[..^1], StringComparison.Ordinal) : value == pattern);

    internal static WorkloadTokenIssuer Read(ConfigSection section)
    {
        var claims = section.Section("claims");
        if (claims.Keys.Count == 0)
        {
            section.Problem("claims", "is missing; say what this issuer may claim, such as {appkey: [\"*\"]}");
        }

        foreach (var name in claims.Keys.Where(name => name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.')))
        {
            claims.Problem(name, $"\"{Printable.Of(name)}\" is no name of a claim that can be part of a selector; letters, digits, '_', '-' and '.' can");
        }

        var algorithms = section.Texts("algorithms");
        foreach (var unknown in algorithms.Where(name => JwsAlgorithm.Find(name) is null))
        {
            section.Problem("algorithms", $"\"{Printable.Of(unknown)}\" is not an algorithm with a public key that is known here, such as ES256 or RS256");
        }

        var issuer = new WorkloadTokenIssuer
        {
            Issuer = section.RequiredText("issuer"),
            Keys = section.RequiredFilePath("keys"),
            Claims = claims.Keys.ToDictionary(name => name, claims.Texts, StringComparer.Ordinal),
        };
        return algorithms.Count > 0 ? issuer with { Algorithms = algorithms } : issuer;
    }
}
