using System.Net;
using Signet.Proxy.Config;
using Signet.Proxy.L7;
using Signet.Proxy.Telemetry;
using Signet.UnitTests.Proxy.Telemetry;

namespace Signet.UnitTests.Proxy.L7;

public sealed class HopFieldsTests
{
    private const string Parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    [Fact]
    public void Leaves_everything_as_it_came_unless_it_is_asked_for()
    {
        string[] came = ["host: a", "x-forwarded-for: 1.1.1.1", "x-forwarded-for: 2.2.2.2", "forwarded: for=x", "via: 1.1 a", "traceparent: nonsense", "tracestate: a=1"];

        Assert.Equal(came, Apply(new(), came).Fields);
    }

    [Theory]
    [InlineData(HopField.Append, "x-forwarded-for: 1.1.1.1, 2.2.2.2, 10.0.0.7", "forwarded: for=x, for=10.0.0.7;host=\"orders:8080\";proto=https")]
    [InlineData(HopField.Set, "x-forwarded-for: 10.0.0.7", "forwarded: for=10.0.0.7;host=\"orders:8080\";proto=https")]
    [InlineData(HopField.Remove, null, null)]
    public void Says_where_a_request_came_from(HopField action, string? forwardedFor, string? forwarded)
    {
        var fields = Apply(new() { XForwardedFor = action, Forwarded = action }, ["X-Forwarded-For: 1.1.1.1", "x-forwarded-for: 2.2.2.2", "Forwarded: for=x"]).Fields;

        Assert.Equal(new[] { forwardedFor, forwarded }.OfType<string>(), fields);
    }

    [Fact]
    public void Quotes_what_RFC_7239_wants_quoted_and_knows_plaintext()
    {
        var fields = Apply(new() { Forwarded = HopField.Append, XForwardedFor = HopField.Append }, [], IPAddress.Parse("2001:db8::7"), isTls: false).Fields;

        Assert.Equal(["x-forwarded-for: 2001:db8::7", "forwarded: for=\"[2001:db8::7]\";host=\"orders:8080\";proto=http"], fields);
    }

    [Fact]
    public void Sees_through_addresses_that_are_mapped() =>
        Assert.Equal(["x-forwarded-for: 10.0.0.7"], Apply(new() { XForwardedFor = HopField.Set }, [], IPAddress.Parse("::ffff:10.0.0.7")).Fields);

    [Fact]
    public void Adds_itself_to_via() => Assert.Equal(["via: 1.0 a, 1.1 signet"], Apply(new() { Via = "signet" }, ["Via: 1.0 a"]).Fields);

    [Fact]
    public void Gives_every_request_a_new_ID_where_it_keeps_none()
    {
        var (fields, record) = Apply(new() { KeepsRequestId = false }, ["x-request-id: theirs"]);

        Assert.NotEqual("theirs", record.RequestId);
        Assert.Equal([$"x-request-id: {record.RequestId}"], fields);
    }

    [Fact]
    public void Goes_on_with_a_trace_under_a_span_of_its_own()
    {
        var (fields, record) = Apply(new() { JoinsTraces = true }, ["Traceparent: " + Parent, "tracestate: a=1", "tracestate: b@c=2"]);

        Assert.Equal(("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", true), (record.Trace!.TraceId, record.Trace.ParentId, record.Trace.IsSampled));
        Assert.NotEqual("00f067aa0ba902b7", record.Trace.SpanId);
        Assert.Equal([$"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-{record.Trace.SpanId}-01", "tracestate: a=1,b@c=2"], fields);
    }

    [Theory]
    [InlineData("traceparent: nonsense", "tracestate: a=1")]
    [InlineData("traceparent: " + Parent, "traceparent: " + Parent)]
    [InlineData("tracestate: a=1")]
    public void Begins_anew_where_a_trace_cannot_be_read(params string[] came)
    {
        var (fields, record) = Apply(new() { JoinsTraces = true }, came, sampler: () => true);

        Assert.Equal([$"traceparent: 00-{record.Trace!.TraceId}-{record.Trace.SpanId}-01"], fields);
        Assert.Null(record.Trace.ParentId);
        Assert.NotEqual("4bf92f3577b34da6a3ce929d0e0e4736", record.Trace.TraceId);
    }

    [Fact]
    public void Drops_a_state_that_cannot_be_read_and_keeps_the_trace()
    {
        var (fields, record) = Apply(new() { JoinsTraces = true }, ["traceparent: " + Parent, "tracestate: A=1"]);

        Assert.Equal(["traceparent: " + record.Trace!.Field], fields);
    }

    [Theory]
    [InlineData(null, true, true)]
    [InlineData(null, false, false)]
    [InlineData(false, true, false)]
    [InlineData(true, false, true)]
    public void Joins_traces_where_it_records_some_unless_somebody_said_otherwise(bool? said, bool records, bool joins)
    {
        var (fields, record) = Apply(new() { JoinsTraces = said }, ["traceparent: " + Parent], sampler: records ? () => true : null);

        Assert.Equal(joins, record.Trace!.SpanId is not null);
        Assert.Equal(!joins, fields.Contains("traceparent: " + Parent));
        Assert.Equal("4bf92f3577b34da6a3ce929d0e0e4736", record.Trace.TraceId);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(false, "accept: */*")]
    [InlineData(false, "accept: application/json, text/plain")]
    [InlineData(false, "accept: text/html", "accept: application/problem+json;q=0.5")]
    [InlineData(false, "accept: image/png")]
    [InlineData(true, "accept: text/html, text/plain;q=0.8")]
    [InlineData(true, "Accept: TEXT/*")]
    public void Knows_who_takes_only_text(bool expected, params string[] came) => Assert.Equal(expected, Apply(new(), came).Record.PrefersText);

    private static (IReadOnlyList<string> Fields, AccessRecord Record) Apply(
        HopFieldsConfig config, string[] came, IPAddress? client = null, bool isTls = true, Func<bool>? sampler = null)
    {
        var record = Records.Allowed();
        var fields = came.Select(line => line.Split(": ", 2)).Select(pair => new KeyValuePair<string, string>(pair[0], pair[1])).ToList();
        var hop = new HopFields(config, new ForwardedClientCert(new(), null, null), client ?? IPAddress.Parse("10.0.0.7"), isTls, sampler);
        hop.Apply([.. fields], "orders:8080", "1.1", fields, record);
        return ([.. fields.Select(field => $"{field.Key}: {field.Value}")], record);
    }
}
