using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Signet.Proxy.L7;

namespace Signet.UnitTests.Proxy.L7;

public sealed class RequestHeadTests
{
    [Fact]
    public void Reads_method_path_host_and_headers_as_they_are()
    {
        var head = Good("POST /a/b?x=1 HTTP/1.1\r\nHost: payments:8080\r\nX-Empty:\r\nX-Trim: \t a b \t\r\nx-trim: ü\r\nContent-Length: 5\r\n\r\n");

        Assert.Equal(("POST", "/a/b?x=1", "payments:8080", ProtocolVersion.Http11), (head.Method, head.Path, head.Host, head.Version));
        Assert.Equal(["Host=payments:8080", "X-Empty=", "X-Trim=a b", "x-trim=ü", "Content-Length=5"], head.Headers.Select(h => $"{h.Key}={h.Value}"));
        Assert.Equal(new BodyFraming(BodyKind.Length, 5), head.Body);
        Assert.True(head.KeepAlive);
    }

    [Theory]
    [InlineData("GET http://a.example:80/x?y HTTP/1.1\r\nHost: A.example:80\r\n\r\n", "/x?y")]
    [InlineData("GET http://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n", "/")]
    [InlineData("GET https://a.example?q HTTP/1.1\r\nHost: a.example\r\n\r\n", "/?q")]
    [InlineData("OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n", "*")]
    public void Turns_an_absolute_target_into_its_path_when_the_host_agrees(string text, string path) => Assert.Equal(path, Good(text).Path);

    [Theory]
    [InlineData("Host: a\r\n", BodyKind.None)]
    [InlineData("Host: a\r\nContent-Length: 0\r\n", BodyKind.None)]
    [InlineData("Host: a\r\nContent-Length: 12\r\n", BodyKind.Length)]
    [InlineData("Host: a\r\nTransfer-Encoding: chunked\r\n", BodyKind.Chunked)]
    [InlineData("Host: a\r\ntransfer-encoding: Chunked\r\n", BodyKind.Chunked)]
    public void Knows_how_the_body_is_delimited(string fields, BodyKind kind) => Assert.Equal(kind, Good($"POST / HTTP/1.1\r\n{fields}\r\n").Body.Kind);

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", true)]
    [InlineData("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", false)]
    public void Knows_whether_another_request_may_follow(string text, bool keepAlive) => Assert.Equal(keepAlive, Good(text).KeepAlive);

    [Theory]
    [InlineData("GET", "websocket", true)]
    [InlineData("GET", "h2c", false)]
    [InlineData("GET", "websocket, h2c", false)]
    [InlineData("POST", "websocket", false)]
    public void Offers_only_WebSocket_as_an_upgrade(string method, string upgrade, bool expected) =>
        Assert.Equal(expected, Good($"{method} / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\n").IsWebSocketUpgrade);

    public static TheoryData<string, HttpProblem> Hostile => new()
    {
        // start line
        { "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.TargetMalformed },
        { "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", HttpProblem.StartLineMalformed },
        { "GET /\r\nHost: a\r\n\r\n", HttpProblem.StartLineMalformed },
        { "GET / http/1.1\r\nHost: a\r\n\r\n", HttpProblem.StartLineMalformed },
        { "GET / HTTP/1.2\r\nHost: a\r\n\r\n", HttpProblem.VersionUnsupported },
        { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", HttpProblem.VersionUnsupported },
        { "GET / HTTP/11\r\nHost: a\r\n\r\n", HttpProblem.StartLineMalformed },
        { "get / HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.MethodMalformed },
        { "G\tET / HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.MethodMalformed },
        { "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.StartLineMalformed },
        { "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.MethodUnsupported },
        { "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.MethodUnsupported },
        { "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.TargetMalformed },
        { "GET a HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.TargetMalformed },
        { "GET * HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.TargetMalformed },
        { "GET /ü HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.TargetMalformed },
        { "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.TargetMalformed },
        { "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.TargetMalformed },
        { "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.HostContradicted },
        { "GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", HttpProblem.HostContradicted },

        // host
        { "GET / HTTP/1.1\r\n\r\n", HttpProblem.HostMissing },
        { "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", HttpProblem.HostRepeated },
        { "GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", HttpProblem.HostRepeated },
        { "GET / HTTP/1.1\r\nHost:\r\n\r\n", HttpProblem.HostMalformed },
        { "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", HttpProblem.HostMalformed },
        { "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", HttpProblem.HostMalformed },
        { "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", HttpProblem.HostMalformed },
        { "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", HttpProblem.HostMalformed },
        { "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", HttpProblem.HostMalformed },
        { "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", HttpProblem.HostMalformed },
        { "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", HttpProblem.HostMalformed },

        // fields
        { "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", HttpProblem.HeaderFolded },
        { "GET / HTTP/1.1\r\n Host: a\r\n\r\n", HttpProblem.HeaderFolded },
        { "GET / HTTP/1.1\r\nHost: a\r\n\tx: y\r\n\r\n", HttpProblem.HeaderFolded },
        { "GET / HTTP/1.1\r\nHost : a\r\n\r\n", HttpProblem.HeaderNameMalformed },
        { "GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\n", HttpProblem.HeaderNameMalformed },
        { "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", HttpProblem.HeaderNameMalformed },
        { "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", HttpProblem.HeaderNameMalformed },
        { "GET / HTTP/1.1\r\nHost: a\r\nx\x00y: z\r\n\r\n", HttpProblem.HeaderNameMalformed },
        { "GET / HTTP/1.1\r\nHost: a\r\nTransfer\x0bEncoding: chunked\r\n\r\n", HttpProblem.HeaderNameMalformed },
        { "GET / HTTP/1.1\r\nHost: a\r\nx: y\x00z\r\n\r\n", HttpProblem.ControlCharacter },
        { "GET / HTTP/1.1\r\nHost: a\r\nx: y\rz\r\n\r\n", HttpProblem.BareCarriageReturn },
        { "GET / HTTP/1.1\r\nHost: a\r\nx: y\x7f\r\n\r\n", HttpProblem.ControlCharacter },

        // lengths
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", HttpProblem.ContentLengthRepeated },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", HttpProblem.ContentLengthMalformed },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", HttpProblem.ContentLengthMalformed },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", HttpProblem.ContentLengthMalformed },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", HttpProblem.ContentLengthMalformed },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\n", HttpProblem.ContentLengthMalformed },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", HttpProblem.ContentLengthMalformed },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n", HttpProblem.ContentLengthMalformed },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ١\r\n\r\n", HttpProblem.ContentLengthMalformed },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", HttpProblem.LengthAmbiguous },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", HttpProblem.LengthAmbiguous },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", HttpProblem.TransferEncodingUnsupported },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", HttpProblem.TransferEncodingUnsupported },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", HttpProblem.TransferEncodingUnsupported },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", HttpProblem.TransferEncodingUnsupported },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", HttpProblem.TransferEncodingUnsupported },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", HttpProblem.TransferEncodingUnsupported },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", HttpProblem.TransferEncodingUnsupported },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", HttpProblem.TransferEncodingUnsupported },
        { "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", HttpProblem.TransferEncodingUnsupported },

        // who says who the peer is
        { "GET / HTTP/1.1\r\nHost: a\r\nx_forwarded_client_cert: By=x\r\n\r\n", HttpProblem.HeaderImitated },
        { "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded_Client-Cert: By=x\r\n\r\n", HttpProblem.HeaderImitated },
        { "GET / HTTP/1.1\r\nHost: a\r\ncontent_length: 5\r\n\r\n", HttpProblem.HeaderImitated },
        { "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Forwarded-Client-Cert\r\n\r\n", HttpProblem.HeaderNominated },
        { "GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n", HttpProblem.HeaderNominated },
        { $"GET / HTTP/1.1\r\nHost: a\r\nConnection: {string.Join(',', Enumerable.Repeat("a", 64))},host\r\n\r\n", HttpProblem.TooManyHeaders },
        { $"GET / HTTP/1.1\r\nHost: a\r\nConnection: {string.Join(',', Enumerable.Repeat("a", 40))}\r\nConnection: {string.Join(',', Enumerable.Repeat("b", 40))}\r\n\r\n", HttpProblem.TooManyHeaders },
        { "GET / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\n\r\n", HttpProblem.HeaderNominated },
        { "GET / HTTP/1.1\r\nHost: a\r\nx-request-id: 1\r\nX-Request-Id: 2\r\n\r\n", HttpProblem.HeaderRepeated },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 200-ok\r\n\r\n", HttpProblem.ExpectationUnsupported },
    };

    [Theory]
    [MemberData(nameof(Hostile))]
    public void Refuses_what_two_readers_could_read_differently(string text, HttpProblem expected)
    {
        var bytes = Encoding.Latin1.GetBytes(text.Replace("١", "\u0661", StringComparison.Ordinal));
        var scanner = default(HeadScanner);
        Assert.True(scanner.TryFindEnd(bytes, out var length, out _));
        Assert.Equal(bytes.Length, length);

        Assert.False(RequestHead.TryParse(bytes, out _, out var problem));
        Assert.Equal(expected, problem);
        Assert.InRange(problem.Status(), 400, 505);
    }

    [Theory]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\nHost: a\r\n\r\n", null)]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\nHost: a\r\n\r\n", HttpProblem.MethodMalformed)]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n", null)]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000000000\r\n\r\n", HttpProblem.ContentLengthMalformed)]
    public void Takes_exactly_the_limit_and_no_more(string text, HttpProblem? expected)
    {
        Assert.Equal(expected is null, RequestHead.TryParse(Encoding.Latin1.GetBytes(text), out _, out var problem));
        Assert.Equal(expected ?? problem, problem);
    }

    [Fact]
    public void Refuses_more_headers_than_the_limit_and_takes_exactly_the_limit()
    {
        Assert.Equal(HttpLimits.MaxHeaders, Good(With(HttpLimits.MaxHeaders)).Headers.Count);
        Assert.False(RequestHead.TryParse(Encoding.Latin1.GetBytes(With(HttpLimits.MaxHeaders + 1)), out _, out var problem));
        Assert.Equal(HttpProblem.TooManyHeaders, problem);

        static string With(int count) => "GET / HTTP/1.1\r\nHost: a\r\n" + string.Concat(Enumerable.Range(1, count - 1).Select(i => $"x-{i}: y\r\n")) + "\r\n";
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\nHost: a\n\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\n\r\n")]
    [InlineData("\nGET / HTTP/1.1\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\n")]
    public void Refuses_a_line_that_does_not_end_with_both_characters(string text)
    {
        var scanner = default(HeadScanner);
        Assert.False(scanner.TryFindEnd(Encoding.Latin1.GetBytes(text), out _, out var problem));
        Assert.Equal(HttpProblem.BareLineFeed, problem);
    }

    [Fact]
    public void Finds_the_end_at_the_same_byte_however_the_head_arrives()
    {
        var bytes = Encoding.Latin1.GetBytes("GET / HTTP/1.1\r\nHost: a\r\nx: y\r\n\r\nGET /next");
        var end = bytes.Length - "GET /next".Length;
        for (var step = 1; step <= bytes.Length; step++)
        {
            var scanner = default(HeadScanner);
            var received = 0;
            int length;
            while (!scanner.TryFindEnd(bytes.AsSpan(0, received), out length, out var problem))
            {
                Assert.Null(problem);
                received = Math.Min(bytes.Length, received + step);
            }

            Assert.Equal(end, length);
        }
    }

    [Fact]
    public void Never_lets_a_separator_through_whatever_arrives()
    {
        var pieces = Gen.Elements(
            "GET", "POST", " ", "/", "/a", "HTTP/1.1", "HTTP/1.0", "\r\n", "\r\n\r\n", "\n", "\r", "\0", ":", "Host: a", "Content-Length: 3", "Transfer-Encoding: chunked",
            "Connection: close", "x_y: z", "\t", "é", "http://a/", "#", "?", "%00", "Host : b");
        Prop.ForAll(pieces.ArrayOf().Select(string.Concat).ToArbitrary(), text =>
        {
            var bytes = Encoding.Latin1.GetBytes("GET / HTTP/1.1\r\nHost: a\r\n" + text + "\r\n\r\n");
            var scanner = default(HeadScanner);
            if (!scanner.TryFindEnd(bytes, out var length, out _) || !RequestHead.TryParse(bytes.AsSpan(0, length), out var head, out _))
            {
                return true;
            }

            return head.Headers.All(h => h.Key.Length > 0 && !(h.Key + h.Value).AsSpan().ContainsAny('\r', '\n', '\0') && !h.Key.Contains(' '))
                && head.Headers.Count(h => h.Key.Equals("Host", StringComparison.OrdinalIgnoreCase)) == 1
                && head.Headers.Count(h => h.Key.Equals("Content-Length", StringComparison.OrdinalIgnoreCase)) <= 1;
        }).QuickCheckThrowOnFailure();
    }

    private static RequestHead Good(string text) =>
        RequestHead.TryParse(Encoding.Latin1.GetBytes(text), out var head, out var problem) ? head : throw new Xunit.Sdk.XunitException($"refused: {problem}");
}
