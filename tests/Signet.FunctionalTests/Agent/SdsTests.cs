using System.Text.Json.Nodes;
using Grpc.Core;
using Signet.Agent.Sds;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Secret;
using Signet.Rpc.Wire.Envoy.Tls;
using Signet.Testing;
using Node = Signet.Rpc.Wire.Envoy.Core.Node;

namespace Signet.FunctionalTests.Agent;

/// <summary>SDS v3 on the agent's socket, as proxies speak it.</summary>
public sealed class SdsTests(AgentDomain world) : IClassFixture<AgentDomain>, IDisposable
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(5)).Token;
    private readonly GrpcChannel _channel = world.Connect();
    private readonly TestFolder _folder = new();

    [Fact]
    public async Task A_stream_serves_every_kind_of_name_and_reports_a_guess_for_itself()
    {
        using var call = Api.StreamSecrets(Options);
        await call.RequestStream.WriteAsync(Request("guess-stream", ["default", "ROOTCA", "ALL", "spiffe://example.org/web", "spiffe://example.org", "spiffe://example.org/billing", "nobody-knows"]), _patience);
        var first = await NextAsync(call);
        Assert.Equal(["ALL", "ROOTCA", "default", "spiffe://example.org", "spiffe://example.org/web"], Names(first));
        Assert.Equal(["nobody-knows", "spiffe://example.org/billing"], first.ResourceErrors.Select(error => error.ResourceName.Name).Order(StringComparer.Ordinal));
        Assert.Single(first.ResourceErrors.Select(error => error.ErrorDetail.Message).Distinct());

        await call.RequestStream.WriteAsync(Request("guess-stream", ["default"], first), _patience);
        await call.RequestStream.WriteAsync(Request("guess-stream", ["default", "ROOTCA"], first), _patience);
        var second = await NextAsync(call);
        Assert.Equal(["ROOTCA", "default"], Names(second));
        Assert.NotEqual(first.Nonce, second.Nonce);
    }

    [Fact]
    public async Task Increments_bring_what_is_asked_for_and_take_back_what_is_not_there()
    {
        using var call = Api.DeltaSecrets(Options);
        await call.RequestStream.WriteAsync(Delta("delta", ["default", "spiffe://example.org/billing"]), _patience);
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        var first = call.ResponseStream.Current;
        Assert.Equal("default", Assert.Single(first.Resources).Name);
        Assert.Equal(["spiffe://example.org/billing"], first.RemovedResources);
        Assert.Contains("BEGIN PRIVATE KEY", first.Resources[0].Resource_.Unpack<Secret>().TlsCertificate.PrivateKey.InlineBytes.ToStringUtf8(), StringComparison.Ordinal);

        var more = Delta("delta", ["ROOTCA"]);
        more.ResponseNonce = first.Nonce;
        await call.RequestStream.WriteAsync(more, _patience);
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        Assert.Equal("ROOTCA", Assert.Single(call.ResponseStream.Current.Resources).Name);

        // Back on a new stream with what it has, it hears only of what it has not.
        using var again = Api.DeltaSecrets(Options);
        var back = Delta("delta", ["default", "ROOTCA"]);
        back.InitialResourceVersions["default"] = first.Resources[0].Version;
        back.InitialResourceVersions["ROOTCA"] = "older";
        await again.RequestStream.WriteAsync(back, _patience);
        Assert.True(await again.ResponseStream.MoveNext(_patience));
        Assert.Equal("ROOTCA", Assert.Single(again.ResponseStream.Current.Resources).Name);
    }

    [Fact]
    public async Task One_question_has_one_answer_or_the_reason_why_not()
    {
        var answer = await Api.FetchSecretsAsync(Request("fetch", ["default", "nobody-knows"]), Options).ResponseAsync;
        Assert.Equal(["default"], Names(answer));
        Assert.Equal("nobody-knows", Assert.Single(answer.ResourceErrors).ResourceName.Name);
        Assert.Equal(3, (await Api.FetchSecretsAsync(Request("fetch", []), Options).ResponseAsync).Resources.Count);
        await CodeAsync(StatusCode.NotFound, Api.FetchSecretsAsync(Request("fetch", ["spiffe://example.org/billing"]), Options).ResponseAsync);
        await CodeAsync(StatusCode.InvalidArgument, Api.FetchSecretsAsync(Request("fetch", [.. Enumerable.Range(0, 257).Select(i => $"{i}")]), Options).ResponseAsync);
        var other = Request("fetch", ["default"]);
        other.TypeUrl = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
        await CodeAsync(StatusCode.InvalidArgument, Api.FetchSecretsAsync(other, Options).ResponseAsync);
        var large = Request("fetch", ["default"]);
        large.Node.Id = new string('x', 300 * 1024);
        await CodeAsync(StatusCode.ResourceExhausted, Api.FetchSecretsAsync(large, Options).ResponseAsync);
    }

    [Fact]
    public async Task Who_accepted_and_who_rejected_what_stands_at_sds_and_in_the_metrics()
    {
        using var accepts = Api.StreamSecrets(Options);
        await accepts.RequestStream.WriteAsync(Request("accepts", ["default", "nobody-knows"]), _patience);
        var taken = await NextAsync(accepts);
        await accepts.RequestStream.WriteAsync(Request("accepts", ["default", "nobody-knows"], taken), _patience);

        using var rejects = Api.DeltaSecrets(Options);
        await rejects.RequestStream.WriteAsync(Delta("rejects", ["ROOTCA"]), _patience);
        Assert.True(await rejects.ResponseStream.MoveNext(_patience));
        await rejects.RequestStream.WriteAsync(
            new DeltaDiscoveryRequest { ResponseNonce = rejects.ResponseStream.Current.Nonce, ErrorDetail = new Signet.Rpc.Wire.GoogleRpc.Status { Code = 13, Message = "Invalid path: <inline>" } },
            _patience);

        using var http = new HttpClient { BaseAddress = world.Admin };
        await Eventually.IsTrueAsync(async () => $"{(await ClientAsync(http, "rejects"))?["standing"]}" == "rejected" && $"{(await ClientAsync(http, "accepts"))?["standing"]}" == "accepted", "both answers");
        var accepted = (await ClientAsync(http, "accepts"))!;
        Assert.Equal(taken.VersionInfo, $"{accepted["accepted"]!["version"]}");
        Assert.Equal(("sotw", "spiffe://example.org/web", $"{Environment.ProcessId}"), ($"{accepted["protocol"]}", $"{accepted["spiffeId"]}", $"{accepted["pid"]}"));
        Assert.Equal("this workload has no secret of that name", $"{accepted["missing"]!["nobody-knows"]}");
        var rejected = (await ClientAsync(http, "rejects"))!;
        Assert.Equal("Invalid path: <inline>", $"{rejected["rejected"]!["problem"]}");
        Assert.Null(rejected["accepted"]);

        var metrics = await http.GetStringAsync("/metrics", _patience);
        Assert.Matches("(?m)^signet_agent_sds_rejected_total [1-9]", metrics);
        Assert.Matches("(?m)^signet_agent_sds_accepted_total [1-9]", metrics);
        Assert.Contains("signet_agent_sds_streams{client=\"spiffe://example.org/web\",standing=\"rejected\"}", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Files_that_the_asking_process_may_read_are_served_and_one_that_is_not_there_is_taken_back()
    {
        var authority = new TestAuthority(DateTimeOffset.UtcNow);
        var svid = authority.Svid("/first");
        await File.WriteAllTextAsync(_folder.File("key.pem"), Pem.EncodePrivateKey(svid.Key), _patience);
        await File.WriteAllTextAsync(_folder.File("cert.pem"), Pem.Encode(svid.Chain), _patience);
        await File.WriteAllTextAsync(_folder.File("root.pem"), authority.Bundle.ToPem(), _patience);
        var (pair, roots) = ($"file-cert:{_folder.File("cert.pem")}~{_folder.File("key.pem")}", $"file-root:{_folder.File("root.pem")}");
        using var call = Api.DeltaSecrets(Options);
        await call.RequestStream.WriteAsync(Delta("files", [pair, roots, $"file-root:{_folder.File("absent.pem")}"]), _patience);
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        var first = call.ResponseStream.Current;
        Assert.Equal([pair, roots], first.Resources.Select(resource => resource.Name));
        Assert.Equal([$"file-root:{_folder.File("absent.pem")}"], first.RemovedResources);
        Assert.Equal(await File.ReadAllTextAsync(_folder.File("key.pem")), first.Resources[0].Resource_.Unpack<Secret>().TlsCertificate.PrivateKey.InlineBytes.ToStringUtf8());
        Assert.Equal(authority.Bundle.ToPem(), first.Resources[1].Resource_.Unpack<Secret>().ValidationContext.TrustedCa.InlineBytes.ToStringUtf8());
    }

    [Fact]
    public async Task When_the_entry_goes_the_stream_ends_and_a_new_one_is_denied()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        var entry = await domain.RegisterAsync("/web");
        await AgentDomain.AnswersAsync(domain, StatusCode.OK);
        using var channel = GrpcChannel.ForUnixSocket(domain.AgentSocket, TimeProvider.System);
        var api = new SecretDiscoveryService.SecretDiscoveryServiceClient(channel);
        using var sotw = api.StreamSecrets(Options);
        using var delta = api.DeltaSecrets(Options);
        await sotw.RequestStream.WriteAsync(Request("goes", ["default"]), _patience);
        await delta.RequestStream.WriteAsync(Delta("goes", ["default"]), _patience);
        Assert.True(await sotw.ResponseStream.MoveNext(_patience) && await delta.ResponseStream.MoveNext(_patience));
        using var admin = domain.Admin();
        await admin.DeleteEntryAsync(entry.Id, _patience);

        // Neither has answered; a client that does not is held back, not held on to.
        await CodeAsync(StatusCode.PermissionDenied, sotw.ResponseStream.MoveNext(_patience));
        await CodeAsync(StatusCode.PermissionDenied, delta.ResponseStream.MoveNext(_patience));
        await CodeAsync(StatusCode.PermissionDenied, api.FetchSecretsAsync(Request("goes", ["default"]), Options).ResponseAsync);
    }

    public void Dispose()
    {
        _channel.Dispose();
        _folder.Dispose();
    }

    private SecretDiscoveryService.SecretDiscoveryServiceClient Api => new(_channel);

    private CallOptions Options => new(CancellationToken: _patience);

    private async Task<DiscoveryResponse> NextAsync(AsyncDuplexStreamingCall<DiscoveryRequest, DiscoveryResponse> call)
    {
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        return call.ResponseStream.Current;
    }

    private async Task<JsonNode?> ClientAsync(HttpClient http, string node) =>
        JsonNode.Parse(await http.GetStringAsync("/sds", _patience))!["clients"]!.AsArray().FirstOrDefault(client => $"{client!["node"]}" == node);

    private static async Task CodeAsync(StatusCode code, Task call) => Assert.Equal(code, (await Assert.ThrowsAsync<RpcException>(() => call)).StatusCode);

    private static string[] Names(DiscoveryResponse response) => [.. response.Resources.Select(any => any.Unpack<Secret>().Name).Order(StringComparer.Ordinal)];

    private static DiscoveryRequest Request(string node, string[] names, DiscoveryResponse? answered = null)
    {
        var request = new DiscoveryRequest { TypeUrl = SdsRules.TypeUrl, Node = new Node { Id = node }, ResponseNonce = answered?.Nonce ?? "", VersionInfo = answered?.VersionInfo ?? "" };
        request.ResourceNames.AddRange(names);
        return request;
    }

    private static DeltaDiscoveryRequest Delta(string node, string[] names)
    {
        var request = new DeltaDiscoveryRequest { TypeUrl = SdsRules.TypeUrl, Node = new Node { Id = node } };
        request.ResourceNamesSubscribe.AddRange(names);
        return request;
    }
}
