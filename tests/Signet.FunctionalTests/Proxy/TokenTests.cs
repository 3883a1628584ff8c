using System.Buffers.Text;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Policy.Jwt;
using Signet.Policy.Objects;
using Signet.Proxy;
using Signet.Proxy.Authorization;
using Signet.Proxy.Telemetry;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>RequestAuthentication: which tokens are believed, where their keys come from, and what becomes of them.</summary>
public sealed class TokenTests
{
    private const string Needed = "\n---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: needed, namespace: default}\nspec: {rules: [{from: [{source: {requestPrincipals: [\"https://iss/me\"]}}]}]}\n";

    private static string Rule(string keys, string more = "") => ProxyWorld.Permissive + $$"""
        ---
        apiVersion: security.istio.io/v1
        kind: RequestAuthentication
        metadata: {name: jwt, namespace: default}
        spec: {jwtRules: [{issuer: "https://iss", audiences: [pay], {{keys}}{{more}}}]}
        """;

    private static string Get(string? token, string path = "/", string more = "") =>
        $"GET {path} HTTP/1.1\r\nHost: orders\r\n{(token is null ? "" : $"Authorization: Bearer {token}\r\n")}{more}\r\n";

    [Fact]
    public async Task A_good_token_is_believed_none_is_anonymous_and_policies_decide_by_it()
    {
        await using var app = App.Http();
        await using var issuer = new TokenIssuer();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, Rule($"jwks: '{issuer.Jwks}'", ", fromHeaders: [{name: x-jwt}], fromParams: [t], fromCookies: [c]") + Needed);
        await using var client = await Wire.PlainAsync(world.Inbound);

        Assert.Equal(403, (await client.AskAsync(Get(null))).Status);
        Assert.Equal(403, (await client.AskAsync(Get(issuer.Token()))).Status);
        Assert.Equal(200, (await client.AskAsync(Get(null, "/?a=1&t=" + issuer.Token() + "&b=2"))).Status);
        Assert.Equal(200, (await client.AskAsync(Get(null, more: $"X-Jwt: {issuer.Token()}\r\n"))).Status);
        Assert.Equal(200, (await client.AskAsync(Get(null, more: $"Cookie: a=b; c={issuer.Token()}\r\n"))).Status);

        Assert.Equal(3, app.Heads.Count);
        Assert.StartsWith("GET /?a=1&b=2 HTTP/1.1\r\n", app.Heads.First(), StringComparison.Ordinal);
        Assert.Equal("", App.Field(app.Heads.ElementAt(1), "x-jwt"));
        Assert.DoesNotContain("eyJ", string.Join("", world.Log()), StringComparison.Ordinal);
    }

    public static TheoryData<string> Bad { get; } = ["expired", "wrong audience", "other issuer", "alg none", "alg HS256", "other key", "tampered", "garbage", "two, one bad"];

    [Theory]
    [MemberData(nameof(Bad))]
    [Proves(RefusalReason.TokenInvalid)]
    public async Task A_bad_token_is_401_and_only_the_log_says_why(string what)
    {
        await using var app = App.Http();
        await using var issuer = new TokenIssuer();
        await using var other = new TokenIssuer();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, Rule($"jwks: '{issuer.Jwks}'"));
        await using var client = await Wire.PlainAsync(world.Inbound);
        var token = what switch
        {
            "expired" => issuer.Token(life: TimeSpan.FromMinutes(-5)),
            "wrong audience" => issuer.Token(audience: "play"),
            "other issuer" => issuer.Token(issuer: "https://else"),
            "alg none" => issuer.Token(algorithm: "none"),
            "alg HS256" => issuer.Token(algorithm: "HS256"),
            "other key" => other.Token(),
            "tampered" => issuer.Token() is var t ? t[..^4] + (t[^4] == 'A' ? 'B' : 'A') + t[^3..] : "",
            "two, one bad" => issuer.Token() + "\r\nAuthorization: Bearer a.b.c",
            _ => "garbage",
        };

        var refused = await client.AskAsync(Get(token));

        Assert.Equal((401, "Bearer error=\"invalid_token\""), (refused.Status, App.Field(refused.Head, "www-authenticate")));
        Assert.Equal("invalid_token", JsonDocument.Parse(refused.Body).RootElement.GetProperty("code").GetString());
        Assert.Empty(app.Heads);
        var line = await world.RefusedAsync(RefusalReason.TokenInvalid);
        Assert.Equal(("deny", "request-authentication"), (line.GetProperty("verdict").GetString(), line.GetProperty("stage").GetString()));
        Assert.NotEqual("", line.GetProperty("reason").GetString());
        Assert.Equal(200, (await client.AskAsync(Get(issuer.Token()))).Status);
    }

    [Fact]
    public async Task What_a_token_says_goes_to_the_application_and_what_a_client_forged_does_not()
    {
        await using var app = App.Http();
        await using var issuer = new TokenIssuer();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, Rule(
            $"jwks: '{issuer.Jwks}'",
            ", forwardOriginalToken: true, outputPayloadToHeader: x-payload, outputClaimToHeaders: [{header: x-sub, claim: sub}, {header: x-role, claim: deep.role}, {header: x-n, claim: n}, {header: x-evil, claim: evil}]"));
        await using var client = await Wire.PlainAsync(world.Inbound);
        var token = issuer.Token(more: ",\"deep\":{\"role\":\"r\\u00fc\"},\"n\":7,\"evil\":\"a\\r\\nb: c\"");

        Assert.Equal(200, (await client.AskAsync(Get(token, "/", "x-sub: root\r\nX_Role: root\r\nx-evil: root\r\n"))).Status);
        Assert.Equal(200, (await client.AskAsync(Get(null, more: "x-sub: root\r\nX_Role: root\r\nx-payload: root\r\n"))).Status);

        var (with, without) = (app.Heads.First(), app.Heads.Last());
        Assert.Equal(("Bearer " + token, "me", "r\u00c3\u00bc", "7", ""), (App.Field(with, "authorization"), App.Field(with, "x-sub"), App.Field(with, "x-role"), App.Field(with, "x-n"), App.Field(with, "x-evil")));
        Assert.Equal((token.Split('.')[1], "orders"), (App.Field(with, "x-payload"), App.Field(with, "host")));
        Assert.DoesNotContain("root", with + without, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bad_token_in_the_query_is_not_logged()
    {
        await using var app = App.Http();
        await using var issuer = new TokenIssuer();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, Rule($"jwks: '{issuer.Jwks}'"));
        await using var client = await Wire.PlainAsync(world.Inbound);

        Assert.Equal(401, (await client.AskAsync(Get(null, "/a?access_token=very.secret.thing&b=1"))).Status);

        Assert.Equal("/a?access_token=REDACTED&b=1", (await world.RefusedAsync(RefusalReason.TokenInvalid)).GetProperty("request").GetProperty("path").GetString());
    }

    [Fact]
    public async Task Keys_are_fetched_once_for_many_and_a_token_of_a_new_key_has_them_fetched_again()
    {
        await using var app = App.Http();
        await using var issuer = new TokenIssuer();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, Rule($"jwksUri: {issuer.Uri}"));
        var old = issuer.Token();
        var statuses = await Task.WhenAll(Enumerable.Range(0, 20).Select(async _ =>
        {
            await using var one = await Wire.PlainAsync(world.Inbound);
            return (await one.AskAsync(Get(old))).Status;
        }));
        Assert.All(statuses, status => Assert.Equal(200, status));
        Assert.Single(issuer.Asked);

        issuer.Rotate();

        await using var client = await Wire.PlainAsync(world.Inbound);
        await Eventually.IsTrueAsync(async () => (await client.AskAsync(Get(issuer.Token()))).Status == 200, "the new key is known");
        Assert.Equal(401, (await client.AskAsync(Get(old))).Status);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Keys_come_over_https_from_who_the_roots_vouch_for(bool trusted)
    {
        await using var app = App.Http();
        await using var issuer = new TokenIssuer(https: true);
        await using var stranger = new TokenIssuer(https: true);
        using var folder = new TestFolder();
        await File.WriteAllTextAsync(folder.File("roots.pem"), trusted ? issuer.CaPem : stranger.CaPem);
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, Rule($"jwksUri: {issuer.Uri}"), change: config => config with { TokenKeyRoots = folder.File("roots.pem") });
        await using var client = await Wire.PlainAsync(world.Inbound);

        Assert.Equal(trusted ? 200 : 401, (await client.AskAsync(Get(issuer.Token()))).Status);

        Assert.Equal(trusted ? 1 : 0, issuer.Asked.Count);
    }

    public static TheoryData<string, string> BadKeys { get; } = new()
    {
        { "not found", "it answered 404" },
        { "100 MB", "more than 1048576 bytes" },
        { "100 MB by length", "more than 1048576 bytes" },
        { "101 keys", "the limit is 100" },
        { "no JSON", "not JSON" },
        { "elsewhere", "another place" },
        { "round and round", "redirects" },
        { "silent", "nothing within" },
    };

    [Theory]
    [MemberData(nameof(BadKeys))]
    public async Task Keys_that_cannot_be_had_refuse_the_token_and_nothing_else(string what, string problem)
    {
        await using var issuer = new TokenIssuer();
        var sent = 0L;
        issuer.Answer = async (stream, _) =>
        {
            Task SayAsync(string text) => stream.WriteAsync(Encoding.Latin1.GetBytes(text)).AsTask();
            switch (what)
            {
                case "not found":
                    await SayAsync("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
                    break;
                case "100 MB" or "100 MB by length":
                    await SayAsync($"HTTP/1.1 200 OK\r\n{(what == "100 MB" ? "Connection: close" : "Content-Length: 100000000")}\r\n\r\n");
                    var part = new byte[100_000];
                    part.AsSpan().Fill((byte)' ');
                    for (var i = 0; i < 1000; i++)
                    {
                        await stream.WriteAsync(part);
                        Interlocked.Add(ref sent, part.Length);
                    }

                    break;
                case "101 keys":
                    await SayAsync(App.Ok("{\"keys\":[" + string.Join(",", Enumerable.Repeat("{\"kty\":\"oct\"}", 101)) + "]}"));
                    break;
                case "no JSON":
                    await SayAsync(App.Ok("hello"));
                    break;
                case "elsewhere":
                    await SayAsync("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2/keys\r\nContent-Length: 0\r\n\r\n");
                    break;
                case "round and round":
                    await SayAsync("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
                    break;
            }
        };
        using var fetcher = new KeyFetcher(null);
        using var late = new CancellationTokenSource(what == "silent" ? TimeSpan.FromMilliseconds(200) : TimeSpan.FromSeconds(30));
        if (what == "silent")
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => fetcher.FetchAsync(new Uri(issuer.Uri), late.Token));
        }
        else
        {
            var (keys, why) = await fetcher.FetchAsync(new Uri(issuer.Uri), late.Token);
            Assert.Null(keys);
            Assert.Contains(problem, why, StringComparison.Ordinal);
            Assert.InRange(Interlocked.Read(ref sent), 0, 30_000_000);
        }

        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, Rule($"jwksUri: {issuer.Uri}, timeout: 1s"));
        await using var client = await Wire.PlainAsync(world.Inbound);
        Assert.Equal(401, (await client.AskAsync(Get(issuer.Token()))).Status);
        Assert.Equal(200, (await client.AskAsync(Get(null))).Status);
        Assert.Contains("not available", (await world.RefusedAsync(RefusalReason.TokenInvalid)).GetProperty("reason").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://192.0.2.1/keys")]
    [InlineData("http://169.254.169.254/latest")]
    [InlineData("http://issuer.example/keys")]
    [InlineData("ftp://127.0.0.1/keys")]
    public async Task Keys_are_not_fetched_in_the_clear_from_another_machine(string uri)
    {
        using var fetcher = new KeyFetcher(null);

        var (keys, problem) = await fetcher.FetchAsync(new Uri(uri), CancellationToken.None);

        Assert.Null(keys);
        Assert.Contains("neither https nor on loopback", problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_are_fetched_again_after_a_while_and_the_last_good_ones_stay_until_they_are_too_old()
    {
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        await using var issuer = new TokenIssuer();
        using var metrics = new ProxyMetrics();
        await using var keys = new TokenKeys(new KeyFetcher(null), openBundles: null, metrics, time, () => 0.5, NullLogger.Instance);
        JwtRule[] rules = [new JwtRule { Line = 1, Issuer = TokenIssuer.Issuer, JwksUri = new Uri(issuer.Uri) }];
        var old = issuer.Token(life: TimeSpan.FromDays(3));
        async Task<TokenOutcome> VerifyAsync(string token) => (await keys.VerifyAsync(rules, [new("Authorization", "Bearer " + token)], "/", CancellationToken.None)).Outcome;

        keys.Follow(rules);
        await Eventually.IsTrueAsync(async () => await VerifyAsync(old) == TokenOutcome.Valid, "the keys are there");
        var first = issuer.Asked.Count;
        keys.FetchWhatIsDue();
        time.Advance(TimeSpan.FromMinutes(18));
        keys.FetchWhatIsDue();
        Assert.Equal((1, 1), (first, issuer.Asked.Count));

        issuer.Rotate();
        time.Advance(TimeSpan.FromMinutes(2));
        keys.FetchWhatIsDue();
        var renewed = issuer.Token(life: TimeSpan.FromDays(3));
        await Eventually.IsTrueAsync(async () => await VerifyAsync(renewed) == TokenOutcome.Valid, "the new key is there");
        Assert.Equal((2, TokenOutcome.Invalid), (issuer.Asked.Count, await VerifyAsync(old)));

        issuer.Answer = (stream, _) => stream.WriteAsync("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"u8.ToArray()).AsTask();
        time.Advance(TimeSpan.FromHours(23));
        Assert.Equal(TokenOutcome.Valid, await VerifyAsync(renewed));
        time.Advance(TimeSpan.FromHours(2));
        Assert.Equal(TokenOutcome.Invalid, await VerifyAsync(renewed));

        keys.Follow([]);
        var asked = issuer.Asked.Count;
        time.Advance(TimeSpan.FromHours(2));
        keys.FetchWhatIsDue();
        Assert.Equal(asked, issuer.Asked.Count);
    }

    [Fact]
    public async Task A_token_that_an_authoriser_adds_is_looked_at_too()
    {
        await using var app = App.Http();
        await using var issuer = new TokenIssuer();
        var token = issuer.Token();
        await using var authoriser = await AuthoriserServer.StartAsync(_ => AuthoriserServer.Allow(AuthoriserServer.Header("authorization", "Bearer " + Volatile.Read(ref token))));
        using var folder = new TestFolder();
        await File.WriteAllTextAsync(folder.File("mesh.yaml"), $"extensionProviders: [{{name: authz, envoyExtAuthzGrpc: {{service: localhost, port: {authoriser.EndPoint.Port}}}}}]");
        const string ask = "\n---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ask, namespace: default}\nspec: {action: CUSTOM, provider: {name: authz}, rules: [{}]}\n";
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, Rule($"jwks: '{issuer.Jwks}'") + Needed + ask, change: config => config with { MeshFile = folder.File("mesh.yaml") });
        await using var client = await Wire.PlainAsync(world.Inbound);

        Assert.Equal(200, (await client.AskAsync(Get("client.s.own"))).Status);
        Volatile.Write(ref token, "bad");
        Assert.Equal(401, (await client.AskAsync(Get(issuer.Token()))).Status);
    }
}
