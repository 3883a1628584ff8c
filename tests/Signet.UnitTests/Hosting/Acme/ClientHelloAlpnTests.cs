using System.Buffers;
using System.Net.Security;
using FsCheck;
using FsCheck.Fluent;
using Signet.Hosting.Acme;

namespace Signet.UnitTests.Hosting.Acme;

public sealed class ClientHelloAlpnTests
{
    private static readonly byte[] Protocol = "acme-tls/1"u8.ToArray();

    [Fact]
    public async Task Only_a_hello_that_offers_the_protocol_and_no_other_is_an_authoritys()
    {
        Assert.Equal(AlpnLook.Offered, Look(await HelloAsync("acme-tls/1")));
        Assert.Equal(AlpnLook.NotOffered, Look(await HelloAsync("h2", "http/1.1")));
        Assert.Equal(AlpnLook.NotOffered, Look(await HelloAsync("acme-tls/1", "h2")));
        Assert.Equal(AlpnLook.NotOffered, Look(await HelloAsync()));
        Assert.Equal(AlpnLook.NotOffered, Look("GET / HTTP/1.1\r\n\r\n"u8.ToArray()));
    }

    [Fact]
    public async Task A_hello_in_pieces_is_waited_for_and_no_piece_is_taken_for_something_else()
    {
        var hello = await HelloAsync("acme-tls/1");
        for (var length = 0; length < hello.Length; length++)
        {
            Assert.Equal(AlpnLook.Unknown, Look(hello[..length]));
        }
    }

    [Fact]
    public async Task Whatever_comes_is_answered_without_an_exception()
    {
        var hello = await HelloAsync("acme-tls/1");
        Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), bytes => Enum.IsDefined(Look(bytes))).QuickCheckThrowOnFailure();
        Prop.ForAll(Gen.Choose(0, hello.Length - 1).Zip(Gen.Choose(0, 255)).ToArbitrary(), change =>
        {
            var broken = hello.ToArray();
            broken[change.Item1] = (byte)change.Item2;
            return Enum.IsDefined(Look(broken));
        }).QuickCheckThrowOnFailure();
    }

    private static AlpnLook Look(byte[] bytes) => ClientHelloAlpn.Look(new ReadOnlySequence<byte>(bytes), Protocol);

    /// <summary>What a real client sends first.</summary>
    private static async Task<byte[]> HelloAsync(params string[] protocols)
    {
        using var wire = new Recorder();
        await using var tls = new SslStream(wire);
        var options = new SslClientAuthenticationOptions { TargetHost = "bundle.example.org", ApplicationProtocols = protocols.Length == 0 ? null : [.. protocols.Select(name => new SslApplicationProtocol(name))] };
        await Assert.ThrowsAnyAsync<Exception>(() => tls.AuthenticateAsClientAsync(options));
        return wire.Written.ToArray();
    }

    private sealed class Recorder : Stream
    {
        public MemoryStream Written { get; } = new();

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => 0;

        public override long Position { get; set; }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => 0;

        public override long Seek(long offset, SeekOrigin origin) => 0;

        public override void SetLength(long value)
        {
        }

        public override void Write(byte[] buffer, int offset, int count) => Written.Write(buffer, offset, count);
    }
}
