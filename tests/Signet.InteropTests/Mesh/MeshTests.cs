using System.Diagnostics;
using Signet.Cli.Demo;
using Signet.InteropTests.X509;
using Signet.Testing;

namespace Signet.InteropTests.Mesh;

/// <summary>What a stranger types, against real processes.</summary>
public sealed class MeshTests
{
    [Fact]
    public async Task The_demo_holds_from_first_to_last_step()
    {
        var (exit, output) = await SignetProgram.RunAsync("demo", "--once");
        Assert.True(exit == 0, output);
        Assert.Contains("none failed", output);
        Assert.Contains("checks held", output);
    }

    [Fact]
    public async Task Openssl_with_a_fetched_SVID_completes_a_TLS_1_3_handshake_with_a_proxy_and_without_one_is_refused()
    {
        await using var mesh = await ProcessMesh.StartAsync();
        var (layout, orders) = (mesh.Layout, mesh.Layout.Orders);
        await RegisterMyselfAsync(layout);
        var folder = layout.File("me");
        var (exit, output) = await SignetProgram.RunAsync("fetch", "x509", "--socket", layout.AgentSocket, "--write", folder);
        Assert.True(exit == 0, output);

        var endPoint = $"127.0.0.1:{orders.InboundPort}";
        string[] files = ["-cert", $"{folder}/svid.pem", "-cert_chain", $"{folder}/svid.pem", "-key", $"{folder}/key.pem", "-CAfile", $"{folder}/bundle.pem"];
        var answer = await RequestAsync(["s_client", "-connect", endPoint, "-quiet", "-no_ign_eof", "-verify_return_error", "-tls1_3", .. files]);
        Assert.StartsWith("HTTP/1.1 200", answer);

        var refused = await RequestAsync(["s_client", "-connect", endPoint, "-quiet", "-no_ign_eof", "-tls1_3"]);
        Assert.DoesNotContain("HTTP/1.1", refused);
    }

    [Fact]
    public async Task Openssl_verifies_a_fetched_SVID_and_inspect_explains_the_same_file()
    {
        await using var mesh = await ProcessMesh.StartAsync();
        await RegisterMyselfAsync(mesh.Layout);
        var folder = mesh.Layout.File("me");
        var (exit, output) = await SignetProgram.RunAsync("fetch", "x509", "--socket", mesh.Layout.AgentSocket, "--write", folder);
        Assert.True(exit == 0, output);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode($"{folder}/key.pem"));

        var chain = await File.ReadAllTextAsync($"{folder}/svid.pem");
        await File.WriteAllTextAsync($"{folder}/intermediate.pem", chain[chain.LastIndexOf("-----BEGIN", StringComparison.Ordinal)..]);
        var (valid, verdict) = await OpenSsl.RunAsync("verify", "-x509_strict", "-CAfile", $"{folder}/bundle.pem", "-untrusted", $"{folder}/intermediate.pem", $"{folder}/svid.pem");
        Assert.True(valid, verdict);

        (exit, output) = await SignetProgram.RunAsync("x509", "inspect", $"{folder}/svid.pem");
        Assert.Equal(0, exit);
        Assert.Contains("spiffe://demo.signet/tool", output);
    }

    [Theory]
    [InlineData("server")]
    [InlineData("agent")]
    [InlineData("orders-proxy")]
    public async Task A_killed_process_comes_back_and_traffic_recovers_by_itself(string victim)
    {
        await using var mesh = await ProcessMesh.StartAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(200, await mesh.AskAsync());
        await mesh.KillAsync(victim);
        if (victim != "orders-proxy")
        {
            Assert.Equal(200, await mesh.AskAsync());
        }

        mesh.Restart(victim);
        await Eventually.IsTrueAsync(async () => await mesh.AskAsync() == 200, "an answer after the restart");

        // Long enough to live on what was renewed after the kill, not on what was held before it.
        var before = await SerialAsync(mesh);
        await Eventually.IsTrueAsync(async () => await SerialAsync(mesh) != before, "a rotation after the restart");
        Assert.Equal(200, await mesh.AskAsync());
    }

    [Fact]
    public async Task With_the_server_gone_for_good_running_proxies_keep_serving()
    {
        await using var mesh = await ProcessMesh.StartAsync();
        await mesh.KillAsync("server");
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(200, await mesh.AskAsync());
        }
    }

    [Fact]
    public async Task Metrics_hold_what_operators_watch_and_no_private_key_is_to_be_found_in_any_log_or_admin_page()
    {
        await using var mesh = await ProcessMesh.StartAsync();
        await Eventually.IsTrueAsync(async () => await mesh.AskAsync() == 200, "an answer through the mesh");
        using var http = new HttpClient();
        foreach (var page in new[] { "certs", "config", "connections", "listeners", "stats", "metrics" })
        {
            Assert.DoesNotContain("PRIVATE KEY", await http.GetStringAsync($"http://127.0.0.1:{mesh.Layout.Web.AdminPort}/{page}"));
        }

        Assert.Contains("# TYPE", await http.GetStringAsync($"http://127.0.0.1:{mesh.Layout.AgentMetricsPort}/metrics"));
        var server = await http.GetStringAsync($"http://127.0.0.1:{mesh.Layout.ServerMetricsPort}/metrics");
        string[] watched =
        [
            "signet_server_signing_duration_seconds_bucket{le=", "signet_server_signing_errors_total 0", "signet_server_anchor_rotation_stage 0",
            "signet_server_authority_expiry_seconds{state=\"active\",tier=\"anchor\"} ", "signet_server_authority_expiry_seconds{state=\"active\",tier=\"issuing\"} ",
            "signet_server_authority_expiry_seconds{state=\"active\",tier=\"jwt\"} ", "signet_server_entries ", "signet_server_agents_connected 1", "signet_server_push_lag_seconds ",
            "signet_server_bundle_acknowledgement_lag_seconds ", "signet_server_calls_refused_total 0",
        ];
        Assert.All(watched, metric => Assert.Contains("\n" + metric, server, StringComparison.Ordinal));

        Assert.All(Directory.EnumerateFiles(mesh.Layout.File("logs")), log =>
        {
            using var reader = new StreamReader(new FileStream(log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
            Assert.DoesNotContain("PRIVATE KEY", reader.ReadToEnd());
        });
    }

    private static async Task RegisterMyselfAsync(DemoLayout layout)
    {
        using var admin = new Signet.Cli.Clients.AdminClient(layout.ServerSocket, TimeProvider.System);
        var agent = Assert.Single(await admin.AgentsAsync(CancellationToken.None));
        var (exit, output) = await SignetProgram.RunAsync(
            "entry", "create", "--server", layout.ServerSocket, "--spiffe-id", "spiffe://demo.signet/tool", "--parent-id", agent.Id.Uri, "--selector", $"unix:path:{DemoLayout.OwnProgram}");
        Assert.True(exit == 0, output);
    }

    private static async Task<string> SerialAsync(ProcessMesh mesh) =>
        (await mesh.Demo.AdminAsync(mesh.Layout.Orders, "/certs", CancellationToken.None))["svids"]?[0]?["chain"]?[0]?["serial"]?.ToString() ?? "";

    private static async Task<string> RequestAsync(string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("openssl", arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        try
        {
            await process.StandardInput.WriteAsync("GET /orders HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n");
            await process.StandardInput.FlushAsync(deadline.Token);
            return await process.StandardOutput.ReadToEndAsync(deadline.Token);
        }
        catch (IOException)
        {
            // It hung up before it read anything.
            return await process.StandardOutput.ReadToEndAsync(deadline.Token);
        }
        finally
        {
            process.Kill();
        }
    }
}
