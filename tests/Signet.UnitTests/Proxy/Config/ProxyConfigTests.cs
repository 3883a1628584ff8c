using System.Net;
using Signet.Hosting.Configuration;
using Signet.Proxy.Capture;
using Signet.Proxy.Config;
using Signet.Proxy.Probes;
using Signet.Proxy.ProxyProtocol;

namespace Signet.UnitTests.Proxy.Config;

public sealed class ProxyConfigTests
{
    private const string Sample = """
        workload: {namespace: production, serviceAccount: order-service, labels: {app: order-service}}
        identity: {socket: unix:/run/signet/agent.sock}
        capture: {mode: none}
        inbound:
        - {listen: 0.0.0.0:15006, port: 8080, protocol: http, app: 127.0.0.1:8080}
        outbound:
        - {listen: 127.0.0.1:9001, host: payments.production.svc.cluster.local, port: 8080, protocol: http, endpoints: ["10.0.0.9:15006"]}
        policy: {folder: /etc/signet/policy}
        admin: 127.0.0.1:15000
        """;

    [Fact]
    public void Reads_the_documented_sample()
    {
        var config = Read(Sample);

        Assert.Equal(("production", "order-service", "order-service"), (config.Workload.Namespace, config.Workload.ServiceAccount, config.Workload.Labels["app"]));
        Assert.Equal("unix:/run/signet/agent.sock", Assert.IsType<IdentityConfig.Socket>(config.Identity).Address.ToString());
        var inbound = Assert.Single(config.Inbound);
        Assert.Equal((IPEndPoint.Parse("0.0.0.0:15006"), 8080, AppProtocol.Http, "127.0.0.1:8080"), (inbound.Listen, inbound.Port, inbound.Protocol, inbound.App.ToString()));
        var outbound = Assert.Single(config.Outbound);
        Assert.Equal(("payments.production.svc.cluster.local", 8080, "10.0.0.9:15006"), (outbound.Host, outbound.Port, outbound.Endpoints[0].ToString()));
        Assert.Empty(outbound.ServerIdentities);
        Assert.Equal("/etc/signet/policy", config.PolicyFolder);
        Assert.Equal(IPEndPoint.Parse("127.0.0.1:15000"), config.Admin);
        Assert.Equal(TimeSpan.FromSeconds(5), config.Timeouts.Detection);
        Assert.Null(config.AccessLog.Path);
    }

    [Fact]
    public void Leaves_policies_and_endpoints_to_the_agent_when_neither_is_written()
    {
        const string Policy = "policy: {folder: /etc/signet/policy}", Endpoints = ", endpoints: [\"10.0.0.9:15006\"]";
        var config = Read(Sample.Replace(Policy, "", StringComparison.Ordinal).Replace(Endpoints, "", StringComparison.Ordinal));
        Assert.Null(config.PolicyFolder);
        Assert.True(Assert.Single(config.Outbound).IsLocated);
        Assert.Empty(config.Outbound[0].Endpoints);

        var listed = Assert.Single(Read(Sample.Replace(Policy, "", StringComparison.Ordinal)).Outbound);
        Assert.Equal((false, 1), (listed.IsLocated, listed.Endpoints.Count));
        Assert.False(Read(Sample).Outbound[0].IsLocated);
        Assert.Contains("healthCheck", Assert.Throws<ConfigException>(() => Read(Sample.Replace(Policy, "", StringComparison.Ordinal).Replace(Endpoints, ", healthCheck: {tcp: {}}", StringComparison.Ordinal))).Message, StringComparison.Ordinal);
        Assert.Contains("policy.folder", Assert.Throws<ConfigException>(() => Read(Sample.Replace(Policy, "", StringComparison.Ordinal).Replace(
            "identity: {socket: unix:/run/signet/agent.sock}", "identity: {files: {certificate: /c, key: /k, roots: /r}}", StringComparison.Ordinal))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("auto", AppProtocol.Auto)]
    [InlineData("http", AppProtocol.Http)]
    [InlineData("http2", AppProtocol.Http2)]
    [InlineData("grpc", AppProtocol.Http2)]
    [InlineData("tcp", AppProtocol.Tcp)]
    public void Knows_what_an_application_may_speak(string word, AppProtocol protocol)
    {
        var config = Read(Sample.Replace("protocol: http", $"protocol: {word}", StringComparison.Ordinal));
        Assert.Equal((protocol, protocol), (config.Inbound[0].Protocol, config.Outbound[0].Protocol));
    }

    [Fact]
    public void Reads_how_the_application_learns_who_asks_it()
    {
        var config = Read(Sample.Replace(
            "app: 127.0.0.1:8080}",
            "app: 127.0.0.1:8080, forwardClientCert: {mode: appendForward, header: both, details: [hash, cert, dns]}, headers: {xForwardedFor: append, forwarded: set, via: edge, requestId: replace, traceContext: join}}",
            StringComparison.Ordinal));

        var inbound = Assert.Single(config.Inbound);
        Assert.Equal(
            new ForwardClientCertConfig { Mode = ForwardClientCertMode.AppendForward, Fields = ClientCertFields.Xfcc | ClientCertFields.Rfc9440, Details = ClientCertDetails.Cert | ClientCertDetails.Dns },
            inbound.ForwardClientCert);
        Assert.Equal(new HopFieldsConfig { XForwardedFor = HopField.Append, Forwarded = HopField.Set, Via = "edge", KeepsRequestId = false, JoinsTraces = true }, inbound.HopFields);
        Assert.Equal(ForwardClientCertMode.Sanitize, Assert.Single(config.Outbound).ForwardClientCert.Mode);
        var plain = Assert.Single(Read(Sample).Inbound);
        Assert.Equal((ForwardClientCertMode.SanitizeSet, ClientCertDetails.Subject | ClientCertDetails.Uri, new HopFieldsConfig()), (plain.ForwardClientCert.Mode, plain.ForwardClientCert.Details, plain.HopFields));
    }

    [Fact]
    public void Reads_where_traces_and_access_lines_go()
    {
        var config = Read(Sample + "\ntracing: {endpoint: \"https://collector.example.org/v1/traces\", samplePercent: 0.5, service: shop}\naccessLog: {format: json, only: refused, template: {a: \"%DURATION%\", b: \"x %REQ(X-A)%\"}}");

        Assert.Equal(new TracingConfig(new Uri("https://collector.example.org/v1/traces"), 0.005, "shop"), config.Tracing);
        Assert.Equal(AccessLogFilter.Refused, config.AccessLog.Only);
        Assert.Equal([("a", "%DURATION%"), ("b", "x %REQ(X-A)%")], config.AccessLog.Json!.Select(member => (member.Key, member.Value.Text)));
        Assert.True(config.AccessLog.WantsFields);
        Assert.Null(Read(Sample).Tracing);
        Assert.Equal(0.01, Read(Sample + "\ntracing: {endpoint: \"http://127.0.0.1:4318/v1/traces\"}").Tracing!.Ratio);
        Assert.Equal("%PROTOCOL%", Read(Sample + "\naccessLog: {template: \"%PROTOCOL%\"}").AccessLog.Text!.Text);
    }

    [Theory]
    [InlineData("tracing: {endpoint: \"http://collector.example.org/v1/traces\"}", "is plaintext to another machine")]
    [InlineData("tracing: {endpoint: collector}", "is no address to send traces to")]
    [InlineData("tracing: {samplePercent: 5}", "endpoint: is missing")]
    [InlineData("tracing: {endpoint: \"http://127.0.0.1:4318\", samplePercent: 101}", "is not a number from 0 to 100")]
    [InlineData("accessLog: {template: \"%DURATOIN%\"}", "accessLog.template: has the operator %DURATOIN%, which is not known; did you mean %DURATION%?")]
    [InlineData("accessLog: {template: {a: \"%DURATION%\"}}", "accessLog.template: is no text")]
    [InlineData("accessLog: {format: json, template: \"%DURATION%\"}", "accessLog.template: is no list of names")]
    [InlineData("accessLog: {format: json, template: [a]}", "accessLog.template: is no list of names")]
    [InlineData("accessLog: {format: json, template: {a: \"%X\"}}", "accessLog.template.a: has a percent sign that nothing closes")]
    [InlineData("accessLog: {format: json, template: {}}", "has 0 names")]
    [InlineData("accessLog: {only: some}", "is not one of all, errors, refused")]
    public void Says_what_is_wrong_with_traces_and_access_lines(string text, string expected) =>
        Assert.Contains(expected, Assert.Single(Assert.Throws<ConfigException>(() => Read(Sample + "\n" + text)).Problems).ToString(), StringComparison.Ordinal);

    [Theory]
    [InlineData("forwardClientCert: {mode: forward}", "is not one of sanitize, forwardOnly, appendForward, sanitizeSet, alwaysForwardOnly")]
    [InlineData("forwardClientCert: {details: [subjet]}", "\"subjet\" is not one of hash, subject, cert, chain, uri, dns")]
    [InlineData("forwardClientCert: {header: x-mine}", "is not one of xfcc, rfc9440, both")]
    [InlineData("headers: {via: \"a b\"}", "headers.via: \"a b\" is no name")]
    [InlineData("headers: {forwarded: yes}", "is not one of pass, append, set, remove")]
    public void Says_what_is_wrong_with_what_the_application_is_told(string text, string expected) => Assert.Contains(
        expected,
        Assert.Single(Assert.Throws<ConfigException>(() => Read(Sample.Replace("app: 127.0.0.1:8080}", "app: 127.0.0.1:8080, " + text + "}", StringComparison.Ordinal))).Problems).ToString(),
        StringComparison.Ordinal);

    [Fact]
    public void Reads_every_option()
    {
        var config = Read(Sample.Replace("identity: {socket: unix:/run/signet/agent.sock}", "identity: {files: {certificate: a.pem, key: b.pem, roots: c.pem}}", StringComparison.Ordinal) + "\n" + """
            trustDomain: example.org
            metrics: 0.0.0.0:15020
            ready: 0.0.0.0:15021
            log: {level: debug, format: json}
            accessLog: {path: /var/log/signet/access.log, format: json}
            timeouts: {detection: 3s, serverFirst: 100ms, handshake: 7s, connect: 2s, requestHead: 4s, keepAlive: 1m, streamIdle: 2m, tcpIdle: 2h, upstreamIdle: 3s, perTry: 8s, request: 9s}
            limits: {connections: 5, handshakes: 6, idleUpstreams: 7, checks: 8, streams: 9, retries: 4}
            mesh: {file: mesh.yaml}
            tokenKeys: {roots: roots.pem}
            probes:
            - {name: orders, check: livez, http: {port: 8080, path: /healthz, scheme: https, host: orders, headers: {X-Probe: "1"}}, timeout: 2s, address: "::1"}
            - {name: orders, tcp: {port: 5432}}
            - {name: orders, check: startupz, grpc: {port: 9090, service: orders.v1}}
            """);

        Assert.Equal(
            ["/app-health/orders/livez [::1]:8080", "/app-health/orders/readyz 127.0.0.1:5432", "/app-health/orders/startupz 127.0.0.1:9090"],
            config.Probes.Select(probe => $"{probe.Path} {probe.Target}"));
        var http = Assert.IsType<ProbeCheck.Http>(config.Probes[0].Check);
        Assert.Equal(("/healthz", true, "orders", "1", TimeSpan.FromSeconds(2)), (http.Path, http.IsHttps, http.Host, http.Headers["X-Probe"], config.Probes[0].Timeout));
        Assert.IsType<ProbeCheck.Tcp>(config.Probes[1].Check);
        Assert.Equal(new ProbeCheck.Grpc("orders.v1"), config.Probes[2].Check);

        Assert.Equal("example.org", config.TrustDomain!.Name);
        Assert.Equal(("mesh.yaml", "roots.pem"), (Path.GetFileName(config.MeshFile), Path.GetFileName(config.TokenKeyRoots)));
        Assert.Equal((15020, 15021), (config.Metrics!.Port, config.Ready!.Port));
        Assert.EndsWith("b.pem", Assert.IsType<IdentityConfig.Files>(config.Identity).Key, StringComparison.Ordinal);
        Assert.Equal(new AccessLogConfig { Path = "/var/log/signet/access.log", Format = AccessLogFormat.Json }, config.AccessLog);
        Assert.Equal(
            new ProxyTimeouts
            {
                Detection = TimeSpan.FromSeconds(3),
                ServerFirst = TimeSpan.FromMilliseconds(100),
                Handshake = TimeSpan.FromSeconds(7),
                Connect = TimeSpan.FromSeconds(2),
                RequestHead = TimeSpan.FromSeconds(4),
                KeepAlive = TimeSpan.FromMinutes(1),
                StreamIdle = TimeSpan.FromMinutes(2),
                TcpIdle = TimeSpan.FromHours(2),
                UpstreamIdle = TimeSpan.FromSeconds(3),
                PerTry = TimeSpan.FromSeconds(8),
                Request = TimeSpan.FromSeconds(9),
            },
            config.Timeouts);
        Assert.Equal(new ProxyLimits { Connections = 5, Handshakes = 6, IdleUpstreams = 7, Checks = 8, Streams = 9, Retries = 4 }, config.Limits);
    }

    [Fact]
    public void Reads_what_a_port_and_a_service_may_say_of_their_own()
    {
        var config = Read(Sample
            .Replace("app: 127.0.0.1:8080", "app: 127.0.0.1:8080, resumption: false, rateLimit: {requestsPerSecond: 5}", StringComparison.Ordinal)
            .Replace(
                "endpoints: [\"10.0.0.9:15006\"]",
                "endpoints: [\"10.0.0.9:15006\"], resumption: false, rateLimit: {requestsPerSecond: 5, burst: 9}, healthCheck: {http: {path: /healthz}, interval: 1s, timeout: 2s, unhealthyThreshold: 4, healthyThreshold: 5, jitterPercent: 0}",
                StringComparison.Ordinal));
        Assert.Equal((false, new RateLimitConfig(5, 5)), (config.Inbound[0].Resumption, config.Inbound[0].RateLimit));
        Assert.Equal((false, new RateLimitConfig(5, 9)), (config.Outbound[0].Resumption, config.Outbound[0].RateLimit));
        Assert.Equal(
            new HealthCheckConfig { Path = "/healthz", Interval = TimeSpan.FromSeconds(1), Timeout = TimeSpan.FromSeconds(2), UnhealthyThreshold = 4, HealthyThreshold = 5, JitterPercent = 0 },
            config.Outbound[0].HealthCheck);
        Assert.Equal(new HealthCheckConfig(), Read(Sample.Replace("endpoints:", "healthCheck: {tcp: {}}, endpoints:", StringComparison.Ordinal)).Outbound[0].HealthCheck);
        Assert.Equal((true, null, null), (Read(Sample).Outbound[0].Resumption, Read(Sample).Outbound[0].RateLimit, Read(Sample).Outbound[0].HealthCheck));
    }

    [Theory]
    [InlineData("app: 127.0.0.1:8080", "app: 127.0.0.1:8080, rateLimit: {}", "requestsPerSecond")]
    [InlineData("app: 127.0.0.1:8080", "app: 127.0.0.1:8080, rateLimit: {requestsPerSecond: 0}", "requestsPerSecond")]
    [InlineData("protocol: http, app", "protocol: tcp, rateLimit: {requestsPerSecond: 1}, app", "remove rateLimit")]
    [InlineData("endpoints: [\"10.0.0.9:15006\"]", "endpoints: [\"10.0.0.9:15006\"], healthCheck: {interval: 1s}", "is missing, and so is tcp")]
    [InlineData("endpoints: [\"10.0.0.9:15006\"]", "endpoints: [\"10.0.0.9:15006\"], healthCheck: {tcp: {}, http: {path: /}}", "keep one of them")]
    [InlineData("endpoints: [\"10.0.0.9:15006\"]", "endpoints: [\"10.0.0.9:15006\"], healthCheck: {http: {path: \"/a b\"}}", "not a path")]
    [InlineData("mode: none", "mode: divert", "divert")]
    [InlineData("mode: none", "mode: redirect, unmatched: allow", "not one of refuse, passthrough")]
    [InlineData("mode: none", "mode: redirect, inbound: 10.0.0.9:15006", "0.0.0.0:15006")]
    [InlineData("mode: none", "mode: redirect, outbound: 0.0.0.0:15001", "127.0.0.1:15001")]
    [InlineData("app: 127.0.0.1:8080", "app: 127.0.0.1:8080, proxyProtocol: {}", "is empty")]
    [InlineData("app: 127.0.0.1:8080", "app: 127.0.0.1:8080, proxyProtocol: {from: [10.0.0.1/8]}", "10.0.0.0/8")]
    [InlineData("app: 127.0.0.1:8080", "app: 127.0.0.1:8080, sendProxyProtocol: v3", "v1, v2")]
    [InlineData("endpoints: [\"10.0.0.9:15006\"]", "endpoints: [\"10.0.0.9:15006\"], sendProxyProtocol: v1", "sendProxyProtocol")]
    [InlineData("endpoints: [\"10.0.0.9:15006\"]", "endpoints: [\"10.0.0.9:15006\"], addresses: [payments:80]", "addresses")]
    [InlineData("admin: 127.0.0.1:15000", "probes: [{name: a, tcp: {port: 1}}]", "0.0.0.0:15021")]
    [InlineData("admin: 127.0.0.1:15000", "ready: 0.0.0.0:15021\nprobes: [{name: A, tcp: {port: 1}}]", "lower-case")]
    [InlineData("admin: 127.0.0.1:15000", "ready: 0.0.0.0:15021\nprobes: [{name: a/../b, tcp: {port: 1}}]", "lower-case")]
    [InlineData("admin: 127.0.0.1:15000", "ready: 0.0.0.0:15021\nprobes: [{name: a, tcp: {}}]", "application's port")]
    [InlineData("admin: 127.0.0.1:15000", "ready: 0.0.0.0:15021\nprobes: [{name: a}]", "exactly one of")]
    [InlineData("admin: 127.0.0.1:15000", "ready: 0.0.0.0:15021\nprobes: [{name: a, tcp: {port: 1}, grpc: {port: 1}}]", "exactly one of")]
    [InlineData("admin: 127.0.0.1:15000", "ready: 0.0.0.0:15021\nprobes: [{name: a, tcp: {port: 1}}, {name: a, tcp: {port: 2}}]", "twice")]
    [InlineData("admin: 127.0.0.1:15000", "ready: 0.0.0.0:15021\nprobes: [{name: a, tcp: {port: 1}, address: app}]", "address of this machine")]
    [InlineData("admin: 127.0.0.1:15000", "ready: 0.0.0.0:15021\nprobes: [{name: a, http: {port: 1, path: healthz}}]", "not a path")]
    [InlineData("admin: 127.0.0.1:15000", "ready: 0.0.0.0:15021\nprobes: [{name: a, http: {port: 1, path: \"/a b\"}}]", "not a path")]
    [InlineData("admin: 127.0.0.1:15000", "ready: 0.0.0.0:15021\nprobes: [{name: a, http: {port: 1, headers: {\"X:\": \"1\"}}}]", "printable ASCII")]
    [InlineData("admin: 127.0.0.1:15000", "ready: 0.0.0.0:15021\nprobes: [{name: a, http: {port: 1}, timeout: 1h}]", "longer than")]
    [InlineData("protocol: http, app", "protocol: http3, app", "http3")]
    [InlineData("port: 8080, protocol: http, app", "port: 70000, protocol: http, app", "70000")]
    [InlineData("host: payments.production.svc.cluster.local", "host: Payments", "Payments")]
    [InlineData("host: payments.production.svc.cluster.local", "host: \"a b\"", "host name")]
    [InlineData("endpoints: [\"10.0.0.9:15006\"]", "endpoints: []", "endpoints")]
    [InlineData("endpoints: [\"10.0.0.9:15006\"]", "endpoints: [nowhere]", "nowhere")]
    [InlineData("endpoints: [\"10.0.0.9:15006\"]", "endpoints: [\"10.0.0.9:15006\"], serverIdentities: [\"payments\"]", "spiffe://")]
    [InlineData("socket: unix:/run/signet/agent.sock", "socket: agent.sock", "agent.sock")]
    [InlineData("socket: unix:/run/signet/agent.sock", "socket: unix:/a, files: {certificate: a, key: b, roots: c}", "keep one")]
    [InlineData("policy: {folder: /etc/signet/policy}", "policy: {}", "policy.folder")]
    [InlineData("policy: {folder: /etc/signet/policy}", "mesh: {file: /etc/signet/mesh.yaml}", "mesh.file")]
    [InlineData(", endpoints: [\"10.0.0.9:15006\"]", "", "leave out both it and policy")]
    [InlineData("namespace: production, ", "", "namespace")]
    [InlineData("listen: 127.0.0.1:9001, ", "", "listen")]
    [InlineData("admin: 127.0.0.1:15000", "admn: 127.0.0.1:15000", "did you mean")]
    [InlineData("admin: 127.0.0.1:15000", "admin: 0.0.0.0:15000", "reached from other machines")]
    [InlineData("admin: 127.0.0.1:15000", "admin: \"[::]:15000\"", "reached from other machines")]
    [InlineData("admin: 127.0.0.1:15000", "admin: 10.0.0.9:15000", "reached from other machines")]
    [InlineData("admin: 127.0.0.1:15000", "timeouts: {handshake: 5}", "handshake")]
    public void Says_what_is_wrong_and_where(string good, string bad, string said)
    {
        var problem = Assert.Throws<ConfigException>(() => Read(Sample.Replace(good, bad, StringComparison.Ordinal)));

        Assert.Contains(problem.Problems, one => one.ToString().Contains(said, StringComparison.Ordinal));
        Assert.All(problem.Problems, one => Assert.StartsWith("proxy.yaml:", one.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public void With_capture_ports_and_services_need_no_listener_of_their_own()
    {
        var config = Read("""
            workload: {namespace: production}
            capture: {mode: tproxy, inbound: "[::]:16006", outbound: 127.0.0.1:16001, unmatched: passthrough}
            inbound:
            - {port: 8080, app: 127.0.0.1:8080, proxyProtocol: {from: [10.0.0.0/24, "fd00::/8"]}, sendProxyProtocol: v2}
            outbound:
            - {host: payments.production.svc.cluster.local, port: 8080, addresses: ["10.96.0.10:8080"], endpoints: ["10.0.0.9:8080"]}
            policy: {folder: /p}
            """);

        Assert.Equal(new CaptureConfig { Mode = CaptureMode.Tproxy, Inbound = IPEndPoint.Parse("[::]:16006"), Outbound = IPEndPoint.Parse("127.0.0.1:16001"), PassThrough = true }, config.Capture);
        Assert.Null(config.Inbound[0].Listen);
        Assert.Equal(["10.0.0.0/24", "fd00::/8"], config.Inbound[0].ProxyProtocolFrom.Select(network => network.ToString()));
        Assert.Equal(ProxyVersion.V2, config.Inbound[0].SendProxyProtocol);
        Assert.Null(config.Outbound[0].Listen);
        Assert.Equal([IPEndPoint.Parse("10.96.0.10:8080")], config.Outbound[0].Addresses);
    }

    [Fact]
    public void With_capture_nothing_else_is_needed_and_what_nobody_listed_is_refused()
    {
        var config = Read("workload: {namespace: a}\ncapture: {mode: redirect}\npolicy: {folder: /p}\n");

        Assert.False(config.Capture.PassThrough);
        Assert.Equal((15006, 15001), (config.Capture.Inbound.Port, config.Capture.Outbound.Port));
    }

    [Fact]
    public void An_address_of_two_services_is_refused_when_connections_are_told_apart_by_it()
    {
        const string Two = "workload: {namespace: a}\npolicy: {folder: /p}\noutbound:\n- {listen: 127.0.0.1:1, host: a, port: 1, endpoints: [\"10.0.0.1:80\"]}\n- {listen: 127.0.0.1:2, host: b, port: 1, endpoints: [\"10.0.0.2:80\"], addresses: [\"10.0.0.1:80\"]}\n";

        Assert.Equal(2, Read(Two).Outbound.Count);
        Assert.Contains("10.0.0.1:80 is an address of two services", Assert.Throws<ConfigException>(() => Read(Two + "capture: {mode: redirect}\n")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Wants_at_least_one_port() =>
        Assert.Contains("outbound", Assert.Throws<ConfigException>(() => Read("workload: {namespace: a}\npolicy: {folder: /p}\n")).Message, StringComparison.Ordinal);

    private static ProxyConfig Read(string text) => ConfigDocument.Read("proxy.yaml", text, new Dictionary<string, string>(), ProxyConfig.Read);
}
