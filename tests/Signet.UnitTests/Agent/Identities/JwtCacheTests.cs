using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.Identities;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Identities;

public sealed class JwtCacheTests
{
    private static readonly RegistrationEntry Entry = new()
    {
        Id = "e1",
        SpiffeId = SpiffeId.Parse("spiffe://example.org/web"),
        ParentId = SpiffeId.Parse("spiffe://example.org/agent"),
        Selectors = [new Selector("unix", "uid:1")],
        Revision = 1,
    };

    private readonly ManualTimeProvider _time = new();
    private readonly JwtCache _cache;
    private readonly HashSet<string> _superseded = [];
    private int _signed;
    private bool _isDown;

    public JwtCacheTests() => _cache = new JwtCache(
        (entry, _, _) => _isDown
            ? Task.FromException<HeldJwt>(new RpcException(new Status(StatusCode.Unavailable, "down")))
            : Task.FromResult(new HeldJwt(entry, $"token {++_signed}", $"key {_signed}", _time.GetUtcNow(), _time.GetUtcNow().AddMinutes(5))),
        () => _superseded,
        _time,
        NullLogger<JwtCache>.Instance);

    [Fact]
    public async Task A_token_of_a_superseded_key_is_replaced_at_once_but_serves_while_nothing_can_be_signed()
    {
        Assert.Equal("token 1", await TokenAsync("a"));
        _superseded.Add("key 1");
        _isDown = true;
        Assert.Equal("token 1", await TokenAsync("a"));
        _isDown = false;
        Assert.Equal("token 2", await TokenAsync("a"));
        Assert.Equal("token 2", await TokenAsync("a"));
    }

    [Fact]
    public async Task A_token_serves_until_half_of_its_life()
    {
        Assert.Equal("token 1", await TokenAsync("a"));
        _time.Advance(TimeSpan.FromSeconds(149));
        Assert.Equal("token 1", await TokenAsync("a"));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("token 2", await TokenAsync("a"));
    }

    [Fact]
    public async Task The_order_of_audiences_does_not_matter_and_everything_else_does()
    {
        Assert.Equal("token 1", await TokenAsync("a", "b"));
        Assert.Equal("token 1", await TokenAsync("b", "a"));
        Assert.Equal("token 2", await TokenAsync("a"));
        Assert.Equal("token 3", await TokenAsync("a:1:b"));
        Assert.Equal("token 4", await TokenAsync("a1:b"));
        Assert.Equal("token 5", (await _cache.GetAsync(Entry with { Id = "e2" }, ["a"], CancellationToken.None)).Token);
        Assert.Equal("token 6", (await _cache.GetAsync(Entry with { Revision = 2 }, ["a"], CancellationToken.None)).Token);
    }

    [Fact]
    public async Task Without_the_server_a_token_serves_until_it_expires_and_then_there_is_none()
    {
        Assert.Equal("token 1", await TokenAsync("a"));
        _isDown = true;
        _time.Advance(TimeSpan.FromSeconds(299));
        Assert.Equal("token 1", await TokenAsync("a"));
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => TokenAsync("other"))).StatusCode);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => TokenAsync("a"))).StatusCode);
    }

    [Fact]
    public async Task Keeps_no_more_than_its_limit_and_drops_what_expires_first()
    {
        await TokenAsync("first");
        _time.Advance(TimeSpan.FromSeconds(1));
        for (var i = 0; i < JwtCache.MaxTokens; i++)
        {
            await TokenAsync($"{i}");
        }

        var signed = _signed;
        await TokenAsync($"{JwtCache.MaxTokens - 1}");
        Assert.Equal(signed, _signed);
        await TokenAsync("first");
        Assert.Equal(signed + 1, _signed);
    }

    [Fact]
    public void A_held_token_does_not_show_itself() =>
        Assert.DoesNotContain("secret", new HeldJwt(Entry, "secret", "key", _time.GetUtcNow(), _time.GetUtcNow()).ToString(), StringComparison.Ordinal);

    private async Task<string> TokenAsync(params string[] audiences) => (await _cache.GetAsync(Entry, audiences, CancellationToken.None)).Token;
}
