using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Cli.Demo;

/// <summary>The story of the demo, step by step; each step shows its evidence and requires what it claims.</summary>
internal sealed class DemoRun(DemoLayout layout, DemoMesh mesh, DemoStage stage, TimeProvider time)
{
    private const int WantedRotations = 3;
    private const int Attempts = 20;
    private static readonly TimeSpan SvidTtl = TimeSpan.FromSeconds(16);
    private static readonly TimeSpan RotationPatience = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan BetweenRequests = TimeSpan.FromMilliseconds(20);

    public async Task PlayAsync(CancellationToken cancellationToken)
    {
        await StartAsync(cancellationToken).ConfigureAwait(false);
        await using (var tap = new DemoTap(layout.TapPort, layout.Orders.InboundPort))
        {
            await RequestThroughTheMeshAsync(tap, cancellationToken).ConfigureAwait(false);
            await StrictAndPermissiveAsync(cancellationToken).ConfigureAwait(false);
            await StrangersAsync(cancellationToken).ConfigureAwait(false);
            await AuthorizationAsync(cancellationToken).ConfigureAwait(false);
            await RotationAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public async Task StopAsync()
    {
        stage.Step("Everything stops, and nothing is left behind");
        var processes = mesh.Processes;
        var unclean = await mesh.StopAsync().ConfigureAwait(false);
        stage.Require(unclean.Count == 0, $"all {processes.Count} processes ended by themselves when asked", string.Join(", ", unclean));
        stage.Require(processes.All(process => !Directory.Exists($"/proc/{process.Pid}")), "none of their process ids exists any more");
        stage.Require(!File.Exists(layout.ServerSocket) && !File.Exists(layout.AgentSocket), "their sockets are gone");
    }

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        stage.Say($"A mesh on this machine, in {layout.Home}: one server, one agent, three services (web > orders > payments), a proxy beside each.");
        layout.WriteMtlsPolicy("STRICT");
        layout.WritePaymentsPolicy();
        await mesh.StartServerAsync(SvidTtl, cancellationToken).ConfigureAwait(false);
        await mesh.StartAgentAsync(cancellationToken).ConfigureAwait(false);
        await mesh.StartWorkloadsAsync(cancellationToken).ConfigureAwait(false);
        foreach (var process in mesh.Processes)
        {
            stage.Evidence(process.Name, $"pid {process.Pid.ToString(CultureInfo.InvariantCulture)}, log {process.LogFile}");
        }
    }

    private async Task RequestThroughTheMeshAsync(DemoTap tap, CancellationToken cancellationToken)
    {
        stage.Step("A request goes web > orders > payments, mutual TLS between the proxies");
        foreach (var (from, to, leaf, line, answer) in await ShownCertificatesAsync(cancellationToken).ConfigureAwait(false))
        {
            if (from == layout.Web)
            {
                stage.Evidence("answer", $"{answer.Status} {answer.Text}");
                stage.Require(answer == (200, "web > orders > payments"), "all three services answered", $"{answer.Status} {answer.Text}");
            }

            stage.Evidence("presented", $"{leaf["uris"]?[0]} to {to.Name}, serial {leaf["serial"]}");
            stage.Evidence("issued by", $"{leaf["issuer"]}, valid until {leaf["notAfter"]}");
            stage.Evidence("connection", $"{line["tls.version"]}, {line["tls.cipher"]}");
            stage.Require(line["source.principal"] == from.Principal, $"the proxy of {to.Name} saw {from.Name} by that certificate", line.Text);
            stage.Require(line["tls.version"] == "TLSv1.3", "the connection is TLS 1.3", line["tls.version"]);
        }

        var wire = tap.Seen();
        stage.Evidence("on the wire", $"{wire.Length.ToString(CultureInfo.InvariantCulture)} bytes between web's and orders' proxy, beginning {Convert.ToHexStringLower(wire.AsSpan(0, Math.Min(wire.Length, 11)))} (a TLS handshake record)");
        stage.Require(wire.Length > 0 && wire[0] == 0x16, "the first byte is a TLS record, not HTTP");
        stage.Require(!Encoding.Latin1.GetString(wire).Contains("/orders", StringComparison.Ordinal), "the request's path is nowhere to be read");
    }

    private async Task StrictAndPermissiveAsync(CancellationToken cancellationToken)
    {
        stage.Step("Plaintext is refused under STRICT and accepted under PERMISSIVE, switched live by editing a file");
        var skip = DemoMesh.LinesOf(layout.Orders);
        var (status, text) = await mesh.AskAsync(HttpMethod.Get, layout.Orders.InboundPort, "/orders", cancellationToken).ConfigureAwait(false);
        stage.Require(status == 0, "a plaintext client straight at orders' inbound port is cut off", $"{status} {text}");
        await QuoteReasonAsync(skip, line => line["reason"] != "-", cancellationToken).ConfigureAwait(false);

        layout.WriteMtlsPolicy("PERMISSIVE");
        (status, text) = await mesh.AskUntilAsync(status => status == 200, HttpMethod.Get, layout.Orders.InboundPort, "/orders", cancellationToken).ConfigureAwait(false);
        stage.Evidence("answer", $"{status} {text}");
        stage.Require(status == 200, "after the file says PERMISSIVE, the same client is served", $"{status} {text}");

        layout.WriteMtlsPolicy("STRICT");
        (status, text) = await mesh.AskUntilAsync(status => status == 0, HttpMethod.Get, layout.Orders.InboundPort, "/orders", cancellationToken).ConfigureAwait(false);
        stage.Require(status == 0, "after it says STRICT again, the client is cut off again", $"{status} {text}");
    }

    private async Task StrangersAsync(CancellationToken cancellationToken)
    {
        stage.Step("A certificate of another authority and an expired one are refused, and the log says why");
        var orders = SpiffeId.Parse(layout.Orders.SpiffeId);
        var stranger = DemoStrangers.OfAnotherAuthority(orders, time.GetUtcNow());
        await RefuseAsync("another CA", stranger, cancellationToken).ConfigureAwait(false);

        using var admin = new AdminClient(layout.ServerSocket, time);
        var expiring = await admin.MintAsync(orders, TimeSpan.FromSeconds(1), [], cancellationToken).ConfigureAwait(false);
        await Task.Delay(expiring.NotAfter - time.GetUtcNow() + TimeSpan.FromSeconds(2), time, cancellationToken).ConfigureAwait(false);
        await RefuseAsync("expired", expiring, cancellationToken).ConfigureAwait(false);
    }

    private async Task RefuseAsync(string what, X509Svid svid, CancellationToken cancellationToken)
    {
        stage.Evidence("presents", $"{svid.Id}, serial {svid.Leaf.SerialHex}, issuer {svid.Leaf.Issuer}, until {svid.NotAfter:u}");
        var skip = DemoMesh.LinesOf(layout.Orders);
        var got = await DemoStrangers.TryAsync(svid, layout.Orders.InboundPort, time, cancellationToken).ConfigureAwait(false);
        stage.Require(!got.StartsWith("HTTP", StringComparison.Ordinal), $"{what}: {got}", got);
        await QuoteReasonAsync(skip, line => line["reason"] != "-", cancellationToken).ConfigureAwait(false);
    }

    private async Task AuthorizationAsync(CancellationToken cancellationToken)
    {
        stage.Step("An AuthorizationPolicy lets orders POST to payments and refuses web");
        var skip = DemoMesh.LinesOf(layout.Payments);
        var (status, text) = await mesh.AskAsync(HttpMethod.Get, layout.Web.AppPort, "/", cancellationToken).ConfigureAwait(false);
        stage.Require(status == 200, "orders' POST /charge is allowed", $"{status} {text}");
        var allowed = await DemoMesh.LineAsync(layout.Payments, skip, line => line["direction"] == "inbound" && line["response.code"] == "200", time, cancellationToken).ConfigureAwait(false);
        ShowVerdict(allowed);

        skip = DemoMesh.LinesOf(layout.Payments);
        (status, text) = await mesh.AskAsync(HttpMethod.Post, layout.WebToPaymentsPort, "/charge", cancellationToken).ConfigureAwait(false);
        stage.Evidence("answer", $"{status} {text.ReplaceLineEndings(" ")}");
        stage.Require(status == 403, "web's own POST /charge is answered 403", $"{status} {text}");
        var denied = await DemoMesh.LineAsync(layout.Payments, skip, line => line["direction"] == "inbound" && line["response.code"] == "403", time, cancellationToken).ConfigureAwait(false);
        ShowVerdict(denied);
        stage.Require(denied["policy"] == $"{DemoLayout.Namespace}/{DemoLayout.RefusingPolicy}" && denied["rule"] == "0", "the access log names the policy and the rule that decided", denied.Text);

        var request = layout.WriteExplainRequest();
        var explained = await RunAsync(["policy", "explain", "--policies", layout.PolicyFolder, "--requests", request], cancellationToken).ConfigureAwait(false);
        foreach (var line in explained.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            stage.Evidence("explain", line);
        }

        stage.Require(explained.Contains(DemoLayout.RefusingPolicy, StringComparison.Ordinal), "signet policy explain names the same policy", explained);
    }

    private async Task RotationAsync(CancellationToken cancellationToken)
    {
        stage.Step($"Certificates rotate under traffic: at least {WantedRotations} times each, no failed request");
        var serials = layout.Workloads.ToDictionary(workload => workload, _ => new HashSet<string>(StringComparer.Ordinal));
        var (requests, failed) = (0, 0);
        var deadline = time.GetUtcNow() + RotationPatience;
        var nextLook = DateTimeOffset.MinValue;
        while (serials.Values.Any(seen => seen.Count <= WantedRotations) && time.GetUtcNow() < deadline)
        {
            var (status, _) = await mesh.AskAsync(HttpMethod.Get, layout.Web.AppPort, "/", cancellationToken).ConfigureAwait(false);
            requests++;
            failed += status == 200 ? 0 : 1;
            if (time.GetUtcNow() >= nextLook)
            {
                nextLook = time.GetUtcNow() + TimeSpan.FromMilliseconds(500);
                foreach (var workload in layout.Workloads)
                {
                    serials[workload].Add((await LeafAsync(workload, cancellationToken).ConfigureAwait(false))["serial"]!.ToString());
                }
            }

            await Task.Delay(BetweenRequests, time, cancellationToken).ConfigureAwait(false);
        }

        foreach (var (workload, seen) in serials)
        {
            stage.Evidence(workload.Name, $"{(seen.Count - 1).ToString(CultureInfo.InvariantCulture)} rotations, serials {string.Join(" > ", seen.Select(serial => serial[..8]))}");
        }

        stage.Require(serials.Values.All(seen => seen.Count > WantedRotations), $"each proxy changed its certificate at least {WantedRotations} times");
        stage.Require(failed == 0, $"{requests.ToString(CultureInfo.InvariantCulture)} requests meanwhile, none failed", $"{failed} failed");
    }

    /// <summary>
    /// Asks until the certificates that the receiving proxies logged are the ones that the sending proxies show at that moment: here they
    /// rotate every few seconds.
    /// </summary>
    private async Task<IReadOnlyList<(DemoWorkload From, DemoWorkload To, JsonNode Leaf, AccessLogLine Line, (int Status, string Text) Answer)>> ShownCertificatesAsync(
        CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            var shown = new List<(DemoWorkload, DemoWorkload, JsonNode, AccessLogLine, (int, string))>();
            var skips = layout.Workloads.ToDictionary(workload => workload, DemoMesh.LinesOf);
            var answer = await mesh.AskAsync(HttpMethod.Get, layout.Web.AppPort, "/", cancellationToken).ConfigureAwait(false);
            foreach (var (from, to) in new[] { (layout.Web, layout.Orders), (layout.Orders, layout.Payments) })
            {
                var leaf = await LeafAsync(from, cancellationToken).ConfigureAwait(false);
                var line = await DemoMesh.LineAsync(to, skips[to], line => line["direction"] == "inbound", time, cancellationToken).ConfigureAwait(false);
                if (leaf["serial"]?.ToString() == line["source.serial"])
                {
                    shown.Add((from, to, leaf, line, answer));
                }
            }

            if (shown.Count == 2)
            {
                return shown;
            }
        }

        throw new DemoException($"in {Attempts} attempts the certificates that were logged never were the ones that the proxies showed");
    }

    private async Task<JsonNode> LeafAsync(DemoWorkload workload, CancellationToken cancellationToken) =>
        (await mesh.AdminAsync(workload, "/certs", cancellationToken).ConfigureAwait(false))["svids"]?[0]?["chain"]?[0]
        ?? throw new DemoException($"{workload.Name}'s proxy shows no certificate");

    private async Task QuoteReasonAsync(int skip, Func<AccessLogLine, bool> fits, CancellationToken cancellationToken)
    {
        var line = await DemoMesh.LineAsync(layout.Orders, skip, fits, time, cancellationToken).ConfigureAwait(false);
        stage.Evidence("orders' log", $"verdict={line["verdict"]} stage={line["stage"]} reason={line["reason"]}");
    }

    private void ShowVerdict(AccessLogLine line) => stage.Evidence(
        "payments' log",
        $"{line["request.method"]} {line["request.path"]} from {line["source.principal"]}: verdict={line["verdict"]} stage={line["stage"]} policy={line["policy"]} rule={line["rule"]} reason={line["reason"]}");

    private static async Task<string> RunAsync(IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        using var process = Process.Start(new ProcessStartInfo(DemoLayout.OwnProgram, arguments) { RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
        await process.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
        return output;
    }
}
