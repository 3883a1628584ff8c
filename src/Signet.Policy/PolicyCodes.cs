namespace Signet.Policy;

/// <summary>The stable codes of <see cref="PolicyProblem"/>; docs/reference/policy-lint.md explains each.</summary>
public static class PolicyCodes
{
    // Reading: SIG00xx
    public const string BadYaml = "SIG0001";
    public const string TooLarge = "SIG0002";
    public const string NotAPolicy = "SIG0003";
    public const string BadObject = "SIG0004";
    public const string UnknownField = "SIG0005";
    public const string BadValue = "SIG0006";
    public const string Unsupported = "SIG0007";
    public const string DeclaredTwice = "SIG0008";
    public const string HostBits = "SIG0009";
    public const string TlsWithoutMode = "SIG0010";
    public const string CredentialIgnored = "SIG0011";
    public const string FieldWithoutEffect = "SIG0012";
    public const string KeysOverPlaintext = "SIG0013";
    public const string DryRunTypo = "SIG0014";
    public const string NeverTriggered = "SIG0015";
    public const string EmptyList = "SIG0016";
    public const string KeysNowhere = "SIG0017";
}
