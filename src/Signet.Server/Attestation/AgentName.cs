using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Server.Attestation;

/// <summary>
/// How the last part of an agent's ID is made of its certificate: text with <c>{fingerprint}</c>, <c>{serialNumber}</c> and <c>{commonName}</c>
/// in it. Immutable.
/// </summary>
public sealed class AgentName
{
    private static readonly string[] Placeholders = ["{fingerprint}", "{serialNumber}", "{commonName}"];

    private readonly string _template;

    private AgentName(string template) => _template = template;

    /// <summary>The fingerprint: another certificate is another agent.</summary>
    public static AgentName ByFingerprint { get; } = new("{fingerprint}");

    public static bool TryParse(string template, [NotNullWhen(true)] out AgentName? name, out string problem)
    {
        var rest = Placeholders.Aggregate(template, (text, placeholder) => text.Replace(placeholder, "x", StringComparison.Ordinal));
        problem = rest == template ? $"\"{Printable.Of(template)}\" would name all nodes alike; write one of {string.Join(", ", Placeholders)} in it"
            : !SpiffeId.TryParse($"spiffe://example.org/{rest}", out _, out _) ? $"\"{Printable.Of(template)}\" makes no path of a SPIFFE ID; what stands around {string.Join(", ", Placeholders)} must be letters, digits, '.', '-', '_' and '/'"
            : "";
        name = problem.Length == 0 ? new AgentName(template) : null;
        return name is not null;
    }

    /// <summary>What a certificate is called. One part of the certificate never becomes two parts of a path.</summary>
    public bool TryExpand(Certificate certificate, out string name, out string problem)
    {
        var commonName = certificate.SubjectName.CommonName ?? "";
        problem = !_template.Contains(Placeholders[2], StringComparison.Ordinal) ? ""
            : commonName.Length == 0 ? "it has no common name"
            : commonName.Contains('/', StringComparison.Ordinal) ? $"its common name \"{Printable.Of(commonName)}\" has a '/'"
            : "";

        // The common name goes in last, so that nothing in it is taken for a placeholder.
        name = _template
            .Replace(Placeholders[0], FingerprintOf(certificate), StringComparison.Ordinal)
            .Replace(Placeholders[1], certificate.SerialHex, StringComparison.Ordinal)
            .Replace(Placeholders[2], commonName, StringComparison.Ordinal);
        return problem.Length == 0;
    }

    /// <summary>SHA-1 of the encoding, because SPIRE's IDs and selectors are made of it. It names a certificate that was verified; it protects nothing.</summary>
    internal static string FingerprintOf(Certificate certificate) => Convert.ToHexStringLower(SHA1.HashData(certificate.Der.Span));
}
