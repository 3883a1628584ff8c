using Signet.Proxy.Tls;

namespace Signet.UnitTests.Proxy.Tls;

public sealed class PostHandshakeMessagesTests
{
    private static readonly byte[] s_ticket = [4, 0, 0, 3, 1, 2, 3];

    [Theory]
    [InlineData("04000003010203", PostHandshakeMessages.Found.Tickets)]
    [InlineData("0400000301020304000002ffff", PostHandshakeMessages.Found.Tickets)]
    [InlineData("1800000100", PostHandshakeMessages.Found.NewKey)]
    [InlineData("1800000101", PostHandshakeMessages.Found.NewKeyForBoth)]
    [InlineData("040000030102031800000100", PostHandshakeMessages.Found.NewKey)]
    [InlineData("1800000102", PostHandshakeMessages.Found.Illegal)]
    [InlineData("18000001001800000100", PostHandshakeMessages.Found.Unexpected)]
    [InlineData("180000010004", PostHandshakeMessages.Found.Unexpected)]
    [InlineData("18000000", PostHandshakeMessages.Found.Malformed)]
    [InlineData("180000020000", PostHandshakeMessages.Found.Malformed)]
    [InlineData("04000000", PostHandshakeMessages.Found.Malformed)]
    [InlineData("0d00000100", PostHandshakeMessages.Found.Unexpected)]
    [InlineData("0100000100", PostHandshakeMessages.Found.Unexpected)]
    [InlineData("1400000100", PostHandshakeMessages.Found.Unexpected)]
    [InlineData("", PostHandshakeMessages.Found.Unexpected)]
    public void A_client_takes_tickets_and_new_keys(string content, object found)
    {
        var messages = new PostHandshakeMessages(isServer: false);
        Assert.Equal(found, messages.Take(Convert.FromHexString(content)));
    }

    [Fact]
    public void A_server_takes_no_tickets()
    {
        var messages = new PostHandshakeMessages(isServer: true);
        Assert.Equal(PostHandshakeMessages.Found.Unexpected, messages.Take(s_ticket));
    }

    [Fact]
    public void Messages_may_be_cut_anywhere()
    {
        byte[] all = [.. s_ticket, .. s_ticket, 24, 0, 0, 1, 1];
        for (var first = 1; first < all.Length - 1; first++)
        {
            for (var second = first + 1; second < all.Length; second++)
            {
                var messages = new PostHandshakeMessages(isServer: false);
                Assert.Equal(PostHandshakeMessages.Found.Tickets, messages.Take(all.AsSpan(0, first)));
                Assert.Equal(first % s_ticket.Length != 0, messages.IsWithin);
                Assert.Equal(PostHandshakeMessages.Found.Tickets, messages.Take(all.AsSpan(first, second - first)));
                Assert.Equal(PostHandshakeMessages.Found.NewKeyForBoth, messages.Take(all.AsSpan(second)));
                Assert.False(messages.IsWithin);
            }
        }
    }
}
