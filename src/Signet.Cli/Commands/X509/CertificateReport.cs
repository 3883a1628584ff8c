using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Cli.Commands.X509;

/// <summary>What there is to say about one certificate, for people and for scripts.</summary>
internal sealed record CertificateReport
{
    /// <summary>camelCase, times in RFC 3339, nulls written.</summary>
    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter() },
    };

    public required string Role { get; init; }

    public required string? SpiffeId { get; init; }

    public required string Subject { get; init; }

    public required string Issuer { get; init; }

    public required string Serial { get; init; }

    public required DateTimeOffset NotBefore { get; init; }

    public required DateTimeOffset NotAfter { get; init; }

    /// <summary>valid, expired or not-yet-valid.</summary>
    public required string Validity { get; init; }

    public required string Key { get; init; }

    public required string Signature { get; init; }

    public required IReadOnlyList<string> KeyUsage { get; init; }

    public required IReadOnlyList<string> ExtendedKeyUsage { get; init; }

    public required IReadOnlyList<string> UriNames { get; init; }

    public required IReadOnlyList<string> DnsNames { get; init; }

    public required IReadOnlyList<string> IpAddresses { get; init; }

    public required IReadOnlyList<string> EmailAddresses { get; init; }

    public required int? PathLength { get; init; }

    public required IReadOnlyList<string> CrlUris { get; init; }

    public required string Fingerprint { get; init; }

    /// <summary>The rules of X509-SVID.md that the certificate breaks, each with its section.</summary>
    public required IReadOnlyList<string> Findings { get; init; }

    public static CertificateReport Of(Certificate certificate, DateTimeOffset now) => new()
    {
        Role = RoleOf(certificate),
        SpiffeId = certificate.UriNames is [var uri] && Identity.Spiffe.SpiffeId.TryParse(uri, out var id, out _) ? id.Uri : null,
        Subject = certificate.Subject,
        Issuer = certificate.Issuer,
        Serial = certificate.SerialHex,
        NotBefore = certificate.NotBefore,
        NotAfter = certificate.NotAfter,
        Validity = !certificate.HasBegun(now) ? "not-yet-valid" : certificate.HasEnded(now) ? "expired" : "valid",
        Key = certificate.KeyDescription,
        Signature = certificate.SignatureDescription,
        KeyUsage = certificate.KeyUsage is { } usage ? [.. Enum.GetValues<KeyUsages>().Where(u => u != KeyUsages.None && usage.HasFlag(u)).Select(NameOf)] : [],
        ExtendedKeyUsage = [.. (certificate.ExtendedKeyUsages ?? []).Select(NameOf)],
        UriNames = [.. certificate.UriNames.Select(n => Printable.Of(n))],
        DnsNames = [.. certificate.DnsNames.Select(n => Printable.Of(n))],
        IpAddresses = [.. certificate.IpAddresses.Select(a => a.ToString())],
        EmailAddresses = [.. certificate.AlternativeNames.Where(n => n.Kind == GeneralNameKind.Email).Select(n => Printable.Of(n.Text))],
        PathLength = certificate.BasicConstraints?.PathLength,
        CrlUris = [.. certificate.CrlUris.Select(u => Printable.Of(u))],
        Fingerprint = certificate.Fingerprint,
        Findings = X509SvidProfile.FindProblems(certificate),
    };

    public void WriteTo(TextWriter output, int number, DateTimeOffset now)
    {
        output.WriteLine($"{number}. {Role}: {SpiffeId ?? Subject}");
        Line("subject", Subject.Length > 0 ? Subject : "(empty)");
        Line("issuer", Issuer);
        Line("serial", Serial);
        Line("valid", $"{Show(NotBefore)} to {Show(NotAfter)}, {Left(now)}");
        Line("key", Key);
        Line("signature", Signature);
        Line("key usage", string.Join(", ", KeyUsage));
        Line("purposes", string.Join(", ", ExtendedKeyUsage));
        Line("URI names", string.Join(", ", UriNames));
        Line("DNS names", string.Join(", ", DnsNames));
        Line("addresses", string.Join(", ", IpAddresses));
        Line("mailboxes", string.Join(", ", EmailAddresses));
        Line("path length", PathLength?.ToString(CultureInfo.InvariantCulture) ?? "");
        Line("CRL", string.Join(", ", CrlUris));
        Line("fingerprint", Fingerprint);
        if (Findings.Count == 0)
        {
            Line("X509-SVID", "keeps every rule");
        }

        foreach (var finding in Findings)
        {
            Line("X509-SVID", "no: " + finding);
        }

        void Line(string name, string value)
        {
            if (value.Length > 0)
            {
                output.WriteLine($"   {name,-12} {value}");
            }
        }
    }

    private static string RoleOf(Certificate certificate) => certificate switch
    {
        { IsAuthority: true } when certificate.IsSelfIssued && certificate.IsSignedBy(certificate) => "root authority",
        { IsAuthority: true } => "intermediate authority",
        _ when X509SvidProfile.TryReadId(certificate, out _, out _) => "workload",
        _ => "leaf",
    };

    private string Left(DateTimeOffset now) => Validity switch
    {
        "expired" => $"expired {Span(now - NotAfter)} ago",
        "not-yet-valid" => $"begins in {Span(NotBefore - now)}",
        _ => $"{Span(NotAfter - now)} left",
    };

    private static string Span(TimeSpan span) => span switch
    {
        { TotalDays: >= 2 } => $"{(int)span.TotalDays}d {span.Hours}h",
        { TotalHours: >= 1 } => $"{(int)span.TotalHours}h {span.Minutes}m",
        { TotalMinutes: >= 1 } => $"{span.Minutes}m {span.Seconds}s",
        _ => $"{span.Seconds}s",
    };

    private static string Show(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static string NameOf(KeyUsages usage) => usage == KeyUsages.CrlSign ? "cRLSign" : JsonNamingPolicy.CamelCase.ConvertName(usage.ToString());

    private static string NameOf(string oid) => oid switch
    {
        "1.3.6.1.5.5.7.3.1" => "serverAuth",
        "1.3.6.1.5.5.7.3.2" => "clientAuth",
        "2.5.29.37.0" => "any",
        _ => oid,
    };
}
