using System.Buffers;
using System.Net.Security;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Signet.Proxy.Sniffing;

namespace Signet.UnitTests.Proxy.Sniffing;

public sealed class TlsSnifferTests
{
    [Fact]
    public void Reads_the_server_name_and_the_protocols_of_a_ClientHello()
    {
        var hello = Assert.IsType<TlsSniff.ClientHello>(TlsSniffer.Inspect(Hello.Of("payments.example.org", "istio-http/1.1", "istio").AsSpan()));

        Assert.Equal("payments.example.org", hello.Sni);
        Assert.Equal(["istio-http/1.1", "istio"], hello.Alpn);
    }

    [Fact]
    public void Reads_a_ClientHello_without_extensions()
    {
        byte[] body = [3, 3, .. new byte[32], 0, .. Hello.Vector16([0, 47]), 1, 0];
        var hello = Assert.IsType<TlsSniff.ClientHello>(TlsSniffer.Inspect(Hello.InRecords([1, 0, 0, (byte)body.Length, .. body], 100).AsSpan()));

        Assert.Null(hello.Sni);
        Assert.Empty(hello.Alpn);
    }

    [Fact]
    public async Task Reads_the_ClientHello_of_the_platforms_own_TLS()
    {
        var wire = new Recorder();
        await using var stream = new SslStream(wire);
        await Assert.ThrowsAnyAsync<IOException>(() => stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "outbound_.8080_._.payments.production.svc.cluster.local",
            ApplicationProtocols = [new("istio"), new("h2")],
        }));

        var hello = Assert.IsType<TlsSniff.ClientHello>(TlsSniffer.Inspect(wire.Written.ToArray().AsSpan()));
        Assert.Equal("outbound_.8080_._.payments.production.svc.cluster.local", hello.Sni);
        Assert.Equal(["istio", "h2"], hello.Alpn);
    }

    [Fact]
    public void Wants_more_at_every_cut_and_then_gives_the_same_answer_from_any_two_segments()
    {
        var bytes = Hello.Of("a.example", "istio");
        for (var cut = 0; cut < bytes.Length; cut++)
        {
            Assert.IsType<TlsSniff.NeedMore>(TlsSniffer.Inspect(bytes.AsSpan(0, cut)));
            Assert.Equal("a.example", Assert.IsType<TlsSniff.ClientHello>(TlsSniffer.Inspect(Segments(bytes, cut))).Sni);
        }
    }

    [Fact]
    public void Joins_a_ClientHello_that_is_cut_into_records_of_any_size()
    {
        var message = Hello.Of("a.example", "istio")[5..];
        for (var size = 1; size <= message.Length; size++)
        {
            var hello = Assert.IsType<TlsSniff.ClientHello>(TlsSniffer.Inspect(Hello.InRecords(message, size).AsSpan()));
            Assert.Equal("a.example", hello.Sni);
        }
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]
    [InlineData("\0\0\0\b\u0004Ò\u0016/")]
    [InlineData("*1\r\n$4\r\nPING\r\n")]
    [InlineData("\u0016plaintext that begins like a record")]
    [InlineData("\u0015\u0003\u0001")]
    public void Knows_other_protocols_by_their_first_bytes(string text) =>
        Assert.IsType<TlsSniff.NotTls>(TlsSniffer.Inspect(Encoding.Latin1.GetBytes(text).AsSpan()));

    [Fact]
    public void Does_not_take_for_plaintext_what_began_as_TLS_and_broke_its_rules()
    {
        byte[][] broken =
        [
            [22, 3, 1, 0, 5, 2, 0, 0, 1, 0],                                                         // a ServerHello
            [22, 3, 1, 0, 0],                                                                        // an empty record
            [22, 3, 1, 0xff, 0xff, 1],                                                               // a record beyond the limit
            [22, 3, 1, 0, 4, 1, 0, 0, 2, 23, 3, 3, 0, 2, 0, 0],                                      // application data inside
            Hello.InRecords([1, 0, 0, 10, .. new byte[10]], 100),                                    // cut short
            Hello.InRecords(Hello.Message([0, 16, 0, 200, 1]), 1000),                                // an extension beyond the end
            Hello.InRecords(Hello.Message([0, 16, 0, 3, 0, 1, 5]), 1000),                            // ALPN that overflows
            Hello.InRecords(Hello.Message([0, 16, 0, 2, 0, 0]), 1000),                               // ALPN without names
            Hello.InRecords(Hello.Message([0, 0, 0, 8, 0, 6, 0, 0, 3, (byte)'a', 10, (byte)'b']), 1000), // a line break in SNI
        ];
        foreach (var bytes in broken)
        {
            Assert.NotEmpty(Assert.IsType<TlsSniff.Malformed>(TlsSniffer.Inspect(bytes.AsSpan())).Problem);
        }
    }

    [Fact]
    public void Refuses_a_ClientHello_that_is_larger_than_the_limit()
    {
        var padding = new List<byte>();
        Hello.Extension(padding, 21, new byte[20_000]);
        var bytes = Hello.InRecords(Hello.Message([.. padding]), 4000);

        Assert.IsType<TlsSniff.Malformed>(TlsSniffer.Inspect(bytes.AsSpan()));
        Assert.IsType<TlsSniff.Malformed>(TlsSniffer.Inspect(Segments(bytes, 10_000)));
    }

    [Fact]
    public void Never_throws_and_never_wants_more_than_the_limit_whatever_arrives()
    {
        var good = Hello.Of("a.example", "istio", "h2");
        var mutations =
            from at in Gen.Choose(0, good.Length - 1).ArrayOf()
            from values in Gen.Choose(0, 255).ArrayOf(at.Length)
            from tail in Gen.Choose(0, 255).ArrayOf()
            select at.Zip(values).Aggregate((byte[])[.. good, .. tail.Select(b => (byte)b)], (bytes, change) =>
            {
                bytes[change.First] = (byte)change.Second;
                return bytes;
            });
        Prop.ForAll(mutations.ToArbitrary(), bytes =>
        {
            var whole = TlsSniffer.Inspect(bytes.AsSpan());
            Heap.TakesAtMost(1024 + (32 * bytes.Length), () => TlsSniffer.Inspect(bytes.AsSpan()));
            return whole is not TlsSniff.NeedMore || bytes.Length < TlsSniffer.MaxHello;
        }).QuickCheckThrowOnFailure();

        var endless = Enumerable.Repeat<byte[]>([22, 3, 1, 0, 1, 1], 5000).SelectMany(record => record).ToArray();
        Assert.IsType<TlsSniff.Malformed>(TlsSniffer.Inspect(endless.AsSpan()));
    }

    private static ReadOnlySequence<byte> Segments(byte[] bytes, int cut)
    {
        var first = new Segment(bytes.AsMemory(0, cut), 0);
        var second = new Segment(bytes.AsMemory(cut), cut);
        first.Link(second);
        return new ReadOnlySequence<byte>(first, 0, second, bytes.Length - cut);
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(ReadOnlyMemory<byte> memory, long index) => (Memory, RunningIndex) = (memory, index);

        public void Link(Segment next) => Next = next;
    }

    /// <summary>Keeps what is written and ends at the first read.</summary>
    private sealed class Recorder : MemoryStream
    {
        public List<byte> Written { get; } = [];

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => ValueTask.FromResult(0);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Written.AddRange(buffer.ToArray());
            return ValueTask.CompletedTask;
        }
    }
}
