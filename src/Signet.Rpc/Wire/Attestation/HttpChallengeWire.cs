using System.Diagnostics.CodeAnalysis;

namespace Signet.Rpc.Wire.Attestation;

/// <summary>What http_challenge's node shows, in SPIRE's form: where it will answer.</summary>
/// <param name="HostName">The name that it says is its own.</param>
/// <param name="AgentName">A word in the address, so that several agents can be told apart.</param>
/// <param name="Port">Where it listens.</param>
public sealed record HttpChallengeWire(string HostName, string AgentName, int Port)
{
    public const string Type = "http_challenge";

    public const int MaxHostNameLength = 253;

    public const int MaxAgentNameLength = 32;

    /// <summary>The longest nonce, in characters.</summary>
    public const int MaxNonceLength = 64;

    /// <summary>Where the nonce is expected: <c>/.well-known/spiffe/nodeattestor/http_challenge/NAME/challenge</c>.</summary>
    public string Path => $"/.well-known/spiffe/nodeattestor/http_challenge/{AgentName}/challenge";

    /// <summary>Letters, digits and hyphens, beginning with a letter.</summary>
    public static bool IsAgentName(string name) =>
        name.Length is > 0 and <= MaxAgentNameLength && char.IsAsciiLetter(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c == '-');

    public byte[] Encode() => AttestationJson.Write(writer =>
    {
        writer.WriteString("hostname", HostName);
        writer.WriteString("agentname", AgentName);
        writer.WriteNumber("port", Port);
    });

    /// <summary>Reads what <see cref="Encode"/> writes. Never throws.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> json, [NotNullWhen(true)] out HttpChallengeWire? shown, out string problem)
    {
        shown = null;
        if (!AttestationJson.TryRead(json, out var root, out problem))
        {
            return false;
        }

        var (host, agent) = (AttestationJson.Text(root, "hostname", MaxHostNameLength), AttestationJson.Text(root, "agentname", MaxAgentNameLength));
        var port = root.TryGetProperty("port", out var value) && value.ValueKind == System.Text.Json.JsonValueKind.Number && value.TryGetInt32(out var number) ? number : 0;
        problem = host is null ? $"it holds no hostname of at most {MaxHostNameLength} characters"
            : agent is null || !IsAgentName(agent) ? $"it holds no agentname of at most {MaxAgentNameLength} letters, digits and hyphens"
            : port is < 1 or > 65535 ? "it holds no port from 1 to 65535"
            : "";
        shown = problem.Length == 0 ? new HttpChallengeWire(host!, agent!, port) : null;
        return shown is not null;
    }

    /// <summary>What the server asks to find at <see cref="Path"/>.</summary>
    public static byte[] EncodeChallenge(string nonce) => AttestationJson.Write(writer => writer.WriteString("nonce", nonce));

    /// <summary>Reads what <see cref="EncodeChallenge"/> writes. Never throws.</summary>
    public static bool TryReadChallenge(ReadOnlyMemory<byte> json, [NotNullWhen(true)] out string? nonce, out string problem)
    {
        nonce = null;
        if (AttestationJson.TryRead(json, out var root, out problem))
        {
            nonce = AttestationJson.Text(root, "nonce", MaxNonceLength);
            problem = nonce is null ? $"it holds no nonce of at most {MaxNonceLength} characters" : "";
        }

        return nonce is not null;
    }

    /// <summary>What the node says once it can be asked.</summary>
    public static byte[] EncodeReady() => AttestationJson.Write(_ => { });
}
