namespace Signet.Identity.Registration;

/// <summary>Host names as they may stand in a certificate (RFC 1123 §2.1, RFC 5280 §4.2.1.6); a leading <c>*.</c> label is allowed.</summary>
public static class DnsName
{
    private const int MaxName = 253;
    private const int MaxLabel = 63;

    public static bool IsValid(string name)
    {
        var labels = name.StartsWith("*.", StringComparison.Ordinal) ? name[2..] : name;
        return labels.Length is > 0 and <= MaxName && labels.Split('.').All(IsLabel);
    }

    private static bool IsLabel(string label) =>
        label.Length is > 0 and <= MaxLabel
        && label.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')
        && label[0] != '-' && label[^1] != '-';
}
