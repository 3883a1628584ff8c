using System.Text;
using Signet.Proxy.L7;

namespace Signet.UnitTests.Proxy.L7;

public sealed class ResponseHeadTests
{
    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", BodyKind.Length, true)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", BodyKind.None, true)]
    [InlineData("HTTP/1.1 204 No Content\r\n\r\n", "GET", BodyKind.None, true)]
    [InlineData("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", BodyKind.None, true)]
    [InlineData("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", "GET", BodyKind.Chunked, true)]
    [InlineData("HTTP/1.1 200\r\n\r\n", "GET", BodyKind.UntilClose, false)]
    [InlineData("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", BodyKind.Length, false)]
    [InlineData("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", "GET", BodyKind.Length, true)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", "GET", BodyKind.Length, false)]
    public void Knows_what_follows_the_head(string text, string method, BodyKind body, bool keepAlive)
    {
        Assert.True(ResponseHead.TryParse(Encoding.Latin1.GetBytes(text), method, out var head, out _));
        Assert.Equal((body, keepAlive), (head.Body.Kind, head.KeepAlive));
    }

    [Theory]
    [InlineData("HTTP/2 200 OK\r\n\r\n", HttpProblem.StatusMalformed)]
    [InlineData("HTTP/1.1 20 OK\r\n\r\n", HttpProblem.StatusMalformed)]
    [InlineData("HTTP/1.1 2000 OK\r\n\r\n", HttpProblem.StatusMalformed)]
    [InlineData("HTTP/1.1 099 OK\r\n\r\n", HttpProblem.StatusMalformed)]
    [InlineData("200 OK\r\n\r\n", HttpProblem.StatusMalformed)]
    [InlineData("HTTP/1.1 200 O\rK\r\n\r\n", HttpProblem.StatusMalformed)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", HttpProblem.LengthAmbiguous)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", HttpProblem.ContentLengthRepeated)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", HttpProblem.TransferEncodingUnsupported)]
    [InlineData("HTTP/1.1 200 OK\r\nSet-Cookie : a\r\n\r\n", HttpProblem.HeaderNameMalformed)]
    [InlineData("HTTP/1.1 200 OK\r\n x: folded\r\n\r\n", HttpProblem.HeaderFolded)]
    public void Refuses_what_could_desynchronise_the_connection(string text, HttpProblem expected)
    {
        Assert.False(ResponseHead.TryParse(Encoding.Latin1.GetBytes(text), "GET", out _, out var problem));
        Assert.Equal(expected, problem);
    }
}
