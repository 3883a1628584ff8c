using Signet.Proxy.Http2;

namespace Signet.UnitTests.Proxy.Http2;

/// <summary>What a message's head may say (RFC 9113 §8). A field is written <c>name=value</c>, a head as lines.</summary>
public sealed class HeadTests
{
    private const string Get = ":method=GET;:scheme=https;:authority=orders:8080;:path=/a?b=c";

    [Theory]
    [InlineData(Get)]
    [InlineData(Get + ";te=trailers;accept=*/*;accept=text/html")]
    [InlineData(Get + ";host=ORDERS:8080")]
    [InlineData(":method=GET;:scheme=http;:path=/;host=orders")]
    [InlineData(":path=/;:authority=a;:method=PATCH;:scheme=http")]
    [InlineData(":method=OPTIONS;:scheme=https;:authority=a;:path=*")]
    [InlineData(":method=POST;:scheme=https;:authority=[::1]:80;:path=/;content-length=10")]
    [InlineData(":method=CONNECT;:authority=10.0.0.9:8080;baggage=k=v")]
    [InlineData(Get + ";x-empty=;x-tab=a\tb;x-high=\u00fc")]
    public void Accepts(string head) => Assert.Equal(HeadProblem.None, Http2RequestHead.TryRead(Section(head), out _));

    [Theory]
    [InlineData(":scheme=https;:authority=a;:path=/", HeadProblem.PseudoMissing)]
    [InlineData(":method=GET;:authority=a;:path=/", HeadProblem.PseudoMissing)]
    [InlineData(":method=GET;:scheme=https;:path=/", HeadProblem.PseudoMissing)]
    [InlineData(":method=GET;:scheme=https;:authority=a", HeadProblem.PseudoMissing)]
    [InlineData("", HeadProblem.PseudoMissing)]
    [InlineData(Get + ";:path=/b", HeadProblem.PseudoRepeated)]
    [InlineData(Get + ";:method=POST", HeadProblem.PseudoRepeated)]
    [InlineData(Get + ";:scheme=http", HeadProblem.PseudoRepeated)]
    [InlineData(Get + ";:authority=a", HeadProblem.PseudoRepeated)]
    [InlineData(Get + ";:status=200", HeadProblem.PseudoUnknown)]
    [InlineData(Get + ";:protocol=websocket", HeadProblem.PseudoUnknown)]
    [InlineData(":method=GET;:scheme=https;:authority=a;x=y;:path=/", HeadProblem.PseudoAfterField)]
    [InlineData(":method=GET;:scheme=https;:path=/;host=a;:authority=a", HeadProblem.PseudoAfterField)]
    [InlineData(Get + ";Accept=x", HeadProblem.NameUpperCase)]
    [InlineData(Get + ";a b=x", HeadProblem.NameMalformed)]
    [InlineData(Get + ";=x", HeadProblem.NameMalformed)]
    [InlineData(Get + ";x\u00fc=x", HeadProblem.NameMalformed)]
    [InlineData(Get + ";x=a\rb", HeadProblem.ValueMalformed)]
    [InlineData(Get + ";x=a\nb", HeadProblem.ValueMalformed)]
    [InlineData(Get + ";x=a\0b", HeadProblem.ValueMalformed)]
    [InlineData(Get + ";x= a", HeadProblem.ValueMalformed)]
    [InlineData(Get + ";x=a\t", HeadProblem.ValueMalformed)]
    [InlineData(Get + ";connection=close", HeadProblem.ConnectionSpecific)]
    [InlineData(Get + ";proxy-connection=close", HeadProblem.ConnectionSpecific)]
    [InlineData(Get + ";keep-alive=1", HeadProblem.ConnectionSpecific)]
    [InlineData(Get + ";transfer-encoding=chunked", HeadProblem.ConnectionSpecific)]
    [InlineData(Get + ";upgrade=h2c", HeadProblem.ConnectionSpecific)]
    [InlineData(Get + ";te=gzip", HeadProblem.TeUnsupported)]
    [InlineData(Get + ";te=trailers, gzip", HeadProblem.TeUnsupported)]
    [InlineData(Get + ";host=other:8080", HeadProblem.HostContradicted)]
    [InlineData(Get + ";host=orders:8080;host=orders:8080", HeadProblem.HostRepeated)]
    [InlineData(":method=get;:scheme=https;:authority=a;:path=/", HeadProblem.MethodMalformed)]
    [InlineData(":method=;:scheme=https;:authority=a;:path=/", HeadProblem.MethodMalformed)]
    [InlineData(":method=G T;:scheme=https;:authority=a;:path=/", HeadProblem.MethodMalformed)]
    [InlineData(":method=GET;:scheme=ftp;:authority=a;:path=/", HeadProblem.SchemeMalformed)]
    [InlineData(":method=GET;:scheme=https;:authority=a;:path=", HeadProblem.PathMalformed)]
    [InlineData(":method=GET;:scheme=https;:authority=a;:path=a", HeadProblem.PathMalformed)]
    [InlineData(":method=GET;:scheme=https;:authority=a;:path=*", HeadProblem.PathMalformed)]
    [InlineData(":method=GET;:scheme=https;:authority=a;:path=/a b", HeadProblem.PathMalformed)]
    [InlineData(":method=GET;:scheme=https;:authority=a;:path=/#x", HeadProblem.PathMalformed)]
    [InlineData(":method=GET;:scheme=https;:authority=a;:path=/ HTTP/1.1\r\nx: y", HeadProblem.PathMalformed)]
    [InlineData(":method=GET;:scheme=https;:authority=user@a;:path=/", HeadProblem.AuthorityMalformed)]
    [InlineData(":method=GET;:scheme=https;:authority=a/b;:path=/", HeadProblem.AuthorityMalformed)]
    [InlineData(":method=GET;:scheme=https;:authority=;:path=/", HeadProblem.AuthorityMalformed)]
    [InlineData(Get + ";content-length=1;content-length=1", HeadProblem.ContentLengthRepeated)]
    [InlineData(Get + ";content-length=-1", HeadProblem.ContentLengthMalformed)]
    [InlineData(Get + ";content-length=1, 1", HeadProblem.ContentLengthMalformed)]
    [InlineData(Get + ";content-length=9999999999999999999", HeadProblem.ContentLengthMalformed)]
    [InlineData(Get + ";content-length=", HeadProblem.ContentLengthMalformed)]
    [InlineData(":method=CONNECT;:authority=a:1;:path=/", HeadProblem.PseudoForbidden)]
    [InlineData(":method=CONNECT;:authority=a:1;:scheme=https", HeadProblem.PseudoForbidden)]
    [InlineData(":method=CONNECT", HeadProblem.PseudoMissing)]
    [InlineData(":method=CONNECT;host=a:1", HeadProblem.PseudoMissing)]
    [InlineData(":method=CONNECT;:authority=a:1;content-length=0", HeadProblem.ContentLengthContradicted)]
    public void Refuses(string head, HeadProblem expected) => Assert.Equal(expected, Http2RequestHead.TryRead(Section(head), out _));

    [Theory]
    [InlineData(":status=200")]
    [InlineData(":status=100")]
    [InlineData(":status=599;content-length=5")]
    public void Accepts_a_response(string head) => Assert.Equal(HeadProblem.None, Http2ResponseHead.TryRead(Section(head), out _));

    [Theory]
    [InlineData("", HeadProblem.PseudoMissing)]
    [InlineData("a=b", HeadProblem.PseudoMissing)]
    [InlineData("a=b;:status=200", HeadProblem.PseudoAfterField)]
    [InlineData(":status=200;:status=200", HeadProblem.PseudoRepeated)]
    [InlineData(":status=200;:method=GET", HeadProblem.PseudoUnknown)]
    [InlineData(":method=GET", HeadProblem.PseudoUnknown)]
    [InlineData(":status=101", HeadProblem.StatusMalformed)]
    [InlineData(":status=20", HeadProblem.StatusMalformed)]
    [InlineData(":status=2000", HeadProblem.StatusMalformed)]
    [InlineData(":status=099", HeadProblem.StatusMalformed)]
    [InlineData(":status=600", HeadProblem.StatusMalformed)]
    [InlineData(":status=2x0", HeadProblem.StatusMalformed)]
    [InlineData(":status=200;connection=close", HeadProblem.ConnectionSpecific)]
    [InlineData(":status=200;Date=x", HeadProblem.NameUpperCase)]
    [InlineData(":status=200;content-length=x", HeadProblem.ContentLengthMalformed)]
    public void Refuses_a_response(string head, HeadProblem expected) => Assert.Equal(expected, Http2ResponseHead.TryRead(Section(head), out _));

    [Theory]
    [InlineData("grpc-status=0;grpc-message=", HeadProblem.None)]
    [InlineData("", HeadProblem.None)]
    [InlineData(":status=200", HeadProblem.PseudoForbidden)]
    [InlineData("content-length=1", HeadProblem.PseudoForbidden)]
    [InlineData("host=a", HeadProblem.PseudoForbidden)]
    [InlineData("Grpc-Status=0", HeadProblem.NameUpperCase)]
    [InlineData("transfer-encoding=chunked", HeadProblem.ConnectionSpecific)]
    public void Judges_trailers(string fields, HeadProblem expected) => Assert.Equal(expected, FieldRules.CheckTrailers(Section(fields)));

    [Fact]
    public void The_host_field_is_the_authority_where_there_is_no_other()
    {
        Assert.Equal(HeadProblem.None, Http2RequestHead.TryRead(Section(":method=GET;:scheme=http;:path=/;host=orders;a=b"), out var head));
        Assert.Equal("orders", head!.Authority);
        Assert.Equal("a", Assert.Single(head.Fields).Key);
    }

    /// <summary>On the wire: a malformed request resets its stream and nothing else.</summary>
    [Theory]
    [InlineData("connection=close")]
    [InlineData("X-Upper=a")]
    [InlineData("content-length=5")]
    public async Task A_malformed_request_resets_its_stream(string field)
    {
        var served = 0;
        await using var peer = await RawPeer.OfServerAsync(stream =>
        {
            served++;
            return Http2Pair.HoldAsync(stream);
        });
        var parts = field.Split('=');
        await peer.SendHeadersAsync(1, true, (":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/"), (parts[0], parts[1]));
        await peer.ExpectResetAsync(1, Http2Error.ProtocolError);
        await peer.SendRequestAsync(3);
        await peer.ExpectAliveAsync();
        Assert.Equal(1, served);
    }

    [Theory]
    [InlineData("5", "01234", true)]
    [InlineData("0", "", true)]
    [InlineData("5", "0123", false)]
    [InlineData("5", "012345", false)]
    [InlineData("5", "", false)]
    public async Task Content_length_and_data_must_agree(string length, string body, bool agree)
    {
        await using var peer = await RawPeer.OfServerAsync(Http2Pair.EchoAsync);
        await peer.SendHeadersAsync(1, false, (":method", "POST"), (":scheme", "https"), (":authority", "a"), (":path", "/"), ("content-length", length));
        await peer.SendAsync(writer => writer.Data(1, System.Text.Encoding.ASCII.GetBytes(body), endStream: true));
        if (agree)
        {
            while (!(await peer.ReadAsync(FrameType.Data)).Header.Has(FrameFlags.EndStream))
            {
            }
        }
        else
        {
            await peer.ExpectResetAsync(1, Http2Error.ProtocolError);
        }
    }

    [Theory]
    [InlineData("GET", 200, "5", "01234", true)]
    [InlineData("GET", 200, "5", "0123", false)]
    [InlineData("HEAD", 200, "5", "", true)]
    [InlineData("HEAD", 200, "5", "01234", false)]
    [InlineData("GET", 304, "5", "", true)]
    [InlineData("GET", 204, null, "x", false)]
    public async Task A_responses_length_and_data_must_agree(string method, int status, string? length, string body, bool agree)
    {
        await using var peer = await RawPeer.OfClientAsync();
        Assert.True(peer.Connection.TryOpen(Http2Pair.Get() with { Method = method }, true, out var stream, out _));
        await peer.SendAsync(writer =>
        {
            writer.Head(1, new Http2ResponseHead(status, length is null ? [] : [new("content-length", length)]), endStream: false);
            writer.Data(1, System.Text.Encoding.ASCII.GetBytes(body), endStream: true);
        });
        if (agree)
        {
            Assert.Equal(body.Length, (await Http2Pair.ReadAllAsync(stream!)).Length);
        }
        else
        {
            await peer.ExpectResetAsync(1, Http2Error.ProtocolError);
        }
    }

    [Theory]
    [InlineData("interim with END_STREAM")]
    [InlineData("DATA before the head")]
    [InlineData("trailers without END_STREAM")]
    [InlineData("too many interims")]
    public async Task A_malformed_response_resets_its_stream(string what)
    {
        await using var peer = await RawPeer.OfClientAsync();
        Assert.True(peer.Connection.TryOpen(Http2Pair.Get(), true, out var stream, out _));
        await peer.SendAsync(writer =>
        {
            switch (what)
            {
                case "interim with END_STREAM":
                    writer.Head(1, new Http2ResponseHead(103, []), endStream: true);
                    break;
                case "DATA before the head":
                    writer.Data(1, [1], endStream: false);
                    break;
                case "trailers without END_STREAM":
                    writer.Head(1, new Http2ResponseHead(200, []), endStream: false);
                    writer.Head(1, new Http2ResponseHead(200, []), endStream: false);
                    break;
                default:
                    for (var i = 0; i < 17; i++)
                    {
                        writer.Head(1, new Http2ResponseHead(103, []), endStream: false);
                    }

                    break;
            }
        });
        await peer.ExpectResetAsync(1, Http2Error.ProtocolError);
        await peer.ExpectAliveAsync();
        await stream!.DisposeAsync();
    }

    [Fact]
    public async Task Nothing_but_data_follows_connect()
    {
        await using var peer = await RawPeer.OfServerAsync();
        await peer.SendConnectAsync(1);
        await peer.SendHeadersAsync(1, true, ("a", "b"));
        await peer.ExpectResetAsync(1, Http2Error.ProtocolError);
    }

    private static KeyValuePair<string, string>[] Section(string head) => head.Length == 0 ? [] :
        [.. head.Split(';').Select(field => field.IndexOf('=', 1) is > 0 and var at ? new KeyValuePair<string, string>(field[..at], field[(at + 1)..]) : new("", field[1..]))];
}
