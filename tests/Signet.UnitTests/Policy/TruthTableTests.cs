using Signet.Policy;
using Signet.Policy.Inputs;

namespace Signet.UnitTests.Policy;

/// <summary>Whether both sides agree on mutual TLS.</summary>
public sealed class TruthTableTests
{
    private static string Server(string mode) => $"---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: s, namespace: prod}}\nspec: {{mtls: {{mode: {mode}}}}}\n";

    private static string Client(string mode) => mode switch
    {
        "" => "",
        "MUTUAL" => Rule("mode: MUTUAL, clientCertificate: /c, privateKey: /k"),
        _ => Rule("mode: " + mode),
    };

    private static string Rule(string tls) => $"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: c, namespace: web}}\nspec: {{host: \"*\", trafficPolicy: {{tls: {{{tls}}}}}}}\n";

    private static TableRow Row(string yaml, string service)
    {
        var input = ServicesFile.Read(new PolicyText("services.yaml", "[{" + service + "}]"));
        Assert.Empty(input.Problems);
        return Assert.Single(TruthTable.Of(Ask.Set(yaml), input.Value!));
    }

    [Theory]
    [InlineData("STRICT", "", "true", TableVerdict.Ok)]
    [InlineData("STRICT", "ISTIO_MUTUAL", "true", TableVerdict.Ok)]
    [InlineData("STRICT", "DISABLE", "true", TableVerdict.Conflict)]
    [InlineData("STRICT", "SIMPLE", "true", TableVerdict.Conflict)]
    [InlineData("STRICT", "MUTUAL", "true", TableVerdict.Conflict)]
    [InlineData("PERMISSIVE", "", "true", TableVerdict.Ok)]
    [InlineData("PERMISSIVE", "ISTIO_MUTUAL", "true", TableVerdict.Ok)]
    [InlineData("PERMISSIVE", "DISABLE", "true", TableVerdict.Plaintext)]
    [InlineData("PERMISSIVE", "SIMPLE", "true", TableVerdict.Ok)]
    [InlineData("PERMISSIVE", "MUTUAL", "true", TableVerdict.Ok)]
    [InlineData("DISABLE", "", "true", TableVerdict.Plaintext)]
    [InlineData("DISABLE", "ISTIO_MUTUAL", "true", TableVerdict.Conflict)]
    [InlineData("DISABLE", "DISABLE", "true", TableVerdict.Plaintext)]
    [InlineData("DISABLE", "SIMPLE", "true", TableVerdict.Ok)]
    [InlineData("STRICT", "", "false", TableVerdict.Plaintext)]
    [InlineData("STRICT", "ISTIO_MUTUAL", "false", TableVerdict.Conflict)]
    [InlineData("STRICT", "DISABLE", "false", TableVerdict.Plaintext)]
    [InlineData("STRICT", "SIMPLE", "false", TableVerdict.Ok)]
    public void Both_sides_together_give_the_verdict(string server, string client, string sidecar, TableVerdict verdict)
    {
        var row = Row(Server(server) + Client(client), $"name: x, client: {{namespace: web, principal: a/b}}, host: s, namespace: prod, port: 80, endpoints: [{{labels: {{}}, sidecar: {sidecar}}}]");
        Assert.Equal(verdict, row.Verdict);
        Assert.Equal(client.Length == 0 ? null : "web/c", row.Client.From);
        Assert.Equal(sidecar == "true" ? new PortMtls(Enum.Parse<MtlsMode>(server, ignoreCase: true), "prod/s") : new PortMtls(MtlsMode.Disable, null), row.Server);
    }

    [Theory]
    [InlineData("STRICT", TableVerdict.Conflict)]
    [InlineData("PERMISSIVE", TableVerdict.Plaintext)]
    public void A_client_without_identity_is_outside_the_mesh_and_speaks_plaintext(string server, TableVerdict verdict)
    {
        var row = Row(Server(server) + Client("ISTIO_MUTUAL"), "client: {namespace: web}, host: s, namespace: prod, port: 80, endpoints: [{labels: {}, sidecar: true}]");
        Assert.Equal((ClientTlsMode.Disable, null, verdict), (row.Client.Mode, row.Client.From, row.Verdict));
    }

    [Fact]
    public void Several_endpoints_count_as_the_worst_headless_or_not()
    {
        foreach (var headless in new[] { "true", "false" })
        {
            var row = Row("", $"client: {{namespace: web, principal: a/b}}, host: s, namespace: prod, port: 80, headless: {headless}, endpoints: [{{labels: {{}}, sidecar: true}}, {{labels: {{}}, sidecar: false}}]");
            Assert.Equal((TableVerdict.Plaintext, ClientTlsMode.Disable, MtlsMode.Disable), (row.Verdict, row.Client.Mode, row.Server.Mode));
        }
    }

    [Fact]
    public void Server_modes_go_by_the_workloads_port_and_rules_by_the_services()
    {
        const string yaml = """
            apiVersion: security.istio.io/v1
            kind: PeerAuthentication
            metadata: {name: s, namespace: prod}
            spec: {selector: {matchLabels: {app: x}}, mtls: {mode: PERMISSIVE}, portLevelMtls: {8080: {mode: STRICT}}}
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: c, namespace: prod}
            spec: {host: s, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}}
            """;
        const string service = "client: {namespace: web, principal: a/b}, host: s, namespace: prod, port: 80, endpoints: [{labels: {app: x}, sidecar: true}]";
        Assert.Equal(TableVerdict.Conflict, Row(yaml, service + ", targetPort: 8080").Verdict);
        Assert.Equal(TableVerdict.Plaintext, Row(yaml, service + ", targetPort: 9090").Verdict);
    }
}
