using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Signet.Agent.Attestation;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Attestation;
using Signet.Server.Attestation;
using Signet.Testing;
using AgentAttestor = Signet.Agent.Attestation.HttpChallengeAttestor;
using HttpChallengeAttestor = Signet.Server.Attestation.HttpChallengeAttestor;

namespace Signet.FunctionalTests.Attestation;

/// <summary>A node that answers on a port of its host name; and hosts that would have the server ask elsewhere.</summary>
public sealed class HttpChallengeTests
{
    private static readonly IPNetwork[] Loopback = [IPNetwork.Parse("127.0.0.0/8"), IPNetwork.Parse("::1/128")];
    private static readonly AttestorConfig.HttpChallenge Node = new("localhost", "default", new IPEndPoint(IPAddress.Loopback, 0), AdvertisedPort: null);

    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task An_agent_joins_once_and_a_second_one_only_after_the_first_was_evicted()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false, configure: config => config with { Attestation = new AttestationConfig { HttpChallenge = Config() } });
        using var admin = domain.Admin();
        await domain.StartAgentAsync(Node);
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        var id = SpiffeId.Of(TestTrustDomain.Name, "/spire/agent/http_challenge/localhost");
        var agent = await admin.AgentAsync(id, _patience);
        Assert.False(agent.CanReattest);
        Assert.Equal(["http_challenge:hostname:localhost"], agent.Selectors);

        await domain.StopAgentAsync();
        Directory.Delete(Path.Combine(domain.Folder, "agent"), recursive: true);
        await domain.StartAgentAsync(Node);
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.Conditions.Any(condition => condition.State.Reason.Contains("has attested before", StringComparison.Ordinal)), "the refusal");
        Assert.Equal(agent.Serial, (await admin.AgentAsync(id, _patience)).Serial);

        await admin.EvictAgentAsync(id, _patience);
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent that was set up anew");
    }

    [Fact]
    public async Task Without_trust_on_first_use_the_agent_attests_again()
    {
        await using var node = await new AgentAttestor(Node).BeginAsync(_patience);
        var verdict = await AttestAsync(node.Payload, node, Config() with { Tofu = false });
        Assert.IsType<NodeProof.Repeatable>(verdict.Proof);
    }

    [Fact]
    public async Task A_name_in_capitals_is_the_same_node()
    {
        await using var node = await new AgentAttestor(Node with { HostName = "LocalHost" }).BeginAsync(_patience);
        var verdict = await AttestAsync(node.Payload, node, Config());
        Assert.Equal("/spire/agent/http_challenge/localhost", verdict.Proof!.SpiffeId.Path);
    }

    [Theory]
    [InlineData("127.0.0.1", NodeProblem.Malformed)]
    [InlineData("127.1", NodeProblem.Malformed)]
    [InlineData("0x7f000001", NodeProblem.Malformed)]
    [InlineData("[::1]", NodeProblem.Malformed)]
    [InlineData("localhost/x", NodeProblem.Malformed)]
    [InlineData("localhost:80", NodeProblem.Malformed)]
    [InlineData("user@localhost", NodeProblem.Malformed)]
    [InlineData("*.example.org", NodeProblem.Malformed)]
    [InlineData("localhost.", NodeProblem.Malformed)]
    [InlineData("localhost\n", NodeProblem.Malformed)]
    [InlineData("xlocalhost", NodeProblem.Refused)]
    [InlineData("localhost.example.org", NodeProblem.Refused)]
    public async Task A_name_that_is_none_or_does_not_fit_a_pattern_is_never_asked(string host, NodeProblem problem)
    {
        var verdict = await AttestAsync(new HttpChallengeWire(host, "default", 80).Encode(), node: null, Config());
        Assert.Equal(problem, verdict.Problem);
    }

    [Fact]
    public async Task Another_port_than_the_one_that_nodes_must_answer_on_is_never_asked()
    {
        Assert.Equal(NodeProblem.Refused, (await AttestAsync(new HttpChallengeWire("localhost", "default", 8080).Encode(), node: null, Config() with { Port = 80 })).Problem);
        Assert.Equal(NodeProblem.Malformed, (await AttestAsync("{}"u8.ToArray(), node: null, Config())).Problem);
    }

    [Fact]
    public async Task A_node_that_answers_something_else_is_refused_and_not_told_why()
    {
        await using var host = new Host("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nanother");
        await using var node = await new AgentAttestor(Node with { AdvertisedPort = host.Port }).BeginAsync(_patience);
        var verdict = await AttestAsync(node.Payload, node, Config());
        Assert.Equal(NodeProblem.Refused, verdict.Problem);
        Assert.Contains("something other than the nonce", verdict.Reason);
        Assert.Equal("the nonce was not found where it should be; the server's log says why", verdict.Told);
    }

    [Fact]
    public async Task The_port_answers_nothing_else_and_only_while_the_attestation_lasts()
    {
        Uri nonce;
        using var http = new HttpClient();
        await using (var node = await new AgentAttestor(Node).BeginAsync(_patience))
        {
            Assert.True(HttpChallengeWire.TryRead(node.Payload, out var shown, out _));
            nonce = new Uri($"http://127.0.0.1:{shown.Port}{shown.Path}");
            Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync(nonce, _patience)).StatusCode);
            await node.AnswerAsync(HttpChallengeWire.EncodeChallenge("abc"), _patience);
            Assert.Equal("abc\n", await http.GetStringAsync(nonce, _patience));
            Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync(new Uri(nonce, "/"), _patience)).StatusCode);
            Assert.Equal(HttpStatusCode.NotFound, (await http.PostAsync(nonce, content: null, _patience)).StatusCode);
            await Assert.ThrowsAsync<AttestationException>(() => node.AnswerAsync("{}"u8.ToArray(), _patience));
        }

        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync(nonce, _patience));
    }

    [Theory]
    [InlineData("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/secret\r\nContent-Length: 0\r\n\r\n", "it answered 302")]
    [InlineData("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "it answered 404")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n00000000000000000000000000000000000000000000000000000000000000000\r\n0\r\n\r\n", "more than 64 bytes")]
    [InlineData("nonsense\r\n\r\n", "")]
    public async Task A_host_that_redirects_or_answers_too_much_or_nonsense_gives_nothing(string answer, string reason)
    {
        await using var host = new Host(answer);
        using var fetcher = new ChallengeFetcher(Loopback, Local, TimeProvider.System);
        var (text, problem) = await fetcher.FetchAsync("node.example.org", host.Port, "/x", _patience);
        Assert.Null(text);
        Assert.Contains(reason, problem);
        Assert.NotEmpty(problem);
    }

    [Fact]
    public async Task A_host_that_does_not_answer_costs_ten_seconds_and_no_more()
    {
        await using var host = new Host(answer: null);
        var time = new ManualTimeProvider();
        using var fetcher = new ChallengeFetcher(Loopback, Local, time);
        var fetching = fetcher.FetchAsync("node.example.org", host.Port, "/x", _patience);
        await Eventually.IsTrueAsync(() => host.Connections == 1, "the connection");
        time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal((null, "no answer came within 10 s"), await fetching);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("8.8.8.8", "127.0.0.1")]
    [InlineData("127.0.0.1", "8.8.8.8")]
    public async Task A_name_that_stands_for_an_address_inside_is_not_asked_even_if_others_are_outside(params string[] addresses)
    {
        await using var host = new Host("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        using var fetcher = new ChallengeFetcher([], (_, _) => Task.FromResult(addresses.Select(IPAddress.Parse).ToArray()), TimeProvider.System);
        var (text, problem) = await fetcher.FetchAsync("node.example.org", host.Port, "/x", _patience);
        Assert.Null(text);
        Assert.Contains("127.0.0.1, which is not on the public Internet", problem);
        Assert.Equal(0, host.Connections);
    }

    [Fact]
    public async Task A_name_without_addresses_gives_nothing()
    {
        using var fetcher = new ChallengeFetcher(Loopback, (_, _) => Task.FromResult<IPAddress[]>([]), TimeProvider.System);
        Assert.Equal((null, "its name has no address"), await fetcher.FetchAsync("node.example.org", 80, "/x", _patience));
    }

    [Fact]
    public async Task What_may_be_asked_is_fetched()
    {
        await using var host = new Host("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n ok\n");
        using var fetcher = new ChallengeFetcher(Loopback, Local, TimeProvider.System);
        Assert.Equal(("ok", ""), await fetcher.FetchAsync("node.example.org", host.Port, "/x", _patience));
    }

    private static Task<IPAddress[]> Local(string host, CancellationToken cancellationToken) => Task.FromResult<IPAddress[]>([IPAddress.Loopback]);

    private static HttpChallengeConfig Config()
    {
        Assert.True(HttpChallengeConfig.TryReadPattern("local(host)", out var pattern, out var problem), problem);
        return new HttpChallengeConfig { AllowedDnsPatterns = [new Regex("(?!)"), pattern], Port = null, AllowedNetworks = Loopback };
    }

    private async Task<NodeVerdict> AttestAsync(ReadOnlyMemory<byte> payload, INodeAttestation? node, HttpChallengeConfig config)
    {
        using var fetcher = new ChallengeFetcher(config.AllowedNetworks, Local, TimeProvider.System);
        using var attestor = new HttpChallengeAttestor(TestTrustDomain.Name, config, fetcher);
        return await attestor.AttestAsync(
            new NodeExchange(payload, (challenge, stop) => node?.AnswerAsync(challenge, stop) ?? throw new InvalidOperationException("it must not come so far")), _patience);
    }

    /// <summary>Answers every connection alike, or never, and counts them.</summary>
    private sealed class Host : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly Task _serving;
        private int _connections;

        public Host(string? answer)
        {
            _listener.Start();
            _serving = ServeAsync(answer);
        }

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public int Connections => Volatile.Read(ref _connections);

        public async ValueTask DisposeAsync()
        {
            _listener.Stop();
            await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        private async Task ServeAsync(string? answer)
        {
            var open = new List<TcpClient>();
            try
            {
                while (true)
                {
                    var client = await _listener.AcceptTcpClientAsync();
                    open.Add(client);
                    Interlocked.Increment(ref _connections);
                    if (answer is not null)
                    {
                        await client.GetStream().ReadAtLeastAsync(new byte[4096], 1);
                        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(answer));
                        client.Close();
                    }
                }
            }
            finally
            {
                open.ForEach(client => client.Dispose());
            }
        }
    }
}
