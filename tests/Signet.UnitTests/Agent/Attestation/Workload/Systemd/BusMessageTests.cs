using Signet.Agent.Attestation.Workload.Systemd;

namespace Signet.UnitTests.Agent.Attestation.Workload.Systemd;

public sealed class BusMessageTests
{
    // From the specification's rules, by hand: the head's fields each begin at a multiple of 8.
    private static readonly byte[] Hello =
    [
        (byte)'l', 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 109, 0, 0, 0,
        1, 1, (byte)'o', 0, 21, 0, 0, 0, .. "/org/freedesktop/DBus"u8, 0, 0, 0,
        2, 1, (byte)'s', 0, 20, 0, 0, 0, .. "org.freedesktop.DBus"u8, 0, 0, 0, 0,
        3, 1, (byte)'s', 0, 5, 0, 0, 0, .. "Hello"u8, 0, 0, 0,
        6, 1, (byte)'s', 0, 20, 0, 0, 0, .. "org.freedesktop.DBus"u8, 0, 0, 0, 0,
    ];

    /// <summary>An answer to call 2: a variant with the text /x.</summary>
    private static readonly byte[] Answer =
    [
        (byte)'l', 2, 1, 1, 11, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0,
        5, 1, (byte)'u', 0, 2, 0, 0, 0,
        1, (byte)'s', 0, 0, 2, 0, 0, 0, (byte)'/', (byte)'x', 0,
    ];

    [Fact]
    public void A_call_is_written_as_the_bus_expects_it()
    {
        var written = BusMessage.EncodeCall(1, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello");
        Assert.Equal(Hello, written);
    }

    [Fact]
    public void An_answer_is_read_whole()
    {
        Assert.True(BusMessage.TryReadLength(Answer, out var length));
        Assert.Equal(Answer.Length, length);
        Assert.True(BusMessage.TryRead(Answer, out var reply));
        Assert.Equal((2u, ""), (reply!.ReplyTo, reply.Error));
        Assert.True(BusMessage.TryReadTextVariant(reply.Body, out var text));
        Assert.Equal("/x", text);
    }

    [Theory]
    [InlineData(0, (byte)'B')]
    [InlineData(3, (byte)2)]
    [InlineData(6, (byte)1)]
    [InlineData(14, (byte)1)]
    public void Another_byte_order_another_version_and_endless_messages_are_not_read(int at, byte value)
    {
        var message = Answer.ToArray();
        message[at] = value;
        Assert.False(BusMessage.TryReadLength(message, out _));
    }

    [Fact]
    public void Whatever_is_changed_in_an_answer_breaks_nothing()
    {
        var random = new Random(7);
        for (var round = 0; round < 20_000; round++)
        {
            var message = Answer.ToArray();
            for (var changes = random.Next(1, 4); changes > 0; changes--)
            {
                message[random.Next(message.Length)] = (byte)random.Next(256);
            }

            if (BusMessage.TryReadLength(message, out var length))
            {
                Array.Resize(ref message, length);
                if (BusMessage.TryRead(message, out var reply))
                {
                    BusMessage.TryReadTextVariant(reply!.Body, out _);
                }
            }
        }
    }
}
