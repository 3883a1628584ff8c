namespace Signet.Policy;

/// <summary>The words for modes, stages and actions, as policies, answers and logs spell them. They are part of the contract and stay as they are.</summary>
public static class PolicyWords
{
    public static string Word(this MtlsMode mode) => mode switch
    {
        MtlsMode.Strict => "STRICT",
        MtlsMode.Disable => "DISABLE",
        _ => "PERMISSIVE",
    };

    public static string Word(this ClientTlsMode mode) => mode switch
    {
        ClientTlsMode.Disable => "DISABLE",
        ClientTlsMode.Simple => "SIMPLE",
        ClientTlsMode.Mutual => "MUTUAL",
        _ => "ISTIO_MUTUAL",
    };

    public static string Word(this Stage stage) => stage switch
    {
        Stage.Request => "request",
        Stage.PeerAuthentication => "peer-authentication",
        Stage.Custom => "custom",
        Stage.Deny => "deny",
        Stage.Allow => "allow",
        _ => "default",
    };

    public static string Word(this PolicyAction action) => action switch
    {
        PolicyAction.Deny => "DENY",
        PolicyAction.Audit => "AUDIT",
        PolicyAction.Custom => "CUSTOM",
        _ => "ALLOW",
    };

    public static string Word(this TableVerdict verdict) => verdict switch
    {
        TableVerdict.Ok => "OK",
        TableVerdict.Plaintext => "PLAINTEXT",
        _ => "CONFLICT",
    };

    public static string Word(this PolicySeverity severity) => severity switch
    {
        PolicySeverity.Error => "error",
        PolicySeverity.Warning => "warning",
        _ => "info",
    };
}
