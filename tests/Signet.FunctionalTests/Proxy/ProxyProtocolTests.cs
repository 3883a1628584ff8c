using System.Net;
using System.Net.Sockets;
using System.Text;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Proxy.ProxyProtocol;

namespace Signet.FunctionalTests.Proxy;

/// <summary>A load balancer in front says who the client is, and the application is told.</summary>
public sealed class ProxyProtocolTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: orders\r\n\r\n";

    private const string OnlyFromTen = ProxyWorld.Strict + """
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: only-ten, namespace: default}
        spec:
          rules: [{from: [{source: {remoteIpBlocks: ["10.0.0.0/8"], ipBlocks: ["127.0.0.1"]}}]}]
        """;

    private static readonly ProxyAddresses Client = new(IPEndPoint.Parse("10.1.2.3:4567"), IPEndPoint.Parse("203.0.113.1:443"));

    [Theory]
    [InlineData(ProxyVersion.V1)]
    [InlineData(ProxyVersion.V2)]
    public async Task The_address_in_a_trusted_header_is_the_remote_one_and_the_direct_one_stays(ProxyVersion version)
    {
        await using var app = App.Http();
        await using var orders = await TrustingAsync(app, OnlyFromTen);
        await using var client = await Wire.TlsAsync(orders.Inbound, Web(orders), preface: ProxyHeaderWriter.Write(new ProxyHeader(version, Client)));

        Assert.Equal(200, (await client.AskAsync(Get)).Status);
        var source = (await orders.LoggedAsync(line => line.GetProperty("protocol").GetString() == "http", "the request")).GetProperty("source");
        Assert.Equal(("10.1.2.3", "127.0.0.1"), (source.GetProperty("remoteIp").GetString(), source.GetProperty("ip").GetString()));

        await using var other = await Wire.TlsAsync(orders.Inbound, Web(orders), preface: ProxyHeaderWriter.Write(new ProxyHeader(version, Client with { Source = IPEndPoint.Parse("192.0.2.9:1") })));
        Assert.Equal(403, (await other.AskAsync(Get)).Status);
    }

    [Fact]
    public async Task A_check_of_the_load_balancer_itself_counts_with_its_real_address()
    {
        await using var app = App.Http();
        await using var orders = await TrustingAsync(app, OnlyFromTen);
        await using var client = await Wire.TlsAsync(orders.Inbound, Web(orders), preface: ProxyHeaderWriter.Write(new ProxyHeader(ProxyVersion.V2, null)));

        Assert.Equal(403, (await client.AskAsync(Get)).Status);
    }

    [Fact]
    public async Task A_header_that_comes_in_pieces_is_waited_for()
    {
        await using var app = App.Echo();
        await using var orders = await TrustingAsync(app, ProxyWorld.Permissive, AppProtocol.Tcp);
        await using var client = await Wire.PlainAsync(orders.Inbound);
        foreach (var value in ProxyHeaderWriter.Write(new ProxyHeader(ProxyVersion.V2, Client)))
        {
            await client.Stream.WriteAsync(new[] { value });
        }

        await client.SendAsync("hello");
        Assert.Equal("hello", await client.ReadUntilAsync("hello"));
    }

    [Theory]
    [Proves(RefusalReason.ProxyHeaderInvalid)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("PROXY TCP4 10.1.2.3 203.0.113.1 1\r\n")]
    [InlineData("PROXY TCP4 10.1.2.3 ")]
    public async Task Without_a_whole_header_a_load_balancer_gets_nothing(string bytes)
    {
        await using var app = App.Echo();
        await using var orders = await TrustingAsync(app, ProxyWorld.Permissive, AppProtocol.Tcp);
        await using var client = await Wire.PlainAsync(orders.Inbound);
        await client.SendAsync(bytes);
        await client.EndAsync();

        Assert.Equal("", await client.ReadToEndAsync());
        await orders.RefusedAsync(RefusalReason.ProxyHeaderInvalid);
        Assert.Equal(0, app.Count);
    }

    [Fact]
    public async Task Others_are_not_believed_and_their_header_is_no_header()
    {
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, OnlyFromTen, change: config => Trusting(config, "10.0.0.0/8"));
        await using var client = await Wire.TlsAsync(orders.Inbound, Web(orders));
        Assert.Equal(403, (await client.AskAsync(Get)).Status);

        await using var liar = await Wire.PlainAsync(orders.Inbound);
        await liar.Stream.WriteAsync(ProxyHeaderWriter.Write(new ProxyHeader(ProxyVersion.V1, Client)));
        Assert.Equal("", await liar.ReadToEndAsync());
        await orders.RefusedAsync(RefusalReason.PlaintextRefused);
        Assert.Equal(0, app.Count);
    }

    [Fact]
    public async Task The_application_is_told_who_is_there_before_the_first_byte()
    {
        await using var app = App.Serving(async (stream, app) =>
        {
            var (header, rest) = await ReadHeaderAsync(stream);
            app.Heads.Enqueue($"{header.Addresses!.Source.Address} {header.Authority} {header.Alpn} {header.Tls?.Version} {header.Tls?.Cipher?.Length > 0}");
            await stream.WriteAsync(rest);
            await stream.CopyToAsync(stream);
        });
        await using var orders = await TrustingAsync(app, ProxyWorld.Strict, AppProtocol.Tcp, ProxyVersion.V2);
        await using var client = await Wire.TlsAsync(orders.Inbound, Web(orders), ["istio"], preface: ProxyHeaderWriter.Write(new ProxyHeader(ProxyVersion.V1, Client)));
        await client.SendAsync("hello");

        Assert.Equal("hello", await client.ReadUntilAsync("hello"));
        Assert.Equal(["10.1.2.3 orders istio TLSv1.3 True"], app.Heads);
    }

    [Fact]
    public async Task Clients_never_share_a_connection_to_an_application_that_is_told_who_they_are()
    {
        await using var app = App.Serving(async (stream, app) =>
        {
            var (header, rest) = await ReadHeaderAsync(stream);
            var all = new MemoryStream();
            all.Write(rest);
            var buffer = new byte[4096];
            while (true)
            {
                while (!Encoding.ASCII.GetString(all.ToArray()).EndsWith("\r\n\r\n", StringComparison.Ordinal))
                {
                    var read = await stream.ReadAsync(buffer);
                    if (read == 0)
                    {
                        return;
                    }

                    all.Write(buffer, 0, read);
                }

                all.SetLength(0);
                await stream.WriteAsync(Encoding.Latin1.GetBytes(App.Ok(header.Addresses!.Source.ToString())));
            }
        });
        await using var orders = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict, change: config => config with { Inbound = [config.Inbound[0] with { SendProxyProtocol = ProxyVersion.V1 }] });
        await using var one = await Wire.TlsAsync(orders.Inbound, Web(orders));
        await using var two = await Wire.TlsAsync(orders.Inbound, Web(orders));
        var answers = new List<string>();
        foreach (var client in new[] { one, two, one, two })
        {
            answers.Add((await client.AskAsync(Get)).Body);
        }

        Assert.Equal(2, app.Count);
        Assert.Equal((answers[0], answers[1]), (answers[2], answers[3]));
        Assert.NotEqual(answers[0], answers[1]);
    }

    private static async Task<(ProxyHeader Header, byte[] After)> ReadHeaderAsync(NetworkStream stream)
    {
        var (buffer, length) = (new byte[4096], 0);
        while (true)
        {
            length += await stream.ReadAsync(buffer.AsMemory(length));
            if (ProxyHeaderReader.Read(buffer.AsSpan(0, length)) is ProxyHeaderRead.Whole whole)
            {
                return (whole.Header, buffer[whole.Length..length]);
            }
        }
    }

    private static Task<ProxyWorld> TrustingAsync(App app, string policy, AppProtocol protocol = AppProtocol.Http, ProxyVersion? send = null) =>
        ProxyWorld.InboundAsync(app.EndPoint, policy, protocol, change: config => Trusting(config, "127.0.0.0/8", send));

    private static ProxyConfig Trusting(ProxyConfig config, string network, ProxyVersion? send = null) =>
        config with { Inbound = [config.Inbound[0] with { ProxyProtocolFrom = [IPNetwork.Parse(network)], SendProxyProtocol = send }] };

    private static Signet.Identity.X509.X509Svid Web(ProxyWorld world) => world.Authority.Svid("/ns/default/sa/web");
}
