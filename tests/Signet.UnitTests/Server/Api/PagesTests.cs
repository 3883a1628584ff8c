using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Signet.Server.Api;

namespace Signet.UnitTests.Server.Api;

public sealed class PagesTests
{
    [Theory]
    [InlineData(0, "a b c d", "")]
    [InlineData(4, "a b c d", "")]
    [InlineData(3, "a b c", "c")]
    [InlineData(1, "a", "a")]
    public void A_page_holds_what_was_asked_for_and_says_where_the_next_begins(int size, string expected, string next)
    {
        var (page, token) = Take(["d", "b", "a", "c"], 10, size, "");
        Assert.Equal((expected, next), (string.Join(' ', page), token));
    }

    [Fact]
    public void Pages_hold_everything_once_even_when_what_a_token_names_is_gone()
    {
        Assert.Equal(["b", "c"], Take(["a", "b", "c", "d"], 10, 2, "a").Page);
        Assert.Equal(["c", "d"], Take(["a", "c", "d"], 10, 2, "b").Page);
        Assert.Empty(Take(["a"], 10, 2, "a").Page);
    }

    [Fact]
    public void A_page_ends_before_it_is_larger_than_clients_take_and_nothing_is_lost()
    {
        string[] all = [.. Enumerable.Range(0, 10).Select(i => $"{i}")];
        var (seen, token, pages) = (new List<string>(), "", 0);
        do
        {
            (var page, token) = Take(all, Pages.MaxBytes / 3, 0, token);
            seen.AddRange(page);
            pages++;
        }
        while (token.Length > 0);
        Assert.Equal(all, seen);
        Assert.Equal(5, pages);
    }

    [Fact]
    public void What_alone_is_larger_than_a_page_goes_alone()
    {
        var (page, next) = Take(["a", "b"], Pages.MaxBytes + 1, 0, "");
        Assert.Equal("a", Assert.Single(page));
        Assert.Equal("a", next);
    }

    [Fact]
    public void A_stream_of_messages_ends_with_one_after_which_nothing_follows_and_nothing_is_one_empty_message()
    {
        var split = Pages.Split(Enumerable.Range(0, 5).Select(i => new StringValue { Value = $"{i}" }), 2).ToArray();
        Assert.Equal([(2, true), (2, true), (1, false)], split.Select(one => (one.Page.Count, one.More)));
        Assert.Equal([(2, true), (2, false)], Pages.Split(Enumerable.Repeat(new StringValue(), 4), 2).Select(one => (one.Page.Count, one.More)));
        Assert.Equal([(0, false)], Pages.Split(Array.Empty<StringValue>(), 2).Select(one => (one.Page.Count, one.More)));
    }

    [Fact]
    public void A_negative_size_and_too_large_a_batch_are_refused()
    {
        Assert.Equal(StatusCode.InvalidArgument, Assert.Throws<RpcException>(() => Take(["a"], 1, -1, "")).StatusCode);
        Pages.CheckBatch(Pages.MaxBatch, "entries");
        Assert.Equal(StatusCode.InvalidArgument, Assert.Throws<RpcException>(() => Pages.CheckBatch(Pages.MaxBatch + 1, "entries")).StatusCode);
    }

    /// <summary>A page of texts, each of which is shown as a message of a little more than so many bytes.</summary>
    private static (IReadOnlyList<string> Page, string Next) Take(IReadOnlyList<string> items, int bytes, int size, string token)
    {
        var (page, next) = Pages.Take(items, item => item, item => new StringValue { Value = item.PadRight(bytes) }, size, token);
        return ([.. page.Select(wire => wire.Value.TrimEnd())], next);
    }
}
