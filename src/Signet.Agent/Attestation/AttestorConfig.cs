using Signet.Hosting.Configuration;

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

        return section.Choice<Func<ConfigSection, AttestorConfig>>("type", ReadJoinToken, ("joinToken", ReadJoinToken), ("x509pop", ReadX509Pop))(section);
    }

    internal INodeAttestor Build() => this switch
    {
        JoinToken byToken => new JoinTokenAttestor(byToken.Token),
        X509Pop byCertificate => new X509PopAttestor(byCertificate),
        _ => throw new InvalidOperationException($"unexpected {this}"),
    };

    private static JoinToken ReadJoinToken(ConfigSection section) => new(section.RequiredSecret("token"));

    private static X509Pop ReadX509Pop(ConfigSection section) =>
        new(section.RequiredFilePath("certificate"), section.RequiredFilePath("key"), section.FilePath("intermediates"));
}
