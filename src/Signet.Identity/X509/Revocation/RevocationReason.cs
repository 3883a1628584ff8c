using System.Diagnostics.CodeAnalysis;

namespace Signet.Identity.X509.Revocation;

/// <summary>Why an issuer no longer stands by a certificate (RFC 5280 §5.3.1, CRLReason); those that make sense for a workload.</summary>
public enum RevocationReason
{
    Unspecified = 0,
    KeyCompromise = 1,
    AffiliationChanged = 3,
    Superseded = 4,
    CessationOfOperation = 5,
    PrivilegeWithdrawn = 9,
}

/// <summary>Reasons as people write them.</summary>
public static class RevocationReasons
{
    private static readonly (string Name, RevocationReason Reason)[] All =
    [
        ("unspecified", RevocationReason.Unspecified), ("keyCompromise", RevocationReason.KeyCompromise), ("affiliationChanged", RevocationReason.AffiliationChanged),
        ("superseded", RevocationReason.Superseded), ("cessationOfOperation", RevocationReason.CessationOfOperation), ("privilegeWithdrawn", RevocationReason.PrivilegeWithdrawn),
    ];

    /// <summary>All names, as RFC 5280 spells them.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(one => one.Name)];

    public static string Name(this RevocationReason reason) => Array.Find(All, one => one.Reason == reason).Name;

    public static bool TryParse(string text, [NotNullWhen(true)] out RevocationReason? reason, out string problem)
    {
        var index = Array.FindIndex(All, one => one.Name == text);
        reason = index >= 0 ? All[index].Reason : null;
        problem = index >= 0 ? "" : $"\"{Spiffe.Printable.Of(text)}\" is not a reason of revocation; write one of {string.Join(", ", Names)}";
        return index >= 0;
    }
}
