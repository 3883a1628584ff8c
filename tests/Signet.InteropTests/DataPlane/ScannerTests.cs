using System.Text.Json;
using System.Xml.Linq;

namespace Signet.InteropTests.DataPlane;

/// <summary>What TLS scanners find at an inbound port.</summary>
public sealed class ScannerTests
{
    [Fact]
    public async Task Sslscan_finds_two_versions_strong_suites_and_nothing_weak()
    {
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var orders = await mesh.InboundAsync(echo.EndPoint, "tcp");
        var web = mesh.WriteIdentity("web");
        var report = mesh.File("sslscan.xml");

        await Tool.DoAsync("sslscan", [$"--certs={web}/chain.pem", $"--pk={web}/key.pem", $"--xml={report}", $"{orders.EndPoint}"]);

        var scan = XDocument.Load(report).Descendants("ssltest").Single();
        Assert.Equal(["1.2", "1.3"], scan.Elements("protocol").Where(one => (string?)one.Attribute("enabled") == "1").Select(one => (string)one.Attribute("version")!).Order());
        Assert.NotEmpty(scan.Elements("cipher"));
        Assert.All(scan.Elements("cipher"), cipher => Assert.Contains((string?)cipher.Attribute("strength"), new[] { "strong", "acceptable" }));
        Assert.All(scan.Elements("cipher"), cipher => Assert.Matches("^TLS_|^ECDHE-.*(GCM|CHACHA20)", (string)cipher.Attribute("cipher")!));
        Assert.DoesNotContain(scan.Elements("compression").Concat(scan.Elements("renegotiation")), one => (string?)one.Attribute("supported") == "1");
        Assert.DoesNotContain(scan.Elements("heartbleed"), version => (string?)version.Attribute("vulnerable") == "1");
    }

    [Fact(Explicit = true)]
    [Trait("Category", "Soak")]
    public async Task Testssl_finds_nothing_above_low()
    {
        await using var mesh = new Sidecars();
        await using var echo = new Echo();
        var orders = await mesh.InboundAsync(echo.EndPoint, "tcp");
        var report = mesh.File("testssl.json");

        var (_, output) = await Tool.RunAsync(
            "testssl", ["--quiet", "--warnings", "off", "--color", "0", "--jsonfile", report, $"{orders.EndPoint}"], deadline: TimeSpan.FromMinutes(15));

        Assert.True(System.IO.File.Exists(report), output);
        var findings = JsonDocument.Parse(await System.IO.File.ReadAllTextAsync(report)).RootElement.EnumerateArray().ToList();
        Assert.True(findings.Count > 50, output);

        // A workload's certificate is of a private authority, lives an hour, is named by a URI and cannot be looked up anywhere: what the
        // scanner says about the web's public certificates does not apply to it.
        string[] aboutPublicCertificates = ["cert", "DNS_CAArecord", "overall_grade", "grade_cap", "scanTime", "security_headers", "HTTP", "engine_problem", "scanProblem"];
        var grave = findings
            .Where(one => one.GetProperty("severity").GetString() is not ("OK" or "INFO" or "LOW" or "DEBUG"))
            .Where(one => !SaysItCouldNotTest(one))
            .Where(one => !aboutPublicCertificates.Any(prefix => one.GetProperty("id").GetString()!.StartsWith(prefix, StringComparison.Ordinal)))
            .Select(one => one.ToString());
        Assert.Empty(grave);
    }

    /// <summary>The scanner has no certificate to present; what needs more than a ServerHello it marks so, and the functional tests cover it.</summary>
    private static bool SaysItCouldNotTest(JsonElement finding) =>
        finding.GetProperty("severity").GetString() == "WARN" && finding.GetProperty("finding").GetString()!.Contains("client", StringComparison.OrdinalIgnoreCase);
}
