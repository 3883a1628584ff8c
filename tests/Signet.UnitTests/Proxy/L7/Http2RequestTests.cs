using Signet.Proxy.Http2;
using Signet.Proxy.L7;

namespace Signet.UnitTests.Proxy.L7;

/// <summary>A request of HTTP/2 as the same head that one of HTTP/1 becomes.</summary>
public sealed class Http2RequestTests
{
    [Fact]
    public void Says_the_same_as_a_request_of_HTTP_1()
    {
        var head = Read([(":method", "POST"), (":scheme", "https"), (":authority", "payments:8080"), (":path", "/a?x=1"), ("x-a", "b"), ("content-length", "5")], hasEnded: false);

        Assert.Equal(("POST", "/a?x=1", "payments:8080", ProtocolVersion.Http2), (head.Method, head.Path, head.Host, head.Version));
        Assert.Equal([("host", "payments:8080"), ("x-a", "b"), ("content-length", "5")], head.Headers.Select(field => (field.Key, field.Value)));
        Assert.Equal(new BodyFraming(BodyKind.Length, 5), head.Body);
        Assert.True(head.KeepAlive);
        Assert.False(head.IsWebSocketUpgrade);
    }

    [Fact]
    public void Takes_the_host_from_the_field_where_there_is_no_authority() =>
        Assert.Equal(("a", "a"), (Read([(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "a")]).Host, Read([(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "a")]).Headers[0].Value));

    [Fact]
    public void Joins_cookies_where_the_first_stood_and_nothing_else()
    {
        var head = Get(("cookie", "a=1"), ("x-a", "1"), ("cookie", "b=2"), ("x-a", "2"), ("cookie", "c=3"));
        Assert.Equal([("host", "orders"), ("cookie", "a=1; b=2; c=3"), ("x-a", "1"), ("x-a", "2")], head.Headers.Select(field => (field.Key, field.Value)));
    }

    [Fact]
    public void Many_cookies_cost_what_they_are_long()
    {
        var cookies = Enumerable.Repeat(("cookie", new string('c', 60)), 90).ToArray();
        Heap.TakesAtMost(128 * 1024, () => Get(cookies));
    }

    [Theory]
    [InlineData(true, null, BodyKind.None)]
    [InlineData(true, "0", BodyKind.None)]
    [InlineData(false, "0", BodyKind.None)]
    [InlineData(false, "7", BodyKind.Length)]
    [InlineData(false, null, BodyKind.Chunked)]
    public void Knows_how_its_body_ends(bool hasEnded, string? length, BodyKind kind)
    {
        (string, string)[] fields = [(":method", "POST"), (":scheme", "http"), (":authority", "orders"), (":path", "/"), .. length is null ? [] : ((string, string)[])[("content-length", length)]];
        Assert.Equal(kind, Read(fields, hasEnded).Body.Kind);
    }

    [Theory]
    [InlineData("application/grpc", true)]
    [InlineData("application/grpc+proto", true)]
    [InlineData("application/grpc;charset=x", true)]
    [InlineData("Application/GRPC", true)]
    [InlineData("application/json", false)]
    [InlineData("text/application/grpc", false)]
    public void Knows_a_call_by_gRPC(string type, bool isGrpc)
    {
        Assert.Equal(isGrpc, Get(("content-type", type)).IsGrpc);
        Assert.False(Get().IsGrpc);
    }

    [Fact]
    public void Knows_who_takes_trailers()
    {
        Assert.True(Get(("te", "trailers")).TakesTrailers);
        Assert.False(Get().TakesTrailers);
    }

    [Fact]
    public void A_response_knows_how_its_body_ends()
    {
        Assert.Equal(BodyKind.None, Response(200, null, hasEnded: true).Kind);
        Assert.Equal(BodyKind.Chunked, Response(200, null).Kind);
        Assert.Equal(new BodyFraming(BodyKind.Length, 7), Response(200, "7"));
        Assert.Equal(BodyKind.None, Response(204, null).Kind);
        Assert.Equal(BodyKind.None, Response(304, "7").Kind);
        Assert.Equal(BodyKind.None, Response(200, "7", method: "HEAD").Kind);
    }

    private static BodyFraming Response(int status, string? length, bool hasEnded = false, string method = "GET")
    {
        List<KeyValuePair<string, string>> section = [new(":status", $"{status}")];
        if (length is not null)
        {
            section.Add(new("content-length", length));
        }

        Assert.Equal(HeadProblem.None, Http2ResponseHead.TryRead(section, out var head));
        return ResponseHead.Of(head!, method, hasEnded).Body;
    }

    private static RequestHead Get(params (string, string)[] fields) =>
        Read([(":method", "GET"), (":scheme", "http"), (":authority", "orders"), (":path", "/"), .. fields]);

    private static RequestHead Read((string Name, string Value)[] fields, bool hasEnded = true)
    {
        Assert.Equal(HeadProblem.None, Http2RequestHead.TryRead([.. fields.Select(field => new KeyValuePair<string, string>(field.Name, field.Value))], out var head));
        Assert.True(RequestHead.TryRead(head!, hasEnded, out var request, out var problem), problem.ToString());
        return request;
    }
}
