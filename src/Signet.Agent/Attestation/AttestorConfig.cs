using System.Net;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Attestation;

namespace Signet.Agent.Attestation;

/// <summary>How this node proves itself to the server.</summary>
public abstract record AttestorConfig
{
    /// <summary>By a token that an operator made; not needed any more once the node has joined.</summary>
    public sealed record JoinToken(Secret? Token) : AttestorConfig;

    /// <summary>By a certificate and its key.</summary>
    /// <param name="Certificate">PEM file; intermediates may follow in it.</param>
    /// <param name="Key">PEM file.</param>
    /// <param name="Intermediates">PEM file with further certificates; null for none.</param>
    public sealed record X509Pop(string Certificate, string Key, string? Intermediates) : AttestorConfig;

    /// <summary>By the service account token of the pod that the agent runs in.</summary>
    /// <param name="Cluster">As the server knows it.</param>
    /// <param name="TokenFile">Where the token is projected.</param>
    public sealed record K8sPsat(string Cluster, string TokenFile) : AttestorConfig;

    /// <summary>By answering on a port of its own host name.</summary>
    /// <param name="HostName">The name by which the server finds this node.</param>
    /// <param name="AgentName">A word in the address, so that several agents can be told apart.</param>
    /// <param name="Listen">Where to answer; port 0 takes a free one.</param>
    /// <param name="AdvertisedPort">The port on which the server arrives there; null for the same.</param>
    public sealed record HttpChallenge(string HostName, string AgentName, IPEndPoint Listen, int? AdvertisedPort) : AttestorConfig;

    /// <summary>By the certificate that OpenSSH has for this host.</summary>
    /// <param name="Certificate">As <c>ssh_host_ed25519_key-cert.pub</c>.</param>
    /// <param name="Key">As <c>ssh_host_ed25519_key</c>.</param>
    public sealed record SshPop(string Certificate, string Key) : AttestorConfig;

    /// <summary>By a certificate whose key lies in the node's TPM.</summary>
    /// <param name="Certificate">PEM file; intermediates may follow in it.</param>
    /// <param name="PublicKey">The public half of the key, as the TPM gave it out.</param>
    /// <param name="PrivateKey">The private half, which only the TPM can open.</param>
    /// <param name="Device">The TPM: a device, or <c>unix:PATH</c> for a software TPM.</param>
    /// <param name="OwnerPassword">Of the owner's hierarchy.</param>
    /// <param name="EndorsementPassword">Of the endorsement hierarchy.</param>
    /// <param name="KeyPassword">Of the key.</param>
    public sealed record TpmDevId(string Certificate, string PublicKey, string PrivateKey, string Device, Secret? OwnerPassword, Secret? EndorsementPassword, Secret? KeyPassword) : AttestorConfig;

    /// <summary>Reads the key <c>joinToken</c> and the section <c>attestor</c>, of which one may stand there.</summary>
    public static AttestorConfig Read(ConfigSection root)
    {
        var token = root.Secret("joinToken");
        var section = root.Section("attestor");
        if (!section.IsPresent)
        {
            return new JoinToken(token);
        }

        if (token is not null)
        {
            root.Problem("joinToken", "stands beside attestor, and a node has one way to prove itself; leave one of them out");
        }

        return section.Choice<Func<ConfigSection, AttestorConfig>>("type", ReadJoinToken, ("joinToken", ReadJoinToken), ("x509pop", ReadX509Pop), ("k8sPsat", ReadK8sPsat), ("httpChallenge", ReadHttpChallenge), ("sshpop", ReadSshPop), ("tpmDevid", ReadTpmDevId))(section);
    }

    internal INodeAttestor Build() => this switch
    {
        JoinToken byToken => new JoinTokenAttestor(byToken.Token),
        X509Pop byCertificate => new X509PopAttestor(byCertificate),
        K8sPsat byPod => new K8sPsatAttestor(byPod),
        HttpChallenge byHost => new HttpChallengeAttestor(byHost),
        SshPop byHostKey => new SshPopAttestor(byHostKey),
        TpmDevId byTpm => new TpmDevIdAttestor(byTpm),
        _ => throw new InvalidOperationException($"unexpected {this}"),
    };

    private static JoinToken ReadJoinToken(ConfigSection section) => new(section.RequiredSecret("token"));

    private static X509Pop ReadX509Pop(ConfigSection section) =>
        new(section.RequiredFilePath("certificate"), section.RequiredFilePath("key"), section.FilePath("intermediates"));

    private static K8sPsat ReadK8sPsat(ConfigSection section) =>
        new(section.RequiredText("cluster"), section.FilePath("tokenFile", "/var/run/secrets/tokens/spire-agent"));

    private static SshPop ReadSshPop(ConfigSection section) =>
        new(section.FilePath("certificate", "/etc/ssh/ssh_host_rsa_key-cert.pub"), section.FilePath("key", "/etc/ssh/ssh_host_rsa_key"));

    private static TpmDevId ReadTpmDevId(ConfigSection section) => new(
        section.RequiredFilePath("certificate"), section.RequiredFilePath("publicKey"), section.RequiredFilePath("privateKey"), section.Text("device", "/dev/tpmrm0"),
        section.Secret("ownerPassword"), section.Secret("endorsementPassword"), section.Secret("keyPassword"));

    private static HttpChallenge ReadHttpChallenge(ConfigSection section)
    {
        var agentName = section.Text("agentName", "default");
        if (!HttpChallengeWire.IsAgentName(agentName))
        {
            section.Problem("agentName", $"\"{Printable.Of(agentName)}\" is not a word of at most {HttpChallengeWire.MaxAgentNameLength} letters, digits and hyphens that begins with a letter");
        }

        return new HttpChallenge(section.RequiredText("hostName"), agentName, section.ListenEndPoint("listen", "0.0.0.0:80"), section.Integer("advertisedPort", 1, 65535));
    }
}
