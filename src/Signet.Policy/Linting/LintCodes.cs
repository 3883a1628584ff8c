namespace Signet.Policy.Linting;

/// <summary>The stable codes of lint findings; docs/reference/policy-lint.md explains each. Codes of reading are in <see cref="PolicyCodes"/>.</summary>
public static class LintCodes
{
    // AuthorizationPolicy: SIG01xx
    public const string AllowsPlaintext = "SIG0101";
    public const string DenyWiderOnTcp = "SIG0102";
    public const string SelectsNothing = "SIG0103";
    public const string WildcardPrincipal = "SIG0104";
    public const string PrincipalNeverMatches = "SIG0105";
    public const string ForeignTrustDomain = "SIG0106";
    public const string UnreachableRule = "SIG0107";
    public const string UndefinedProvider = "SIG0108";
    public const string TargetRefsIgnored = "SIG0109";
    public const string DenyByPeerWithoutStrict = "SIG0110";
    public const string AuditWithoutRules = "SIG0111";

    // PeerAuthentication: SIG02xx
    public const string TwoInOneScope = "SIG0201";
    public const string RootSelectorIgnored = "SIG0202";
    public const string NoSuchWorkloadPort = "SIG0203";

    // DestinationRule: SIG03xx
    public const string ShadowedRule = "SIG0301";
    public const string PlaintextToStrict = "SIG0302";
    public const string TlsToDisabled = "SIG0303";
    public const string SkipsVerification = "SIG0304";
    public const string TwoForOneHost = "SIG0305";
    public const string NoCertificateCheck = "SIG0306";
}
