namespace Signet.Policy.Objects;

/// <summary>What clients do when they connect to a host.</summary>
public sealed record DestinationRule : PolicyObject
{
    public override string Kind => "DestinationRule";

    /// <summary>The host, short names completed with the rule's own namespace; may begin with <c>*</c>.</summary>
    public required string Host { get; init; }

    /// <summary>The namespaces that see it; empty means all, <c>.</c> its own, <c>*</c> all.</summary>
    public IReadOnlyList<string> ExportTo { get; init; } = [];

    /// <summary>Whether it is only for some clients of its own namespace; <see cref="PolicyObject.Selector"/> says which.</summary>
    public bool HasWorkloadSelector { get; init; }

    public TrafficPolicy? TrafficPolicy { get; init; }

    /// <summary>By name; null when the subset has no traffic policy.</summary>
    public IReadOnlyDictionary<string, TrafficPolicy?> Subsets { get; init; } = new Dictionary<string, TrafficPolicy?>();

    /// <summary>Whether clients of its own namespace see it.</summary>
    internal bool IsLocal => HasWorkloadSelector || ExportTo.Count == 0 || ExportTo.Contains("*") || ExportTo.Contains(".") || ExportTo.Contains(Namespace);

    /// <summary>Whether nobody outside its namespace sees it.</summary>
    internal bool IsPrivate => HasWorkloadSelector || (ExportTo.Count == 1 && (ExportTo[0] == "." || ExportTo[0] == Namespace));

    internal bool IsExportedTo(string ns) =>
        !IsPrivate && (ExportTo.Count == 0 || ExportTo.Contains("*") || ExportTo.Contains(ns) || (ns == Namespace && ExportTo.Contains(".")));
}

/// <summary>What holds for all ports, and for some. A port that is named does not inherit.</summary>
public sealed record TrafficPolicy(PortTraffic General, IReadOnlyDictionary<int, PortTraffic> Ports);

/// <summary>What a traffic policy says; null is what it does not say.</summary>
/// <param name="Tls">TLS toward the host.</param>
/// <param name="Balancing">How an endpoint is chosen.</param>
/// <param name="Pool">How much may be under way at once.</param>
/// <param name="Outliers">When an endpoint that fails is left out.</param>
/// <param name="Retries">How many retries may be under way at once.</param>
public sealed record PortTraffic(ClientTlsSettings? Tls, LoadBalancing? Balancing = null, ConnectionPool? Pool = null, OutlierDetection? Outliers = null, RetryBudget? Retries = null)
{
    /// <summary>This, where it says something, over what it inherits.</summary>
    internal PortTraffic Over(PortTraffic? inherited) => inherited is null
        ? this
        : new(Tls ?? inherited.Tls, Balancing ?? inherited.Balancing, Pool ?? inherited.Pool, Outliers ?? inherited.Outliers, Retries ?? inherited.Retries);
}

/// <summary>A DestinationRule's <c>tls</c>, as written.</summary>
public sealed record ClientTlsSettings
{
    public required int Line { get; init; }

    public ClientTlsMode Mode { get; init; }

    /// <summary>Path of the client's certificate chain, PEM.</summary>
    public string? ClientCertificate { get; init; }

    /// <summary>Path of the client's private key, PEM.</summary>
    public string? PrivateKey { get; init; }

    /// <summary>Path of the authorities that are trusted; null means the operating system's.</summary>
    public string? CaCertificates { get; init; }

    /// <summary>Path of a revocation list.</summary>
    public string? CaCrl { get; init; }

    /// <summary>The name of a stored credential, instead of files.</summary>
    public string? CredentialName { get; init; }

    /// <summary>Names of which the server's certificate must have one.</summary>
    public IReadOnlyList<string> SubjectAltNames { get; init; } = [];

    /// <summary>The server name to ask for.</summary>
    public string? Sni { get; init; }

    /// <summary>Whether the server's certificate is believed unseen.</summary>
    public bool InsecureSkipVerify { get; init; }
}
