using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Signet.Proxy.Connections;
using Signet.Proxy.Telemetry;

namespace Signet.UnitTests.Proxy.Telemetry;

public sealed class AccessTemplateTests
{
    [Theory]
    [InlineData("%START_TIME% %RESPONSE_CODE% 100%%", "2030-01-01T00:00:00.000Z 403 100%")]
    [InlineData("%REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)% %STREAM_ID%", "POST /api?x=1 orders:8080 id")]
    [InlineData("%DURATION% %DURATION_US% %END_TIME%", "2000 2000000 2030-01-01T00:00:02.000Z")]
    [InlineData("%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_TLS_VERSION%", "spiffe://example.org/ns/default/sa/web TLSv1.3")]
    [InlineData("%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.7:40000 10.0.0.7")]
    [InlineData("%VERDICT% %STAGE% %POLICY% %RULE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%", "deny deny default/no-web 2 PolicyDenied denied by rule 2")]
    [InlineData("%UPSTREAM_HOST% %UPSTREAM_PEER_URI_SAN% %UPSTREAM_TLS_VERSION% %TRACE_ID%", "- - - -")]
    [InlineData("ünïcode", "ünïcode")]
    public void Writes_values_where_they_are_named(string template, string expected) => Assert.Equal(expected + "\n", Records.Line(new TemplateLine(Parse(template)), Records.Denied()));

    [Fact]
    public void Knows_what_a_handshake_proved_on_either_side()
    {
        var outbound = Records.Allowed(Direction.Outbound);
        var template = "%UPSTREAM_PEER_URI_SAN% %UPSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_VERSION% %UPSTREAM_PEER_CERT_V_END%";

        Assert.StartsWith("spiffe://example.org/ns/default/sa/web TLSv1.3 - 20", Records.Line(new TemplateLine(Parse(template)), outbound), StringComparison.Ordinal);
    }

    [Fact]
    public void Writes_numbers_texts_and_nulls_in_JSON()
    {
        var format = new JsonTemplateLine(
        [
            new("ti\"me", Parse("%START_TIME%")), new("code", Parse("%RESPONSE_CODE%")), new("call", Parse("\"%REQ(:METHOD)%\" %UPSTREAM_HOST%")), new("peer", Parse("%UPSTREAM_PEER_URI_SAN%")),
            new("ip", Parse("%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%")), new("fixed", Parse("a\\b")),
        ]);
        var denied = Records.Denied();
        denied.Code = null;

        Assert.Equal(
            """{"ti\"me":"2030-01-01T00:00:00.000Z","code":null,"call":"\"POST\" -","peer":null,"ip":"10.0.0.9","fixed":"a\\b"}""" + "\n", Records.Line(format, denied));
        Assert.Equal(JsonValueKind.Null, JsonDocument.Parse(Records.Line(format, Records.Allowed(Direction.Outbound))).RootElement.GetProperty("ip").ValueKind);
    }

    [Fact]
    public void Writes_a_request_field_that_was_remembered_and_a_dash_for_one_that_is_not_there()
    {
        var template = Parse("\"%REQ(USER-AGENT)%\" %REQ(x-other)%");
        var record = Records.Denied();
        Assert.True(template.WantsFields);
        record.RequestFields = [new("User-Agent", "a\"\nforged b")];

        Assert.Equal("\"a\\\"\\u000aforged b\" -\n", Records.Line(new TemplateLine(template), record));
        Assert.False(Parse("%REQ(:PATH)% %REQ(X-REQUEST-ID)%").WantsFields);
    }

    [Theory]
    [InlineData("", "is empty")]
    [InlineData("100%", "percent sign that nothing closes")]
    [InlineData("%RESPONSE_COD%", "did you mean %RESPONSE_CODE%?")]
    [InlineData("%start_time%", "did you mean %START_TIME%?")]
    [InlineData("%NOTHING_LIKE_THAT_AT_ALL%", "lists those that are")]
    [InlineData("%REQ()%", "names no request field")]
    [InlineData("%REQ(a b)%", "names no request field")]
    [InlineData("%REQ(Authorization)%", "may be a secret")]
    [InlineData("%REQ(COOKIE)%", "may be a secret")]
    [InlineData("%REQ(set_cookie)%", "may be a secret")]
    [InlineData("%RESP(Set-Cookie)%", "may be a secret")]
    [InlineData("%RESP()%", "names no response field")]
    [InlineData("%RESP(:STATUS)%", "write %RESP(CONTENT-TYPE)%, or %RESPONSE_CODE%")]
    [InlineData("%RESP(SERVER%", "did you mean %RESP(SERVER)%?")]
    [InlineData("a\nb", "each record is one line")]
    public void Refuses_what_it_does_not_know_and_says_what_to_write(string template, string expected)
    {
        Assert.False(AccessTemplate.TryParse(template, out _, out var problem));
        Assert.Contains(expected, problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Writes_a_response_field_that_was_remembered_in_one_line_whatever_is_in_it()
    {
        var template = Parse("%RESP(Server)% %RESP(x-gone)%");
        var record = Records.Denied();
        Assert.True(template.WantsResponseFields);
        Assert.False(template.WantsFields);
        Assert.Equal("- -\n", Records.Line(new TemplateLine(template), record));

        record.ResponseFields = [new("server", "a \"b\"\u001b[31m"), new("X-Long", new string('x', 5000))];
        Assert.Equal("a \\\"b\\\"\\u001b[31m -\n", Records.Line(new TemplateLine(template), record));
        Assert.InRange(Records.Line(new TemplateLine(Parse("%RESP(x-long)%")), record).Length, 1000, 2100);
        Assert.False(Parse("%REQ(:PATH)% %RESPONSE_CODE%").WantsResponseFields);
    }

    [Fact]
    public void Never_throws_and_never_writes_more_than_one_line() => Prop.ForAll<string, string>((text, value) =>
    {
        var record = Records.Denied();
        (record.Path, record.Detail) = (value, value);
        if (AccessTemplate.TryParse($"{text}%REQ(:PATH)%%RESPONSE_CODE_DETAILS%", out var template, out _))
        {
            var line = Records.Line(new TemplateLine(template), record);
            Assert.Equal(line.Length - 1, line.IndexOf('\n'));
            JsonDocument.Parse(Records.Line(new JsonTemplateLine([new(value ?? "", template)]), record));
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Documents_every_operator_and_no_other()
    {
        var page = RepositoryFolder.Read("docs", "reference", "access-log.md").Split('\n');
        var documented = page.Where(line => line.StartsWith("| `%", StringComparison.Ordinal)).SelectMany(line => line.Split('|')[1].Split('`').Where(part => part.StartsWith('%')));

        Assert.Equal(AccessOperators.All.Keys.Append("REQ(NAME)").Append("RESP(NAME)").Order(StringComparer.Ordinal), documented.Select(name => name.Trim('%')).Order(StringComparer.Ordinal));
    }

    private static AccessTemplate Parse(string text) => AccessTemplate.TryParse(text, out var template, out var problem) ? template : throw new FormatException(problem);
}
