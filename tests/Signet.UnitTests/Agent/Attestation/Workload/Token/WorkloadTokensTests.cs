using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.Attestation.Workload.Token;
using Signet.Hosting.Files;
using Signet.Identity.Jose;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Attestation.Workload.Token;

/// <summary>Which tokens in a proxy's metadata are believed, and what they say.</summary>
public sealed class WorkloadTokensTests : IAsyncLifetime
{
    private const string Audience = "spiffe://example.org";
    private static readonly ECDsa Key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private static readonly ECDsa OtherKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    private readonly TestFolder _folder = new();
    private readonly ManualTimeProvider _time = new();
    private WorkloadTokens _tokens = null!;

    private long Now => _time.GetUtcNow().ToUnixTimeSeconds();

    public ValueTask InitializeAsync()
    {
        _tokens = Start();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _tokens.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public void A_good_token_says_what_its_issuer_may_say() =>
        Assert.Equal(["token:appkey:orders-eu", "token:zone:a"], Judge(Sign(Claims("orders-eu") + ",\"zone\":\"a\",\"role\":\"root\"")).Selectors.Select(selector => selector.ToString()).Order());

    [Fact]
    public void Without_a_token_nothing_is_added_and_nothing_refused()
    {
        Assert.Equal(TokenVerdict.None, _tokens.Judge(null));
        Assert.Equal(TokenVerdict.None, _tokens.Judge(new Struct { Fields = { ["CLUSTER_ID"] = Value.ForString("k") } }));
    }

    [Fact]
    public async Task Where_nobody_issues_tokens_metadata_means_nothing()
    {
        await using var none = WorkloadTokens.Start(new WorkloadTokenConfig(), () => [Audience], _time, NullLogger<WorkloadTokens>.Instance);
        Assert.Equal(TokenVerdict.None, none.Judge(Metadata(Sign(Claims("orders-eu")))));
        Assert.Equal(TokenVerdict.None, none.Judge(new Struct { Fields = { ["appkey"] = Value.ForString("x") } }));
    }

    [Theory]
    [InlineData("other audience", "not for \"spiffe://example.org\"")]
    [InlineData("expired", "expired at")]
    [InlineData("not yet", "not valid before")]
    [InlineData("too long a life", "at most 3600 s")]
    [InlineData("no expiry", "exp and iat must be there")]
    [InlineData("no issue", "exp and iat must be there")]
    [InlineData("other issuer", "is not one that is believed")]
    [InlineData("no issuer", "is not one that is believed")]
    [InlineData("another's claim", "may not claim the appkey \"payments\"")]
    [InlineData("no claim", "claims none of appkey, zone")]
    [InlineData("claim of another kind", "is not a text")]
    [InlineData("endless claim", "is not a text of 1 to 256")]
    [InlineData("control characters", "is not a text")]
    [InlineData("other key", "made the signature")]
    [InlineData("other key id", "made the signature")]
    [InlineData("tampered", "made the signature")]
    [InlineData("none", "the algorithm \"none\"")]
    [InlineData("HS256", "the algorithm \"HS256\"")]
    [InlineData("ES384", "the algorithm \"ES384\"")]
    [InlineData("crit", "critical extensions")]
    [InlineData("garbage", "not a signed JWT")]
    [InlineData("empty", "not a signed JWT")]
    [InlineData("endless", "longer than 16384 characters")]
    public void What_is_not_right_is_refused_with_its_reason(string what, string reason)
    {
        var verdict = Judge(Bad(what));
        Assert.True(verdict.IsRefused);
        Assert.Contains(reason, verdict.Reason);
        Assert.Empty(verdict.Selectors);
        Assert.All(verdict.Reason, c => Assert.InRange(c, ' ', '~'));
    }

    [Fact]
    public void A_token_that_is_no_text_is_refused() =>
        Assert.Contains("not a text", _tokens.Judge(new Struct { Fields = { ["token"] = Value.ForNumber(1) } }).Reason);

    [Fact]
    public void What_the_metadata_says_beside_the_token_must_be_what_the_token_says()
    {
        var metadata = Metadata(Sign(Claims("orders-eu")));
        metadata.Fields["appkey"] = Value.ForString("orders-eu");
        Assert.False(_tokens.Judge(metadata).IsRefused);
        metadata.Fields["appkey"] = Value.ForString("orders-us");
        Assert.Contains("says another appkey", _tokens.Judge(metadata).Reason);
        metadata.Fields.Remove("token");
        Assert.Contains("brings no \"token\" that proves it", _tokens.Judge(metadata).Reason);
    }

    [Fact]
    public void The_agents_own_ID_is_an_audience_too()
    {
        Assert.False(Judge(Sign(Claims("orders-eu").Replace($"\"{Audience}\"", "[\"x\",\"spiffe://example.org/spire/agent/a\"]"))).IsRefused);
        Assert.True(Judge(Sign(Claims("orders-eu").Replace($"\"{Audience}\"", "[\"x\",\"spiffe://example.org/spire/agent/b\"]"))).IsRefused);
    }

    [Fact]
    public void A_verdict_is_remembered_until_the_token_expires_and_no_longer()
    {
        var token = Sign(Claims("orders-eu"));
        var first = Judge(token);
        Assert.Same(first, Judge(token));
        _time.Advance(TimeSpan.FromMinutes(5) - TimeSpan.FromSeconds(1));
        Assert.Same(first, Judge(token));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Contains("expired", Judge(token).Reason);
    }

    [Fact]
    public void More_tokens_than_are_remembered_are_judged_all_the_same()
    {
        for (var i = 0; i < WorkloadTokens.MaxRemembered + 10; i++)
        {
            Assert.False(Judge(Sign(Claims($"orders-{i}"))).IsRefused);
        }
    }

    [Fact]
    public async Task With_a_key_that_leaves_the_file_its_tokens_lose_their_worth_also_those_that_were_remembered()
    {
        await using var tokens = Start(TimeProvider.System);
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        var token = Sign($"\"iss\":\"paas\",\"aud\":\"{Audience}\",\"iat\":{now},\"exp\":{now + 300},\"appkey\":\"orders-eu\"");
        Assert.False(tokens.Judge(Metadata(token)).IsRefused);
        await File.WriteAllTextAsync(_folder.File("keys.json"), "nonsense");
        await File.WriteAllTextAsync(_folder.File("keys.json"), Keys(OtherKey));
        await Eventually.IsTrueAsync(() => tokens.Judge(Metadata(token)).IsRefused, "the refusal");
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("{\"keys\":[]}")]
    public void Without_keys_that_can_be_used_an_agent_does_not_start(string keys)
    {
        File.WriteAllText(_folder.File("none.json"), keys);
        Assert.Contains("none.json", Assert.Throws<PlaceException>(() => Start(keys: "none.json")).Message);
    }

    private WorkloadTokens Start(TimeProvider? time = null, string keys = "keys.json")
    {
        File.WriteAllText(_folder.File("keys.json"), Keys(Key));
        var config = new WorkloadTokenConfig
        {
            MaxLifetime = TimeSpan.FromHours(1),
            Issuers =
            [
                new WorkloadTokenIssuer
                {
                    Issuer = "paas",
                    Keys = _folder.File(keys),
                    Algorithms = ["ES256"],
                    Claims = new Dictionary<string, IReadOnlyList<string>> { ["appkey"] = ["orders-*", "billing"], ["zone"] = ["*"] },
                },
            ],
        };
        return WorkloadTokens.Start(config, () => [Audience, "spiffe://example.org/spire/agent/a"], time ?? _time, NullLogger<WorkloadTokens>.Instance);
    }

    private TokenVerdict Judge(string token) => _tokens.Judge(Metadata(token));

    private static Struct Metadata(string token) => new() { Fields = { ["token"] = Value.ForString(token) } };

    private string Claims(string appkey) => $"\"iss\":\"paas\",\"aud\":\"{Audience}\",\"iat\":{Now},\"exp\":{Now + 300},\"appkey\":\"{appkey}\"";

    private string Bad(string what) => what switch
    {
        "other audience" => Sign(Claims("orders-eu").Replace(Audience, "spiffe://other.org")),
        "expired" => Sign($"\"iss\":\"paas\",\"aud\":\"{Audience}\",\"iat\":{Now - 300},\"exp\":{Now},\"appkey\":\"billing\""),
        "not yet" => Sign(Claims("billing") + $",\"nbf\":{Now + 120}"),
        "too long a life" => Sign($"\"iss\":\"paas\",\"aud\":\"{Audience}\",\"iat\":{Now},\"exp\":{Now + 3601},\"appkey\":\"billing\""),
        "no expiry" => Sign($"\"iss\":\"paas\",\"aud\":\"{Audience}\",\"iat\":{Now},\"appkey\":\"billing\""),
        "no issue" => Sign($"\"iss\":\"paas\",\"aud\":\"{Audience}\",\"exp\":{Now + 3},\"appkey\":\"billing\""),
        "other issuer" => Sign(Claims("billing").Replace("\"paas\"", "\"other\"")),
        "no issuer" => Sign(Claims("billing").Replace("\"iss\":\"paas\",", "")),
        "another's claim" => Sign(Claims("payments")),
        "no claim" => Sign(Claims("billing").Replace("\"appkey\"", "\"app\"")),
        "claim of another kind" => Sign(Claims("billing").Replace("\"billing\"", "[\"billing\"]")),
        "endless claim" => Sign(Claims("orders-" + new string('x', 256))),
        "control characters" => Sign(Claims("orders-\\u001b[2J")),
        "other key" => Sign(Claims("billing"), key: OtherKey),
        "other key id" => Sign(Claims("billing"), header: "{\"alg\":\"ES256\",\"kid\":\"k9\"}"),
        "tampered" => Tamper(Sign(Claims("billing"))),
        "none" => Encode("{\"alg\":\"none\"}") + "." + Encode("{" + Claims("billing") + "}") + ".",
        "HS256" => Sign(Claims("billing"), header: "{\"alg\":\"HS256\",\"kid\":\"k1\"}"),
        "ES384" => Sign(Claims("billing"), header: "{\"alg\":\"ES384\",\"kid\":\"k1\"}"),
        "crit" => Sign(Claims("billing"), header: "{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}"),
        "garbage" => "garbage",
        "endless" => new string('a', CompactJws.MaxLength + 1),
        _ => "",
    };

    private static string Sign(string claims, string header = "{\"alg\":\"ES256\",\"kid\":\"k1\"}", ECDsa? key = null)
    {
        var text = Encode(header) + "." + Encode("{" + claims + "}");
        return text + "." + Base64Url.EncodeToString((key ?? Key).SignData(Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256));
    }

    private static string Tamper(string token)
    {
        var parts = token.Split('.');
        return $"{parts[0]}.{Encode(Encoding.UTF8.GetString(Base64Url.DecodeFromChars(parts[1])).Replace("billing", "orders-1"))}.{parts[2]}";
    }

    private static string Encode(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));

    private static string Keys(ECDsa key)
    {
        var q = key.ExportParameters(includePrivateParameters: false).Q;
        return $"{{\"keys\":[{{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k1\",\"x\":\"{Base64Url.EncodeToString(q.X)}\",\"y\":\"{Base64Url.EncodeToString(q.Y)}\"}}]}}";
    }
}
