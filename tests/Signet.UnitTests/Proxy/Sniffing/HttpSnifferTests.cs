using System.Text;
using Signet.Proxy.Sniffing;

namespace Signet.UnitTests.Proxy.Sniffing;

public sealed class HttpSnifferTests
{
    [Theory]
    [InlineData("GET / HTTP/1.1\r\n")]
    [InlineData("GET / HTTP/1.0\r\n")]
    [InlineData("VERSION-CONTROL /a HTTP/1.1\r\nHost: x")]
    [InlineData("OPTIONS * HTTP/1.1\r\n")]
    [InlineData("GET / HTTP/1.1\n")]
    public void Knows_a_request_line(string text) => Assert.Equal(HttpSniff.Http1, Of(text));

    [Theory]
    [InlineData("PRI * HTTP/2.0\r\n")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04")]
    public void Knows_the_preface_of_HTTP_2(string text) => Assert.Equal(HttpSniff.Http2, Of(text));

    [Theory]
    [InlineData("PRI * HTTP/2.0\n")]
    [InlineData("PRI * HTTP/2.1\r\n")]
    [InlineData("PRI  * HTTP/2.0\r\n")]
    [InlineData("GET / HTTP/2.0\r\n")]
    [InlineData("GET key\r\n")]
    [InlineData("get / HTTP/1.1\r\n")]
    [InlineData(" GET / HTTP/1.1\r\n")]
    [InlineData("*1\r\n$4\r\nPING\r\n")]
    [InlineData("SSH-2.0-x\r\n")]
    [InlineData("GET /\0")]
    [InlineData("ABCDEFGHIJKLMNOPQRSTUVWXYZ")]
    public void Knows_what_is_not_HTTP(string text) => Assert.Equal(HttpSniff.NotHttp, Of(text));

    [Fact]
    public void Wants_more_until_the_line_is_whole_and_no_longer_than_the_limit()
    {
        const string line = "POST /payments?x=1 HTTP/1.1\r";
        for (var length = 0; length <= line.Length; length++)
        {
            Assert.Equal(HttpSniff.NeedMore, Of(line[..length]));
        }

        Assert.Equal(HttpSniff.Http1, Of("GET /" + new string('a', HttpSniffer.MaxLine)));
    }

    private static HttpSniff Of(string text) => HttpSniffer.Inspect(Encoding.Latin1.GetBytes(text));
}
