using Signet.Policy.Inputs;

namespace Signet.Policy;

/// <summary>Whether client and server agree; the worst is the greatest.</summary>
public enum TableVerdict
{
    /// <summary>The connection is encrypted and comes about.</summary>
    Ok,

    /// <summary>The connection comes about in plaintext.</summary>
    Plaintext,

    /// <summary>The connection does not come about.</summary>
    Conflict,
}

/// <summary>One line of the truth table: what the server's side says, what the client's side says, and what comes of it.</summary>
/// <param name="Name">The service's name in the input.</param>
/// <param name="Server">The endpoint's mode and the PeerAuthentication that supplied it.</param>
/// <param name="Client">What the client does and the DestinationRule that says so.</param>
/// <param name="Verdict">What comes of it.</param>
public sealed record TableRow(string Name, PortMtls Server, ClientTls Client, TableVerdict Verdict);

/// <summary>Answers, for clients and services, who would speak mutual TLS with whom, and which objects say so.</summary>
public static class TruthTable
{
    public static IReadOnlyList<TableRow> Of(PolicySet policies, IEnumerable<WrittenService> services) => [.. services.Select(service => Row(policies, service))];

    /// <summary>The verdict on one endpoint.</summary>
    public static TableVerdict Judge(MtlsMode server, ClientTls client) => (client.Mode, server) switch
    {
        _ when client.Refusal is not null => TableVerdict.Conflict,
        (ClientTlsMode.IstioMutual, MtlsMode.Disable) => TableVerdict.Conflict,
        (ClientTlsMode.IstioMutual, _) => TableVerdict.Ok,
        (_, MtlsMode.Strict) => TableVerdict.Conflict,
        (ClientTlsMode.Disable, _) => TableVerdict.Plaintext,
        _ => TableVerdict.Ok,
    };

    private static TableRow Row(PolicySet policies, WrittenService service)
    {
        // A service without endpoints is judged by what holds for its whole namespace.
        IReadOnlyList<WrittenEndpoint> endpoints = service.Endpoints.Count > 0 ? service.Endpoints : [new WrittenEndpoint(new Dictionary<string, string>(), HasSidecar: true)];
        return endpoints.Select(endpoint => Row(policies, service, endpoint)).MaxBy(row => row.Verdict)!;
    }

    private static TableRow Row(PolicySet policies, WrittenService service, WrittenEndpoint endpoint)
    {
        var server = endpoint.HasSidecar
            ? policies.MtlsFor(new Workload(service.Namespace, null, endpoint.Labels), service.TargetPort)
            : new PortMtls(MtlsMode.Disable, null);
        var client = service.ClientInMesh
            ? policies.ClientTls(new ClientTlsQuery(service.Client, service.Host, service.Namespace, service.Port, new ClientEndpoint(endpoint.HasSidecar, server.Mode)))
            : new ClientTls(ClientTlsMode.Disable, null, "the client is outside the mesh");
        return new TableRow(service.Name, server, client, Judge(server.Mode, client));
    }
}
