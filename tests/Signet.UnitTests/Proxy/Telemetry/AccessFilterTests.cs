using Signet.Proxy.Connections;
using Signet.Proxy.Telemetry;

namespace Signet.UnitTests.Proxy.Telemetry;

public sealed class AccessFilterTests
{
    [Theory]
    [InlineData("direction", "inbound", true)]
    [InlineData("direction", "outbound", false)]
    [InlineData("source", "example.org/ns/default/sa/web", true)]
    [InlineData("source", "spiffe://example.org/ns/default/*", true)]
    [InlineData("source", "example.org/ns/default/sa/we", false)]
    [InlineData("source", "10.0.0.7", true)]
    [InlineData("source", "10.0.0.*", true)]
    [InlineData("source", "10.0.0.8", false)]
    [InlineData("destination", "orders", true)]
    [InlineData("destination", "orders:*", true)]
    [InlineData("destination", "billing", false)]
    [InlineData("code", "403", true)]
    [InlineData("code", "4xx", true)]
    [InlineData("code", "5XX", false)]
    [InlineData("reason", "policydenied", true)]
    [InlineData("reason", "IdleTimeout", false)]
    [InlineData("path", "/api", true)]
    [InlineData("path", "/other", false)]
    [InlineData("method", "POST", true)]
    [InlineData("method", "GET", false)]
    [InlineData("verdict", "deny", true)]
    [InlineData("verdict", "allow", false)]
    public void Lets_pass_what_was_asked_for(string name, string value, bool expected) => Assert.Equal(expected, Parse((name, value)).Matches(Records.Denied()));

    [Fact]
    public void Lets_pass_what_meets_every_condition_only()
    {
        Assert.True(Parse(("code", "403"), ("method", "POST")).Matches(Records.Denied()));
        Assert.False(Parse(("code", "403"), ("method", "GET")).Matches(Records.Denied()));
        Assert.True(Parse().Matches(Records.Denied()));
    }

    [Fact]
    public void Knows_an_outbound_call_by_the_service_and_by_who_answered()
    {
        var record = Records.Allowed(Direction.Outbound);

        Assert.True(Parse(("destination", "orders.default.*")).Matches(record));
        Assert.True(Parse(("destination", "example.org/ns/default/sa/web")).Matches(record));
        Assert.False(Parse(("source", "example.org/ns/default/sa/web")).Matches(record));
    }

    [Theory]
    [InlineData("direction", "up", "neither inbound nor outbound")]
    [InlineData("direction", "1", "neither inbound nor outbound")]
    [InlineData("code", "40", "write 403, or 4xx")]
    [InlineData("code", "999", "write 403, or 4xx")]
    [InlineData("reason", "PolicyDenid", "did you mean PolicyDenied?")]
    [InlineData("reason", "3", "is not one of")]
    [InlineData("path", "api", "does not begin with")]
    [InlineData("source", "", "is empty")]
    [InlineData("verdict", "maybe", "neither allow nor deny")]
    [InlineData("colour", "red", "is nothing to filter by")]
    public void Refuses_what_it_does_not_know_and_says_what_to_write(string name, string value, string expected)
    {
        Assert.False(AccessFilter.TryParse([new(name, value)], out _, out var problem));
        Assert.Contains(expected, problem, StringComparison.Ordinal);
    }

    private static AccessFilter Parse(params (string Name, string Value)[] values) =>
        AccessFilter.TryParse(values.Select(pair => new KeyValuePair<string, string>(pair.Name, pair.Value)), out var filter, out var problem) ? filter : throw new FormatException(problem);
}
