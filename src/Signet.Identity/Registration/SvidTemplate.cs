using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Identity.Registration;

/// <summary>
/// What an entry says about its X.509-SVID besides the ID, the lifetime and the plain DNS names: the kind of key, the subject, and further names, in
/// which <c>{…}</c> stands for something of the entry. Only the server fills it in. Immutable; equal when it says the same.
/// </summary>
public sealed record SvidTemplate
{
    public const int MaxNames = 32;

    /// <summary>The longest subject or name, in characters, before and after it is filled in.</summary>
    public const int MaxText = 320;

    private const string Dns = "dns:";
    private const string Ip = "ip:";
    private const string Email = "email:";

    /// <summary>Says nothing: the certificate is what certificates are by default.</summary>
    public static SvidTemplate None { get; } = new();

    /// <summary>The kind of key that the workload gets; null leaves it to the agent.</summary>
    public KeyType? KeyType { get; init; }

    /// <summary>The subject as RFC 4514 writes it, most specific attribute first; empty for the default.</summary>
    public string Subject { get; init; } = "";

    /// <summary>Further names: <c>dns:NAME</c>, <c>ip:ADDRESS</c>, <c>email:ADDRESS</c>.</summary>
    public ImmutableArray<string> Names { get; init; } = [];

    public bool IsNone => KeyType is null && Subject.Length == 0 && Names.IsEmpty;

    /// <summary>Fills in what the certificate is to say.</summary>
    /// <param name="entry">Whose template this is: variables stand for what it says, and its DNS names come first.</param>
    /// <param name="names">The result, when the answer is true.</param>
    /// <param name="problem">Why there would be no sound certificate, when the answer is false; otherwise empty.</param>
    public bool TryFill(RegistrationEntry entry, [NotNullWhen(true)] out SvidNames? names, out string problem)
    {
        names = null;
        DistinguishedName? subject = null;
        if (Subject.Length > 0 && !SubjectTemplate.TryFill(Subject, entry, out subject, out problem))
        {
            problem = $"subject: {problem}";
            return false;
        }

        if (Names.Length > MaxNames)
        {
            problem = $"{Names.Length} further names; the limit is {MaxNames}";
            return false;
        }

        var (dns, addresses, emails) = (entry.DnsNames.ToList(), new List<IPAddress>(), new List<string>());
        foreach (var name in Names)
        {
            if (!TryAdd(name, entry, dns, addresses, emails, out problem))
            {
                problem = $"name \"{Printable.Of(name)}\": {problem}";
                return false;
            }
        }

        problem = "";
        names = new SvidNames(
            subject, [.. dns.Distinct(StringComparer.OrdinalIgnoreCase)], [.. addresses.Distinct()], [.. emails.Distinct(StringComparer.OrdinalIgnoreCase)]);
        return true;
    }

    public bool Equals(SvidTemplate? other) =>
        other is not null && KeyType == other.KeyType && Subject == other.Subject && Names.SequenceEqual(other.Names, StringComparer.Ordinal);

    public override int GetHashCode() => HashCode.Combine(KeyType, Subject, Names.Length);

    private static bool TryAdd(string name, RegistrationEntry entry, List<string> dns, List<IPAddress> addresses, List<string> emails, out string problem)
    {
        if (name.StartsWith("uri:", StringComparison.OrdinalIgnoreCase))
        {
            problem = "a certificate has exactly one URI name, the SPIFFE ID (X509-SVID §2)";
            return false;
        }

        var kind = new[] { Dns, Ip, Email }.FirstOrDefault(prefix => name.StartsWith(prefix, StringComparison.Ordinal));
        if (kind is null)
        {
            problem = "it begins with none of dns:, ip: and email:";
            return false;
        }

        if (!TextTemplate.TryFill(name[kind.Length..], entry, MaxText, out var filled, out problem))
        {
            return false;
        }

        switch (kind)
        {
            case Dns when DnsName.IsValid(filled):
                dns.Add(filled);
                break;
            case Ip when TryReadAddress(filled, out var address):
                addresses.Add(address);
                break;
            case Email when IsMailbox(filled):
                emails.Add(filled);
                break;
            default:
                problem = $"\"{Printable.Of(filled)}\" is not {(kind == Dns ? "a DNS name" : kind == Ip ? "an IP address of one host, written as 10.0.0.1 or 2001:db8::1" : "an e-mail address of ASCII letters (RFC 5280 §4.2.1.6)")}";
                break;
        }

        return problem.Length == 0;
    }

    // One way to write each address: "1" and "0x7f.1" are addresses to some readers and names to others.
    private static bool TryReadAddress(string text, [NotNullWhen(true)] out IPAddress? address) =>
        IPAddress.TryParse(text, out address)
        && string.Equals(address.ToString(), text, StringComparison.OrdinalIgnoreCase)
        && !text.Contains('%', StringComparison.Ordinal)
        && !address.IsIPv4MappedToIPv6
        && !address.Equals(IPAddress.Any)
        && !address.Equals(IPAddress.IPv6Any);

    // Mailbox = dot-string "@" domain (RFC 5321 §4.1.2), without quoted strings and address literals.
    private static bool IsMailbox(string text)
    {
        const int MaxLocal = 64;
        var at = text.IndexOf('@', StringComparison.Ordinal);
        return at is > 0 and <= MaxLocal
            && text[..at].Split('.').All(atom => atom.Length > 0 && atom.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-/=?^_`{|}~".Contains(c, StringComparison.Ordinal)))
            && !text[(at + 1)..].StartsWith('*')
            && DnsName.IsValid(text[(at + 1)..]);
    }
}

/// <summary>What a certificate says besides the SPIFFE ID. Immutable.</summary>
/// <param name="Subject">Null for the default.</param>
public sealed record SvidNames(
    DistinguishedName? Subject, ImmutableArray<string> DnsNames, ImmutableArray<IPAddress> IpAddresses, ImmutableArray<string> EmailAddresses);
