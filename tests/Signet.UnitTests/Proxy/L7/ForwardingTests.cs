using Signet.Proxy.L7;

namespace Signet.UnitTests.Proxy.L7;

public sealed class ForwardingTests
{
    [Fact]
    public void Keeps_hop_by_hop_fields_and_those_that_Connection_names_from_the_next_hop()
    {
        var kept = ForwardedHeaders.EndToEnd(Fields(
            "Host: a", "Connection: keep-alive, X-Private", "Keep-Alive: 5", "TE: trailers", "Upgrade: h2c", "HTTP2-Settings: x", "Proxy-Authorization: x", "Transfer-Encoding: chunked",
            "X-Private: 1", "X-Public: 2", "Trailer: x-sum"));

        Assert.Equal(["Host", "X-Public", "Trailer"], kept.Select(field => field.Key));
    }

    [Fact]
    public void Drops_a_client_certificate_that_the_sender_claims()
    {
        var kept = ForwardedHeaders.EndToEnd(Fields("Host: a", "X-Forwarded-Client-Cert: By=spiffe://a/b", "x-forwarded-client-cert: URI=spiffe://a/admin", "Client-Cert: :AAAA:", "client-cert-chain: :AAAA:"));

        Assert.Equal(["Host"], kept.Select(field => field.Key));
    }

    [Theory]
    [InlineData("abc-123", true)]
    [InlineData("", false)]
    [InlineData("with space", false)]
    [InlineData("with\"quote", false)]
    public void Takes_over_a_request_ID_only_when_it_is_a_plain_word(string given, bool isKept)
    {
        var fields = Fields("Host: a", "X-Request-ID: " + given).ToList();
        var id = RequestId.Take(fields);

        Assert.Equal(isKept, id == given);
        Assert.Equal(id, Assert.Single(fields, field => field.Key.Equals("x-request-id", StringComparison.OrdinalIgnoreCase)).Value);
    }

    [Theory]
    [InlineData(HttpLimits.MaxRequestId, true)]
    [InlineData(HttpLimits.MaxRequestId + 1, false)]
    public void Takes_over_a_request_ID_only_up_to_its_limit(int length, bool isKept)
    {
        var given = new string('a', length);

        Assert.Equal(isKept, RequestId.Take(Fields("X-Request-ID: " + given)) == given);
    }

    [Fact]
    public void Makes_a_new_request_ID_when_there_is_none()
    {
        var fields = new List<KeyValuePair<string, string>>();

        Assert.NotEqual(RequestId.Take([]), RequestId.Take(fields));
        Assert.Single(fields);
    }

    [Fact]
    public void Makes_no_request_ID_twice_and_each_a_random_UUID()
    {
        string[] ids = [.. Enumerable.Range(0, 500).Select(_ => RequestId.Take([]))];

        Assert.Equal(ids.Length, ids.Distinct(StringComparer.Ordinal).Count());
        Assert.All(ids, id => Assert.Equal((4, true, true), (Guid.ParseExact(id, "D").Version, Guid.ParseExact(id, "D").Variant is >= 8 and <= 11, id == id.ToLowerInvariant())));
    }

    private static List<KeyValuePair<string, string>> Fields(params string[] lines) =>
        [.. lines.Select(line => new KeyValuePair<string, string>(line[..line.IndexOf(':')], line[(line.IndexOf(':') + 1)..].Trim()))];
}
