using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>
/// Messages of HTTP/1 that two readers could read differently, each with a second request or response in its wake: at the proxy beside the application and at the one beside the
/// caller, with an application behind that takes whatever it is sent. None is ever taken for another.
/// </summary>
public sealed class SmugglingTests(SmugglingTests.World world) : IClassFixture<SmugglingTests.World>
{
    private const string Get = "GET / HTTP/1.1\r\nHost: orders\r\n";
    private const string Post = "POST / HTTP/1.1\r\nHost: orders\r\n";
    private const string Chunked = Post + "Transfer-Encoding: chunked\r\n\r\n";
    private const string Wake = "GET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n";

    /// <summary>By the defence: what is sent, the status, and the reason in the log.</summary>
    private static readonly (string Defence, string Request, int Status, string Reason)[] Requests =
    [
        ("Content-Length beside Transfer-Encoding", Post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "LengthAmbiguous"),
        ("Transfer-Encoding beside Content-Length", Post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400, "LengthAmbiguous"),
        ("two Content-Lengths", Post + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n", 400, "ContentLengthRepeated"),
        ("two that agree", Post + "Content-Length: 0\r\ncontent-length: 0\r\n\r\n", 400, "ContentLengthRepeated"),
        ("a list of them", Post + "Content-Length: 0, 0\r\n\r\n", 400, "ContentLengthMalformed"),
        ("a sign before it", Post + "Content-Length: +0\r\n\r\n", 400, "ContentLengthMalformed"),
        ("a negative one", Post + "Content-Length: -1\r\n\r\n", 400, "ContentLengthMalformed"),
        ("one in hexadecimal", Post + "Content-Length: 0x0\r\n\r\n", 400, "ContentLengthMalformed"),
        ("an empty one", Post + "Content-Length:\r\n\r\n", 400, "ContentLengthMalformed"),
        ("one that overflows", Post + "Content-Length: 18446744073709551616\r\n\r\n", 400, "ContentLengthMalformed"),
        ("an encoding that nobody knows", Post + "Transfer-Encoding: xchunked\r\n\r\n", 501, "TransferEncodingUnsupported"),
        ("two encodings", Post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "TransferEncodingUnsupported"),
        ("chunked twice", Post + "Transfer-Encoding: chunked, chunked\r\n\r\n", 501, "TransferEncodingUnsupported"),
        ("chunked in two fields", Post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501, "TransferEncodingUnsupported"),
        ("identity behind chunked", Post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 501, "TransferEncodingUnsupported"),
        ("quotes around chunked", Post + "Transfer-Encoding: \"chunked\"\r\n\r\n", 501, "TransferEncodingUnsupported"),
        ("a parameter of chunked", Post + "Transfer-Encoding: chunked;a=b\r\n\r\n", 501, "TransferEncodingUnsupported"),
        ("a vertical tab before chunked", Post + "Transfer-Encoding: \vchunked\r\n\r\n", 400, "ControlCharacter"),
        ("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n", 501, "TransferEncodingUnsupported"),
        ("a space before the colon", Post + "Transfer-Encoding : chunked\r\n\r\n", 400, "HeaderNameMalformed"),
        ("a tab before the colon", Post + "Content-Length\t: 5\r\n\r\n", 400, "HeaderNameMalformed"),
        ("a name of nothing", Post + ": 5\r\n\r\n", 400, "HeaderNameMalformed"),
        ("obs-fold", Post + "X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n", 400, "HeaderFolded"),
        ("obs-fold before the first field", "POST / HTTP/1.1\r\n Host: orders\r\n\r\n", 400, "HeaderFolded"),
        ("a bare CR in a value", Post + "X-A: b\rTransfer-Encoding: chunked\r\n\r\n", 400, "BareCarriageReturn"),
        ("a bare LF behind a field", Post + "X-A: b\nTransfer-Encoding: chunked\r\n\r\n", 400, "BareLineFeed"),
        ("bare LFs everywhere", "GET / HTTP/1.1\nHost: orders\n\n", 400, "BareLineFeed"),
        ("NUL in a value", Get + "X-A: b\0c\r\n\r\n", 400, "ControlCharacter"),
        ("NUL in a name", Get + "X\0A: b\r\n\r\n", 400, "HeaderNameMalformed"),
        ("another host in the target", "GET http://billing/ HTTP/1.1\r\nHost: orders\r\n\r\n", 400, "HostContradicted"),
        ("a user in the target", "GET http://billing@orders/ HTTP/1.1\r\nHost: orders\r\n\r\n", 400, "HostContradicted"),
        ("two hosts", Get + "Host: billing\r\n\r\n", 400, "HostRepeated"),
        ("twice the same host", Get + "host: orders\r\n\r\n", 400, "HostRepeated"),
        ("no host", "GET / HTTP/1.1\r\n\r\n", 400, "HostMissing"),
        ("an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "HostMalformed"),
        ("a path in the host", "GET / HTTP/1.1\r\nHost: orders/admin\r\n\r\n", 400, "HostMalformed"),
        ("'_' in the certificate's field", Get + "X_Forwarded_Client_Cert: URI=spiffe://x/y\r\n\r\n", 400, "HeaderImitated"),
        ("one '_' in it", Get + "x-forwarded_client-cert: URI=spiffe://x/y\r\n\r\n", 400, "HeaderImitated"),
        ("'.' in it", Get + "X.Forwarded.Client.Cert: URI=spiffe://x/y\r\n\r\n", 400, "HeaderImitated"),
        ("'_' in RFC 9440's field", Get + "Client_Cert: :AAAA:\r\n\r\n", 400, "HeaderImitated"),
        ("'_' in a length", Get + "Content_Length: 5\r\n\r\n", 400, "HeaderImitated"),
        ("'_' in an encoding", Get + "Transfer_Encoding: chunked\r\n\r\n", 400, "HeaderImitated"),
        ("'_' in the request's ID", Get + "X_Request_ID: a\r\n\r\n", 400, "HeaderImitated"),
        ("two request IDs", Get + "X-Request-ID: a\r\nX-Request-ID: b\r\n\r\n", 400, "HeaderRepeated"),
        ("Connection names the certificate's field", Get + "Connection: close, X-Forwarded-Client-Cert\r\n\r\n", 400, "HeaderNominated"),
        ("Connection names RFC 9440's", Get + "Connection: client-cert\r\n\r\n", 400, "HeaderNominated"),
        ("Connection names its chain", Get + "Connection: keep-alive\r\nConnection: Client-Cert-Chain\r\n\r\n", 400, "HeaderNominated"),
        ("Connection names the host", Get + "Connection: host\r\n\r\n", 400, "HeaderNominated"),
        ("Connection names a length", Post + "Content-Length: 0\r\nConnection: content-length\r\n\r\n", 400, "HeaderNominated"),
        ("Connection names the client's address", Get + "X-Forwarded-For: 10.0.0.1\r\nConnection: x-forwarded-for\r\n\r\n", 400, "HeaderNominated"),
        ("a method in lower case", "get / HTTP/1.1\r\nHost: orders\r\n\r\n", 400, "MethodMalformed"),
        ("two spaces in the line", "GET  / HTTP/1.1\r\nHost: orders\r\n\r\n", 400, "TargetMalformed"),
        ("a third word in the line", "GET / x HTTP/1.1\r\nHost: orders\r\n\r\n", 400, "TargetMalformed"),
        ("no version", "GET /\r\nHost: orders\r\n\r\n", 400, "StartLineMalformed"),
        ("HTTP/1.2", "GET / HTTP/1.2\r\nHost: orders\r\n\r\n", 505, "VersionUnsupported"),
        ("a preface of HTTP/2 that goes on otherwise", "PRI * HTTP/2.0\r\nHost: orders\r\n\r\n", 505, "VersionUnsupported"),
        ("CONNECT", "CONNECT orders:80 HTTP/1.1\r\nHost: orders:80\r\n\r\n", 501, "MethodUnsupported"),
        ("an expectation that nobody knows", Post + "Content-Length: 0\r\nExpect: 200-ok\r\n\r\n", 417, "ExpectationUnsupported"),
        ("101 fields", Get + string.Concat(Enumerable.Range(0, 100).Select(i => $"x{i}: y\r\n")) + "\r\n", 431, "TooManyHeaders"),
        ("a head without end", Get + $"X-A: {new string('a', 65_536)}", 431, "HeadTooLarge"),
    ];

    /// <summary>Bodies whose beginning is good: the head has been judged and may have gone on, the end never does.</summary>
    private static readonly (string Defence, string Request, int Status, string Reason)[] Bodies =
    [
        ("a chunk that is longer than it says", Chunked + "3\r\nabcd\r\n0\r\n\r\n", 400, "ChunkMalformed"),
        ("a chunk's size with a sign", Chunked + "+3\r\nabc\r\n0\r\n\r\n", 400, "ChunkMalformed"),
        ("a chunk's size with 0x", Chunked + "0x3\r\nabc\r\n0\r\n\r\n", 400, "ChunkMalformed"),
        ("a chunk's size behind a space", Chunked + " 3\r\nabc\r\n0\r\n\r\n", 400, "ChunkMalformed"),
        ("a chunk's size that overflows", Chunked + "10000000000000003\r\nabc\r\n0\r\n\r\n", 400, "ChunkMalformed"),
        ("a chunk's line that ends with LF", Chunked + "3\nabc\r\n0\r\n\r\n", 400, "ChunkMalformed"),
        ("CR in an extension of a chunk", Chunked + "3;a\rb\r\nabc\r\n0\r\n\r\n", 400, "ChunkMalformed"),
        ("an extension without end", Chunked + $"3;{new string('a', 300)}\r\nabc\r\n0\r\n\r\n", 400, "ChunkMalformed"),
        ("the certificate's field as a trailer", Chunked + "3\r\nabc\r\n0\r\nX-Forwarded-Client-Cert: URI=spiffe://x/y\r\n\r\n", 400, "TrailerForbidden"),
        ("'_' in it as a trailer", Chunked + "3\r\nabc\r\n0\r\nx_forwarded_client_cert: URI=spiffe://x/y\r\n\r\n", 400, "TrailerForbidden"),
        ("RFC 9440's field as a trailer", Chunked + "3\r\nabc\r\n0\r\nClient-Cert: :AAAA:\r\n\r\n", 400, "TrailerForbidden"),
        ("a token as a trailer", Chunked + "3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\n\r\n", 400, "TrailerForbidden"),
        ("a length as a trailer", Chunked + "3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n", 400, "TrailerForbidden"),
        ("an encoding as a trailer", Chunked + "3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "TrailerForbidden"),
        ("a host as a trailer", Chunked + "3\r\nabc\r\n0\r\nHost: billing\r\n\r\n", 400, "TrailerForbidden"),
        ("obs-fold in trailers", Chunked + "3\r\nabc\r\n0\r\nX-A: b\r\n c\r\n\r\n", 400, "HeaderFolded"),
        ("LF in trailers", Chunked + "3\r\nabc\r\n0\r\nX-A: b\n\r\n\r\n", 400, "BareLineFeed"),
        ("trailers without end", Chunked + $"3\r\nabc\r\n0\r\nX-A: {new string('a', 8_192)}", 431, "TrailersTooLarge"),
    ];

    /// <summary>By what an application does: its answer, which brings another in its wake, and the status that its own client sees; 0 when the answer breaks off.</summary>
    private static readonly (string Trick, string Request, string Answer, int Status)[] Answers =
    [
        ("an answer behind its answer", Get + "\r\n", App.Ok("x") + App.Ok("evil"), 200),
        ("an answer behind chunks", Get + "\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + App.Ok("evil"), 200),
        ("an answer behind 204", Get + "\r\n", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n" + App.Ok("evil"), 204),
        ("an answer behind 304", Get + "\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n" + App.Ok("evil"), 304),
        ("a body behind HEAD", "HEAD / HTTP/1.1\r\nHost: orders\r\n\r\n", App.Ok("evil"), 200),
        ("an answer before the body came", Post + "Content-Length: 100\r\n\r\n", App.Ok("x") + App.Ok("evil"), 200),
        ("both lengths", Get + "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + App.Ok("evil"), 502),
        ("two lengths", Get + "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 0\r\n\r\nx" + App.Ok("evil"), 502),
        ("obs-fold", Get + "\r\n", "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n" + App.Ok("evil"), 502),
        ("a bare CR", Get + "\r\n", "HTTP/1.1 200 OK\r\nX-A: b\rSet-Cookie: c\r\nContent-Length: 0\r\n\r\n" + App.Ok("evil"), 502),
        ("an upgrade that nobody asked for", Get + "\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + App.Ok("evil"), 502),
        ("seventeen interim answers", Get + "\r\n", string.Concat(Enumerable.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 17)) + App.Ok("evil"), 502),
        ("a chunk that is longer than it says", Get + "\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n" + App.Ok("evil"), 0),
        ("a cookie as a trailer", Get + "\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nSet-Cookie: evil\r\n\r\n" + App.Ok("evil"), 0),
    ];

    [Theory]
    [InlineData("inbound")]
    [InlineData("outbound")]
    public async Task No_request_with_two_readings_gets_past_a_proxy_nor_does_what_follows_it(string side)
    {
        var proxy = world[side];
        foreach (var (defence, request, status, reason) in Requests)
        {
            await RefusedAsync(proxy, defence, request + Wake, status, reason);
            Assert.Empty(world.App.Heads);
        }

        await ServedAsync(proxy, "after all that");
    }

    [Theory]
    [InlineData("inbound")]
    [InlineData("outbound")]
    public async Task A_body_with_two_readings_has_no_end_and_its_connection_to_the_application_serves_nobody_else(string side)
    {
        var proxy = world[side];
        foreach (var (defence, request, status, reason) in Bodies)
        {
            var ends = world.Ends.Count;
            await RefusedAsync(proxy, defence, request + Wake, status, reason);

            // The head may have gone on before the fault was found; the connection then broke within the body.
            await Eventually.IsTrueAsync(() => world.Waiting == 0, "no body is waited for");
            Assert.All(world.App.Heads, head => Assert.StartsWith("POST / HTTP/1.1\r\n", head, StringComparison.Ordinal));
            Assert.All(world.Ends.Skip(ends), end => Assert.Equal("broke", end));
            world.App.Heads.Clear();
        }

        await ServedAsync(proxy, "after all that");
    }

    [Theory]
    [InlineData("inbound")]
    [InlineData("outbound")]
    public async Task What_an_application_sends_beyond_its_answer_is_nobodys_answer(string side)
    {
        var proxy = world[side];
        foreach (var (trick, request, answer, status) in Answers)
        {
            world.Answer = answer;
            await using (var client = await Wire.PlainAsync(world.Port(proxy)))
            {
                await client.SendAsync(request.Replace(" / ", " /trick ", StringComparison.Ordinal));
                var said = status == 0 ? await client.ReadToEndAsync() : await client.ReadUntilAsync("\r\n\r\n");
                Assert.True(status == 0 ? !said.EndsWith("0\r\n\r\n", StringComparison.Ordinal) : said.StartsWith("HTTP/1.1 103 ", StringComparison.Ordinal) || said.StartsWith(string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 {status} "), StringComparison.Ordinal), $"{trick}: {said}");
                Assert.DoesNotContain("evil", said, StringComparison.OrdinalIgnoreCase);
            }

            await ServedAsync(proxy, trick);
            Assert.Equal($"{trick}: 0", $"{trick}: {world.UsedAgain}");
        }
    }

    /// <summary>One answer with the status, and the end of the connection; the reason is in the log alone.</summary>
    private async Task RefusedAsync(ProxyWorld proxy, string defence, string request, int status, string reason)
    {
        var before = Reasons(proxy).Count;
        await using var client = await Wire.PlainAsync(world.Port(proxy));
        await client.SendAsync(request);
        var said = await client.ReadToEndAsync();

        Assert.True(said.StartsWith(string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 {status} "), StringComparison.Ordinal), $"{defence}: {said}");
        Assert.Equal($"{defence}: 1", $"{defence}: {said.Split("HTTP/1.1 ").Length - 1}");
        Assert.Contains("connection: close\r\n", said, StringComparison.Ordinal);
        Assert.Equal("malformed_request", JsonDocument.Parse(said.Split("\r\n\r\n", 2)[1]).RootElement.GetProperty("code").GetString());
        Assert.DoesNotContain(reason, said, StringComparison.Ordinal);
        await Eventually.IsTrueAsync(() => Reasons(proxy).Count > before, $"{defence}: a line");
        Assert.Equal($"{defence}: {reason}", $"{defence}: {Reasons(proxy)[before]}");
    }

    private async Task ServedAsync(ProxyWorld proxy, string when)
    {
        await using var client = await Wire.PlainAsync(world.Port(proxy));
        Assert.Equal($"{when}: good", $"{when}: {(await client.AskAsync("GET /good HTTP/1.1\r\nHost: orders\r\nX-Request-ID: one\r\n\r\n")).Body}");
        Assert.Equal("GET /good HTTP/1.1\r\nHost: orders\r\nX-Request-ID: one\r\n\r\n", Assert.Single(world.App.Heads, head => head.StartsWith("GET /good ", StringComparison.Ordinal)), ignoreCase: true);
        Assert.DoesNotContain(world.App.Heads, head => head.Contains("smuggled", StringComparison.Ordinal));
        world.App.Heads.Clear();
    }

    private static List<string> Reasons(ProxyWorld proxy) =>
        [.. proxy.Log().Where(line => ProxyWorld.Flag(line) == nameof(RefusalReason.MalformedRequest)).Select(line => line.GetProperty("reason").GetString()!)];

    /// <summary>The proxies of either side in front of the same application, in plaintext, so that nobody behind one of them makes good what it lets pass.</summary>
    public sealed class World : IAsyncLifetime
    {
        private readonly Dictionary<string, ProxyWorld> _sides = [];
        private string _answer = "";
        private int _waiting;
        private int _usedAgain;

        public World() => App = App.Serving(async (stream, app) =>
        {
            var (reader, hasTricked) = (new App.ByteReader(stream), false);
            while (await reader.HeadAsync() is { } head)
            {
                app.Heads.Enqueue(head);
                Interlocked.Add(ref _usedAgain, hasTricked ? 1 : 0);
                if (head.Contains(" /trick ", StringComparison.Ordinal))
                {
                    hasTricked = true;
                    await stream.WriteAsync(Encoding.Latin1.GetBytes(Answer));
                    continue;
                }

                Interlocked.Increment(ref _waiting);
                var end = "broke";
                try
                {
                    await reader.BodyAsync(head);
                    end = "ended";
                }
                finally
                {
                    Ends.Enqueue(end);
                    Interlocked.Decrement(ref _waiting);
                }

                await stream.WriteAsync(Encoding.Latin1.GetBytes(App.Ok("good")));
            }
        });

        internal App App { get; }

        /// <summary>How bodies ended at the application.</summary>
        internal ConcurrentQueue<string> Ends { get; } = new();

        /// <summary>Requests whose body has not ended at the application.</summary>
        internal int Waiting => Volatile.Read(ref _waiting);

        /// <summary>Requests that came to the application by a connection on which it had sent more than it was asked for.</summary>
        internal int UsedAgain => Volatile.Read(ref _usedAgain);

        /// <summary>What it answers at /trick.</summary>
        internal string Answer
        {
            get => Volatile.Read(ref _answer);
            set => Volatile.Write(ref _answer, value);
        }

        internal ProxyWorld this[string side] => _sides[side];

        public async ValueTask InitializeAsync()
        {
            _sides["inbound"] = await ProxyWorld.InboundAsync(App.EndPoint, ProxyWorld.Permissive);
            _sides["outbound"] = await ProxyWorld.OutboundAsync([App.EndPoint], _sides["inbound"].Authority, policy: ProxyWorld.PlaintextToOrders);
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var side in _sides.Values)
            {
                await side.DisposeAsync();
            }

            await App.DisposeAsync();
        }

        internal System.Net.IPEndPoint Port(ProxyWorld proxy) => proxy == _sides["inbound"] ? proxy.Inbound : proxy.Outbound;
    }
}
