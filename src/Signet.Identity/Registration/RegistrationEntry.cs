using System.Collections.Immutable;
using System.Globalization;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Identity.Registration;

/// <summary>
/// Who gets which identity: a workload that has all of <see cref="Selectors"/>, on a node that is <see cref="ParentId"/>, may have
/// <see cref="SpiffeId"/>. Immutable.
/// </summary>
public sealed record RegistrationEntry
{
    public const int MaxSelectors = 64;
    public const int MaxDnsNames = 64;
    public const int MaxFederatesWith = 64;
    public const int MaxHintBytes = 1024;
    public const int MaxIdLength = 255;

    /// <summary>The shortest lifetime that an entry may ask for; a shorter one could not be renewed in time.</summary>
    public static readonly TimeSpan MinTtl = TimeSpan.FromSeconds(5);

    /// <summary>The entry's own name, given by the server when it is left empty.</summary>
    public required string Id { get; init; }

    public required SpiffeId SpiffeId { get; init; }

    /// <summary>The agent (or the server, for a node alias) under which the entry applies.</summary>
    public required SpiffeId ParentId { get; init; }

    /// <summary>All of them must hold; never empty.</summary>
    public required ImmutableArray<Selector> Selectors { get; init; }

    /// <summary>The X.509-SVID's lifetime; null is the server's default.</summary>
    public TimeSpan? X509Ttl { get; init; }

    /// <summary>The JWT-SVID's lifetime; null is the server's default.</summary>
    public TimeSpan? JwtTtl { get; init; }

    public ImmutableArray<string> DnsNames { get; init; } = [];

    /// <summary>What the certificate says besides.</summary>
    public SvidTemplate Template { get; init; } = SvidTemplate.None;

    /// <summary>Trust domains whose bundles the workload receives too.</summary>
    public ImmutableArray<TrustDomain> FederatesWith { get; init; } = [];

    /// <summary>Free text that tells a workload with several identities which is which.</summary>
    public string Hint { get; init; } = "";

    public bool Admin { get; init; }

    public bool Downstream { get; init; }

    /// <summary>From when on the entry no longer counts; null is never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>The desired state that this entry is part of; empty when an operator keeps it by hand.</summary>
    public string Owner { get; init; } = "";

    public long Revision { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public bool HasExpired(DateTimeOffset now) => ExpiresAt is { } end && now >= end;

    /// <summary>
    /// What this entry says otherwise than <paramref name="before"/>, field by field; none when both grant the same. IDs, owners and counters don't
    /// count, nor does the order of selectors.
    /// </summary>
    public IReadOnlyList<EntryDifference> DifferencesFrom(RegistrationEntry before) =>
        [.. Facts(before).Zip(Facts(this), (old, fresh) => new EntryDifference(old.Name, old.Value, fresh.Value)).Where(one => one.Before != one.After)];

    private static IEnumerable<(string Name, string Value)> Facts(RegistrationEntry entry) =>
    [
        ("spiffeId", entry.SpiffeId.Uri),
        ("parentId", entry.ParentId.Uri),
        ("selectors", string.Join(' ', entry.Selectors.Select(selector => selector.ToString()).Order(StringComparer.Ordinal).Distinct(StringComparer.Ordinal))),
        ("x509Ttl", Seconds(entry.X509Ttl)),
        ("jwtTtl", Seconds(entry.JwtTtl)),
        ("dnsNames", string.Join(' ', entry.DnsNames)),
        ("keyType", entry.Template.KeyType?.Name() ?? "the agent's"),
        ("subject", entry.Template.Subject.Length > 0 ? entry.Template.Subject : "default"),
        ("names", string.Join(' ', entry.Template.Names)),
        ("federatesWith", string.Join(' ', entry.FederatesWith.Select(trustDomain => trustDomain.Name).Order(StringComparer.Ordinal))),
        ("hint", entry.Hint),
        ("admin", entry.Admin ? "true" : "false"),
        ("downstream", entry.Downstream ? "true" : "false"),
        ("expiresAt", entry.ExpiresAt?.ToUniversalTime().ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture) ?? "never"),
    ];

    private static string Seconds(TimeSpan? ttl) => ttl is { } span ? string.Create(CultureInfo.InvariantCulture, $"{span.TotalSeconds}s") : "default";

    /// <summary>Every reason why the entry cannot be registered in the trust domain; empty when it can.</summary>
    public IEnumerable<string> Problems(TrustDomain trustDomain)
    {
        if (!SpiffeId.IsMemberOf(trustDomain))
        {
            yield return $"SPIFFE ID {SpiffeId} is not in this server's trust domain; write spiffe://{trustDomain}{SpiffeId.Path}";
        }

        if (!SpiffeId.HasPath)
        {
            yield return $"SPIFFE ID {SpiffeId} has no path; it would name the whole trust domain";
        }

        if (ReservedIds.IsReserved(SpiffeId))
        {
            yield return $"SPIFFE ID {SpiffeId} is reserved for servers and agents; choose a path outside /spire/";
        }

        if (!ParentId.IsMemberOf(trustDomain) || !ParentId.HasPath)
        {
            yield return $"parent ID {ParentId} is not an agent of trust domain {trustDomain}; see: signet status";
        }

        if (ParentId == SpiffeId)
        {
            yield return $"parent ID {ParentId} is the entry's own SPIFFE ID";
        }

        if (Selectors.IsDefaultOrEmpty)
        {
            yield return "entry has no selector; without one every workload would match";
        }
        else if (Selectors.Length > MaxSelectors)
        {
            yield return $"entry has {Selectors.Length} selectors; the limit is {MaxSelectors}";
        }

        if (DnsNames.Length > MaxDnsNames)
        {
            yield return $"entry has {DnsNames.Length} DNS names; the limit is {MaxDnsNames}";
        }

        foreach (var name in DnsNames.Where(name => !DnsName.IsValid(name)))
        {
            yield return $"\"{Printable.Of(name)}\" is not a DNS name";
        }

        if (DnsNames.Length <= MaxDnsNames && !Template.TryFill(this, out _, out var problem))
        {
            yield return problem;
        }

        if (FederatesWith.Length > MaxFederatesWith || FederatesWith.Distinct().Count() < FederatesWith.Length)
        {
            yield return $"entry federates with {FederatesWith.Length} trust domains; the limit is {MaxFederatesWith}, each once";
        }

        if (FederatesWith.Contains(trustDomain))
        {
            yield return $"entry federates with its own trust domain {trustDomain}, whose bundle every workload has; leave it out";
        }

        if (X509Ttl is { } x509 && x509 < MinTtl)
        {
            yield return $"X.509 lifetime must be at least {MinTtl.TotalSeconds} s; leave it out for the server's default";
        }

        if (JwtTtl is { } jwt && jwt < MinTtl)
        {
            yield return $"JWT lifetime must be at least {MinTtl.TotalSeconds} s; leave it out for the server's default";
        }

        if (Id.Length > MaxIdLength)
        {
            yield return $"entry ID is {Id.Length} characters long; the limit is {MaxIdLength}";
        }

        if (System.Text.Encoding.UTF8.GetByteCount(Hint) > MaxHintBytes)
        {
            yield return $"hint is longer than {MaxHintBytes} bytes";
        }
    }
}

/// <summary>A field in which two entries differ, as text.</summary>
public sealed record EntryDifference(string Field, string Before, string After);
