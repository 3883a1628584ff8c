using Signet.Proxy.Transport;

namespace Signet.UnitTests.Proxy.Transport;

public sealed class BufferedTransportTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(5000)]
    [InlineData(100_000)]
    public async Task Gives_every_byte_once_and_in_order_however_it_is_looked_at_and_read(int step)
    {
        var bytes = Enumerable.Range(0, 100_000).Select(i => (byte)(i * 31)).ToArray();
        var transport = new BufferedTransport(new Feed(bytes, step));
        var taken = new List<byte>();
        var into = new byte[1500];
        for (var turn = 0; taken.Count < bytes.Length; turn++)
        {
            if (turn % 3 == 2)
            {
                var read = await transport.ReadAsync(into, CancellationToken.None);
                taken.AddRange(into[..read]);
                continue;
            }

            if (transport.Available.Length < 60_000)
            {
                await transport.ReadMoreAsync(60_000, CancellationToken.None);
            }

            var count = Math.Min(transport.Available.Length, (turn * 37) % 2000);
            taken.AddRange(transport.Available[..count].ToArray());
            transport.Consume(count);
            Assert.True(transport.Available.Length <= 60_000);
        }

        Assert.Equal(bytes, taken);
        Assert.False(await transport.ReadMoreAsync(60_000, CancellationToken.None));
    }

    [Fact]
    public async Task Never_holds_more_than_the_limit()
    {
        var transport = new BufferedTransport(new Feed(new byte[1000], 1000));
        while (transport.Available.Length < 100)
        {
            Assert.True(await transport.ReadMoreAsync(100, CancellationToken.None));
        }

        Assert.Equal(100, transport.Available.Length);
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await transport.ReadMoreAsync(100, CancellationToken.None));
    }

    private sealed class Feed(byte[] bytes, int step) : ITransport
    {
        private int _at;

        public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            var count = Math.Min(Math.Min(step, buffer.Length), bytes.Length - _at);
            bytes.AsMemory(_at, count).CopyTo(buffer);
            _at += count;
            return ValueTask.FromResult(count);
        }

        public ValueTask WriteAsync(ReadOnlyMemory<byte> sent, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask EndWritesAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public void Abort()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
