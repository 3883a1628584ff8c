using System.Text;
using System.Text.Json;
using Signet.Proxy;
using Signet.Proxy.L7;
using Signet.UnitTests.Proxy.Telemetry;

namespace Signet.UnitTests.Proxy.L7;

public sealed class OwnResponseTests
{
    [Fact]
    public void Says_code_sentence_and_request_to_every_refusal_and_nothing_of_policies()
    {
        foreach (var reason in Enum.GetValues<RefusalReason>())
        {
            var record = Records.Denied();
            record.Refuse(reason, "policy default/no-web says no to spiffe://example.org/ns/default/sa/web");
            var json = JsonDocument.Parse(OwnResponse.Problem(record, Refusals.Status(reason))).RootElement;

            Assert.Equal(["type", "title", "status", "code", "detail", "requestId"], json.EnumerateObject().Select(member => member.Name));
            var code = Refusals.PublicCode(reason);
            Assert.Equal(($"refusals#{code}", Refusals.Status(reason), code, "id"), (
                json.GetProperty("type").GetString(), json.GetProperty("status").GetInt32(), json.GetProperty("code").GetString(), json.GetProperty("requestId").GetString()));
            Assert.EndsWith(".", json.GetProperty("detail").GetString(), StringComparison.Ordinal);
            Assert.DoesNotContain("default", json.GetRawText(), StringComparison.Ordinal);
            Assert.DoesNotContain("spiffe", json.GetRawText(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Says_the_same_in_text_to_who_takes_only_that()
    {
        var record = Records.Denied();
        record.PrefersText = true;

        Assert.Equal("403 Forbidden: The service does not allow this request.\ncode: denied\nrequest: id\n", Encoding.UTF8.GetString(OwnResponse.Problem(record, 403)));
        record.RequestId = null;
        Assert.EndsWith("request: -\n", Encoding.UTF8.GetString(OwnResponse.Problem(record, 403)), StringComparison.Ordinal);
    }

    [Fact]
    public void Has_a_heading_in_the_documents_for_every_code()
    {
        var page = RepositoryFolder.Read("docs", "reference", "refusals.md");
        foreach (var code in Enum.GetValues<RefusalReason>().Select(Refusals.PublicCode).Distinct())
        {
            Assert.Contains($"\n### {code}\n\n{Refusals.PublicWords(code)}", page, StringComparison.Ordinal);
        }
    }
}
