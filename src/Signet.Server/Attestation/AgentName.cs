using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Attestation.Ssh;

namespace Signet.Server.Attestation;

/// <summary>
/// How the last part of an agent's ID is made of what its node showed: text with placeholders in it, <c>{fingerprint}</c>, <c>{serialNumber}</c> and <c>{commonName}</c> of a certificate,
/// <c>{fingerprint}</c>, <c>{keyId}</c> and <c>{hostname}</c> of a host of SSH. Immutable.
/// </summary>
public sealed partial class AgentName
{
    private const string Fingerprint = "{fingerprint}", SerialNumber = "{serialNumber}", CommonName = "{commonName}", KeyId = "{keyId}", Hostname = "{hostname}";

    private readonly string _template;

    private AgentName(string template) => _template = template;

    /// <summary>The fingerprint: another certificate is another agent.</summary>
    public static AgentName ByFingerprint { get; } = new(Fingerprint);

    /// <summary>Reads how agents are named by their certificates.</summary>
    public static bool TryParse(string template, [NotNullWhen(true)] out AgentName? name, out string problem) => TryParse(template, [Fingerprint, SerialNumber, CommonName], out name, out problem);

    /// <summary>Reads how agents are named by what SSH knows of their hosts.</summary>
    public static bool TryParseOfHost(string template, [NotNullWhen(true)] out AgentName? name, out string problem) => TryParse(template, [Fingerprint, KeyId, Hostname], out name, out problem);

    /// <summary>What a certificate is called. One part of the certificate never becomes two parts of a path.</summary>
    public bool TryExpand(Certificate certificate, out string name, out string problem) => TryExpand(
        placeholder => placeholder switch
        {
            Fingerprint => (FingerprintOf(certificate), "fingerprint"),
            SerialNumber => (certificate.SerialHex, "serial number"),
            _ => (certificate.SubjectName.CommonName ?? "", "common name"),
        },
        out name,
        out problem);

    /// <summary>What a host of SSH is called.</summary>
    /// <param name="certificate">Its certificate.</param>
    /// <param name="host">Its name.</param>
    /// <param name="name">The name.</param>
    /// <param name="problem">Why there is none, when the answer is false; otherwise empty.</param>
    public bool TryExpand(SshCertificate certificate, string host, out string name, out string problem) => TryExpand(
        placeholder => placeholder switch
        {
            Fingerprint => (certificate.Fingerprint, "fingerprint"),
            KeyId => (certificate.KeyId, "key ID"),
            _ => (host, "host name"),
        },
        out name,
        out problem);

    /// <summary>SHA-1 of the encoding, because SPIRE's IDs and selectors are made of it. It names a certificate that was verified; it protects nothing.</summary>
    internal static string FingerprintOf(Certificate certificate) => Convert.ToHexStringLower(SHA1.HashData(certificate.Der.Span));

    private static bool TryParse(string template, string[] placeholders, [NotNullWhen(true)] out AgentName? name, out string problem)
    {
        var rest = placeholders.Aggregate(template, (text, placeholder) => text.Replace(placeholder, "x", StringComparison.Ordinal));
        problem = rest == template ? $"\"{Printable.Of(template)}\" would name all nodes alike; write one of {string.Join(", ", placeholders)} in it"
            : !SpiffeId.TryParse($"spiffe://example.org/{rest}", out _, out _) ? $"\"{Printable.Of(template)}\" makes no path of a SPIFFE ID; what stands around {string.Join(", ", placeholders)} must be letters, digits, '.', '-', '_' and '/'"
            : "";
        name = problem.Length == 0 ? new AgentName(template) : null;
        return name is not null;
    }

    // In one pass, so that nothing in a value is taken for a placeholder.
    private bool TryExpand(Func<string, (string Value, string What)> valueOf, out string name, out string problem)
    {
        var wrong = "";
        name = Placeholder().Replace(_template, match =>
        {
            var (value, what) = valueOf(match.Value);
            wrong = wrong.Length > 0 ? wrong
                : value.Length == 0 ? $"it has no {what}"
                : value.Contains('/', StringComparison.Ordinal) ? $"its {what} \"{Printable.Of(value)}\" has a '/'"
                : "";
            return value;
        });
        problem = wrong;
        return wrong.Length == 0;
    }

    [GeneratedRegex(@"\{[A-Za-z]+\}")]
    private static partial Regex Placeholder();
}
