using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Commands.X509;
using Signet.Identity.X509;
using Signet.Testing.X509;

namespace Signet.UnitTests.Cli.X509;

public sealed class X509CommandTests : IDisposable
{
    private static readonly ForgedCertificate Root = (CertificateForge.Authority("CN=root") with { Names = ["uri:spiffe://example.org"] }).SignSelf();
    private static readonly ForgedCertificate Issuing = CertificateForge.Authority("CN=issuing").Sign(Root);
    private static readonly ForgedCertificate Leaf = (CertificateForge.Workload() with { Names = ["uri:spiffe://example.org/orders", "dns:orders.example.org"] }).Sign(Issuing);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signet-x509-");

    [Fact]
    public void Verify_says_valid_and_exits_0()
    {
        var (exit, output, _) = Run("verify", "--leaf", Write(Leaf), "--intermediates", Write(Issuing), "--roots", Write(Root), "--spiffe-id", "spiffe://example.org/orders", "--usage", "client");

        Assert.Equal("valid\n", output);
        Assert.Equal(0, exit);
    }

    [Theory]
    [InlineData("expired", "--at", "2027-06-01T00:00:00Z")]
    [InlineData("not-yet-valid", "--at", "2026-01-01T00:00:00+02:00")]
    [InlineData("name-mismatch", "--spiffe-id", "spiffe://example.org/other")]
    [InlineData("name-mismatch", "--dns", "other.example.org")]
    [InlineData("name-mismatch", "--ip", "10.0.0.1")]
    [InlineData("path-length", "--max-chain", "0")]
    [InlineData("profile", "--profile", "webpki")]
    public void Verify_says_invalid_with_the_reason_and_exits_1(string reason, string option, string value)
    {
        var leaf = reason == "profile" ? (CertificateForge.Workload() with { AreNamesCritical = true }).Sign(Issuing) : Leaf;
        var (exit, output, _) = Run("verify", "--leaf", Write(leaf), "--intermediates", Write(Issuing), "--roots", Write(Root), option, value);

        Assert.StartsWith($"invalid: {reason}: ", output);
        Assert.Equal(1, exit);
    }

    [Fact]
    public void Verify_counts_what_follows_the_leaf_as_intermediates_and_reads_DER()
    {
        var chain = Write(Leaf, Issuing);
        var root = Path.Combine(_folder.FullName, "root.der");
        File.WriteAllBytes(root, Root.Certificate.Der.ToArray());

        Assert.Equal("valid\n", Run("verify", "--leaf", chain, "--roots", root).Output);
    }

    [Fact]
    public void Verify_answers_in_JSON()
    {
        var answer = JsonNode.Parse(Run("verify", "--leaf", Write(Leaf, Issuing), "--roots", Write(Root), "--output", "json").Output)!;

        Assert.True(answer["valid"]!.GetValue<bool>());
        Assert.Null(answer["reason"]);
        Assert.Equal(3, answer["path"]!.AsArray().Count);
        Assert.Equal("unknown-authority", JsonNode.Parse(Run("verify", "--leaf", Write(Leaf), "--roots", Write(Root), "--output", "json").Output)!["reason"]!.GetValue<string>());
    }

    [Fact]
    public void Verify_names_a_file_that_it_cannot_read()
    {
        var (exit, output, error) = Run("verify", "--leaf", Path.Combine(_folder.FullName, "missing.pem"), "--roots", Write(Root));

        Assert.Equal(1, exit);
        Assert.Equal("", output);
        Assert.Contains("error: ", error);
        Assert.Contains("missing.pem", error);
        Assert.Contains("hint: ", error);
    }

    [Theory]
    [InlineData("--at", "yesterday", "is not a time")]
    [InlineData("--profile", "x", "write spiffe, webpki or rfc5280")]
    [InlineData("--usage", "x", "write server or client")]
    [InlineData("--ip", "x", "is not an IP address")]
    [InlineData("--spiffe-id", "x", "does not begin with")]
    [InlineData("--max-chain", "-1", "0 or more")]
    public void Verify_exits_2_on_a_value_that_it_does_not_understand(string option, string value, string why)
    {
        var (exit, _, error) = Run("verify", "--leaf", Write(Leaf), "--roots", Write(Root), option, value);

        Assert.Equal(2, exit);
        Assert.Contains(why, error);
    }

    [Fact]
    public void Batch_answers_each_line_in_order()
    {
        var input = new StringReader(string.Join('\n', Line("a"), Line("b", l => l["at"] = "2027-06-01T00:00:00Z"), "", "not json", Line(7), Line("c", l => l["dns"] = "orders.example.org")));
        var output = new StringWriter();

        Assert.Equal(0, VerifyBatch.Run(input, output, new FixedClock()));

        var answers = output.ToString().TrimEnd().Split('\n').Select(a => JsonNode.Parse(a)!).ToArray();
        Assert.Equal(["a", "b", null, "7", "c"], answers.Select(a => a["id"]?.ToString()));
        Assert.Equal([true, false, false, true, true], answers.Select(a => a["valid"]!.GetValue<bool>()));
        Assert.Equal([null, "expired", "malformed", null, null], answers.Select(a => a["reason"]?.GetValue<string>()));
    }

    [Fact]
    public void Batch_takes_text_or_arrays_of_text_and_nulls()
    {
        Assert.True(Valid(l =>
        {
            l["intermediates"] = new JsonArray(Pem.Encode(Issuing.Certificate));
            l["roots"] = new JsonArray(Pem.Encode(Issuing.Certificate), Pem.Encode(Root.Certificate));
            foreach (var field in new[] { "at", "profile", "dns", "ip", "spiffeId", "usage", "maxChain", "crls" })
            {
                l[field] = null;
            }
        }));
        Assert.True(Valid(l => l["crls"] = ""));
        Assert.True(Valid(l => l["crls"] = new JsonArray()));
    }

    [Theory]
    [InlineData("leaf", "null")]
    [InlineData("leaf", "\"\"")]
    [InlineData("leaf", "7")]
    [InlineData("leaf", "\"garbage\"")]
    [InlineData("roots", "[7]")]
    [InlineData("roots", "\"-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\"")]
    [InlineData("maxChain", "\"1\"")]
    [InlineData("maxChain", "-1")]
    [InlineData("profile", "\"other\"")]
    [InlineData("usage", "\"other\"")]
    [InlineData("at", "\"later\"")]
    [InlineData("crls", "\"garbage\"")]
    public void Batch_answers_malformed_to_what_it_cannot_understand(string field, string value)
    {
        var answer = JsonNode.Parse(VerifyBatch.Answer(Line("x", l => l[field] = JsonNode.Parse(value)), CertificateForge.Now))!;

        Assert.Equal("x", answer["id"]!.GetValue<string>());
        Assert.False(answer["valid"]!.GetValue<bool>());
        Assert.Equal("malformed", answer["reason"]!.GetValue<string>());
        Assert.NotEmpty(answer["detail"]!.GetValue<string>());
    }

    [Fact]
    public void Batch_judges_for_servers_when_the_web_profile_says_nothing_else()
    {
        var client = (CertificateForge.Server("www.example.org") with { Purposes = [CertificateForge.ClientAuth] }).Sign(Root);

        Assert.Equal("extended-key-usage", Reason(client, null));
        Assert.Null(Reason(client, "client"));

        static string? Reason(ForgedCertificate leaf, string? usage) => JsonNode.Parse(VerifyBatch.Answer(
            Line("x", l =>
            {
                l["leaf"] = Pem.Encode(leaf.Certificate);
                l["profile"] = "webpki";
                l["usage"] = usage;
            }),
            CertificateForge.Now))!["reason"]?.GetValue<string>();
    }

    [Fact]
    public void Inspect_explains_a_chain_to_people()
    {
        var (exit, output, _) = Run("inspect", Write(Leaf, Issuing, Root));

        Assert.Equal(0, exit);
        Assert.Contains("1. workload: spiffe://example.org/orders", output);
        Assert.Contains("2. intermediate authority: CN=issuing", output);
        Assert.Contains("3. root authority: spiffe://example.org", output);
        Assert.Contains("30d 0h left", output);
        Assert.Contains("keyCertSign, cRLSign", output);
        Assert.Contains("serverAuth, clientAuth", output);
        Assert.Contains("keeps every rule", output);
    }

    [Fact]
    public void Inspect_says_which_rules_are_broken()
    {
        var broken = (CertificateForge.Workload() with { Usage = null, Purposes = [CertificateForge.ServerAuth], NotBefore = CertificateForge.Now.AddDays(-9), NotAfter = CertificateForge.Now.AddDays(-3) }).Sign(Issuing);
        var (_, output, _) = Run("inspect", Write(broken));

        Assert.Contains("no: it has no key usage (X509-SVID §4.3)", output);
        Assert.Contains("(X509-SVID §4.4)", output);
        Assert.Contains("expired 3d 0h ago", output);
    }

    [Fact]
    public void Inspect_answers_in_JSON()
    {
        var answer = JsonNode.Parse(Run("inspect", Write(Leaf), "--output", "json").Output)!["certificates"]![0]!;

        Assert.Equal("workload", answer["role"]!.GetValue<string>());
        Assert.Equal("spiffe://example.org/orders", answer["spiffeId"]!.GetValue<string>());
        Assert.Equal(Leaf.Certificate.SerialHex, answer["serial"]!.GetValue<string>());
        Assert.Equal("valid", answer["validity"]!.GetValue<string>());
        Assert.Empty(answer["findings"]!.AsArray());
    }

    [Fact]
    public void Inspect_refuses_what_holds_no_certificate()
    {
        var file = Path.Combine(_folder.FullName, "notes.txt");
        File.WriteAllText(file, "nothing here");

        var (exit, _, error) = Run("inspect", file);

        Assert.Equal(1, exit);
        Assert.Contains("no PEM block", error);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private static (int Exit, string Output, string Error) Run(params string[] arguments)
    {
        var (output, error) = (new StringWriter { NewLine = "\n" }, new StringWriter { NewLine = "\n" });
        var exit = X509Command.Create(new FixedClock()).Parse(arguments).Invoke(new InvocationConfiguration { Output = output, Error = error });
        return (exit, output.ToString(), error.ToString());
    }

    private string Write(params ForgedCertificate[] certificates)
    {
        var file = Path.Combine(_folder.FullName, Path.GetRandomFileName() + ".pem");
        File.WriteAllText(file, Pem.Encode(certificates.Select(c => c.Certificate)));
        return file;
    }

    private static bool Valid(Action<JsonNode> change) => JsonNode.Parse(VerifyBatch.Answer(Line("x", change), CertificateForge.Now))!["valid"]!.GetValue<bool>();

    private static string Line(JsonNode id, Action<JsonNode>? change = null)
    {
        var line = new JsonObject
        {
            ["id"] = id,
            ["leaf"] = Pem.Encode(Leaf.Certificate),
            ["intermediates"] = Pem.Encode(Issuing.Certificate),
            ["roots"] = Pem.Encode(Root.Certificate),
            ["at"] = "2026-11-26T12:00:00Z",
            ["profile"] = "spiffe",
            ["usage"] = "server",
        };
        change?.Invoke(line);
        return line.ToJsonString();
    }

    private sealed class FixedClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => CertificateForge.Now;
    }
}
