namespace Signet.Proxy.L7;

/// <summary>What a refused client gets beside the proxy's own words.</summary>
/// <param name="Status">The status, 300 to 599.</param>
/// <param name="Fields">Fields that are safe to send.</param>
/// <param name="Body">The body; null for the proxy's own.</param>
internal sealed record Reply(int Status, IReadOnlyList<KeyValuePair<string, string>> Fields, byte[]? Body = null);

/// <summary>What becomes of a request: leave to forward it, or a reply; neither is a refusal in the proxy's own words.</summary>
internal readonly record struct Ruling(Forwarding? Forwarding, Reply? Reply)
{
    public static Ruling Refused => default;
}
