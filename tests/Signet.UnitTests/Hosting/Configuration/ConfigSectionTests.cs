using System.Net;
using Signet.Hosting.Configuration;

namespace Signet.UnitTests.Hosting.Configuration;

public sealed class ConfigSectionTests
{
    private static readonly Dictionary<string, string> Environment = new() { ["PORT"] = "8081", ["EMPTY"] = "", ["TOKEN"] = "hunter2" };

    private enum Format
    {
        Text,
        Json,
    }

    [Fact]
    public void Reads_each_type_as_it_is_written()
    {
        var all = Read("""
            name: web
            count: 7
            on: true
            ttl: 1h30m
            size: 64KiB
            level: info
            format: json
            server: server.example.org:8081
            listen: "[::1]:8443"
            socket: unix:/run/signet/agent.sock
            trustDomain: example.org
            id: spiffe://example.org/web
            token: hunter2
            """, root => (
                root.RequiredText("name"), root.Integer("count", 1, 0, 10), root.Flag("on", false), root.Duration("ttl", TimeSpan.Zero), root.Size("size", 0),
                root.Choice("level", "warn", "info", "warn"), root.Choice("format", Format.Text, ("text", Format.Text), ("json", Format.Json)),
                root.EndPoint("server"), root.ListenEndPoint("listen"), root.UnixPath("socket"),
                root.RequiredTrustDomain("trustDomain").Name, root.RequiredSpiffeId("id").Path, root.RequiredSecret("token").Reveal()));

        Assert.Equal(
            ("web", 7, true, TimeSpan.FromMinutes(90), 65536L, "info", Format.Json,
                new DnsEndPoint("server.example.org", 8081), new IPEndPoint(IPAddress.IPv6Loopback, 8443), "/run/signet/agent.sock",
                "example.org", "/web", "hunter2"),
            all);
    }

    [Fact]
    public void Answers_with_the_fallback_when_a_key_is_absent_or_has_no_value()
    {
        var all = Read("name:\nttl: null\nca:\n", root => (
            root.Text("name", "web"), root.Text("other"), root.Integer("count", 1, 0, 10), root.Flag("on", true), root.Duration("ttl", TimeSpan.FromHours(1)),
            root.Size("size", 5), root.EndPoint("server", "127.0.0.1:1"), root.UnixPath("socket", "/s"), root.Secret("token"), root.TrustDomain("trustDomain"),
            root.Section("ca").IsPresent, root.Section("keys").IsPresent, root.Section("keys").Text("type", "disk")));

        Assert.Equal(
            ("web", null, 1, true, TimeSpan.FromHours(1), 5L, new IPEndPoint(IPAddress.Loopback, 1), "/s", null, null, true, false, "disk"),
            all);
    }

    [Fact]
    public void Tells_an_empty_text_from_an_absent_one() =>
        Assert.Equal(("", "fallback"), Read("a: \"\"\nb:\n", root => (root.Text("a", "fallback"), root.Text("b", "fallback"))));

    [Fact]
    public void Reads_lists_maps_and_sections_in_lists()
    {
        var (texts, labels, ports) = Read("""
            hosts: [a, "b"]
            labels: {app: web, tier: front}
            inbound:
            - {port: 8080}
            - port: 9090
            """, root => (root.Texts("hosts"), root.Map("labels"), root.Sections("inbound").Select(inbound => inbound.Integer("port", 0, 1, 65535)).ToList()));

        Assert.Equal(["a", "b"], texts);
        Assert.Equal("front", labels["tier"]);
        Assert.Equal([8080, 9090], ports);
    }

    [Fact]
    public void Reads_json() =>
        Assert.Equal(("example.org", 2), Read("""{"trustDomain": "example.org", "n": [1, 2]}""", root => (root.Text("trustDomain", ""), root.Texts("n").Count)));

    [Fact]
    public void Reports_every_problem_at_once_with_file_line_and_path()
    {
        var problems = ProblemsOf("""
            # a comment
            ca:
              ttl: soon
              keyType: ec-p257

            trustDomain: Example.org
            listen: nowhere
            inbound:
            - port: 70000
            """, root =>
            {
                root.RequiredTrustDomain("trustDomain");
                root.ListenEndPoint("listen", "0.0.0.0:8081");
                root.Section("ca").Duration("ttl", TimeSpan.FromHours(24));
                root.Section("ca").Choice("keyType", "ec-p256", "ec-p256", "rsa-2048");
                root.Sections("inbound").Single().Integer("port", 0, 1, 65535);
            });

        Assert.Equal(
            [
                "server.yaml:3: ca.ttl: \"soon\" is not a duration; write a number and a unit, such as 30s, 5m, 24h, 30d or 1h30m",
                "server.yaml:4: ca.keyType: \"ec-p257\" is not one of ec-p256, rsa-2048; did you mean \"ec-p256\"?",
                "server.yaml:6: trust domain \"Example.org\" has an upper-case letter; write \"example.org\"",
                "server.yaml:7: listen: \"nowhere\" is not a host and a port; write host:port, such as 127.0.0.1:8081, [::1]:8081 or server.example.org:8081",
                "server.yaml:9: inbound[0].port: \"70000\" is not a whole number from 1 to 65535",
            ],
            problems);
    }

    [Fact]
    public void Says_what_a_missing_key_is_called() =>
        Assert.Equal(["server.yaml:1: trustDomain: is missing; it has no default"], ProblemsOf("", root => root.RequiredTrustDomain("trustDomain")));

    [Fact]
    public void Reports_an_unknown_key_with_the_nearest_known_one()
    {
        Assert.Equal(
            ["server.yaml:1: unknown key \"lisen\"; did you mean \"listen\"?", "server.yaml:3: ca: unknown key \"zz\"; what else can stand here: keyType"],
            ProblemsOf("lisen: 0.0.0.0:1\nca:\n  zz: 1\n  ttl: 1h\n", root =>
            {
                root.EndPoint("listen");
                root.Section("ca").Duration("ttl");
                root.Section("ca").Text("keyType");
            }));
    }

    [Fact]
    public void Reports_a_section_that_nobody_asked_for_once() =>
        Assert.Equal(["server.yaml:1: unknown key \"ca\"; nothing else can stand here"], ProblemsOf("ca: {ttl: 1h, zz: 2}\n", _ => { }));

    [Fact]
    public void Does_not_report_what_is_missing_in_a_section_of_the_wrong_shape() =>
        Assert.Equal(
            ["server.yaml:1: ca: a list stands where keys and values were expected"],
            ProblemsOf("ca: [1]\n", root => root.Section("ca").RequiredText("keyType")));

    [Theory]
    [InlineData("a: [1]", "server.yaml:1: a: a list stands where one value was expected")]
    [InlineData("a: {b: 1}", "server.yaml:1: a: a section stands where one value was expected")]
    [InlineData("a: \"\"", "server.yaml:1: a: is empty; write a value or leave the key out")]
    public void Refuses_a_value_of_another_shape(string yaml, string problem) => Assert.Equal([problem], ProblemsOf(yaml, root => root.RequiredText("a")));

    [Theory]
    [InlineData("a: x", "server.yaml:1: a: a text stands where a list was expected; write a list, such as [one, two]")]
    [InlineData("a: [{b: 1}]", "server.yaml:1: a[0]: a section stands where a text was expected")]
    [InlineData("a: [x,\n ]", null)]
    [InlineData("a: [~]", "server.yaml:1: a[0]: nothing stands where a text was expected")]
    public void Refuses_a_list_of_another_shape(string yaml, string? problem) =>
        Assert.Equal(problem is null ? [] : [problem], ProblemsOf(yaml, root => root.Texts("a")));

    [Theory]
    [InlineData("yes", "\"yes\" is neither true nor false")]
    [InlineData("True", "\"True\" is neither true nor false")]
    public void Refuses_a_flag_that_is_not_one(string flag, string problem) =>
        Assert.Equal([$"server.yaml:1: a: {problem}"], ProblemsOf($"a: {flag}", root => root.Flag("a", true)));

    [Fact]
    public void Holds_durations_to_their_limits()
    {
        Assert.Equal(
            ["server.yaml:1: a: 5s is shorter than the shortest that is allowed, 1m", "server.yaml:2: b: 48h is longer than the longest that is allowed, 1d"],
            ProblemsOf("a: 5s\nb: 48h\n", root =>
            {
                root.Duration("a", TimeSpan.FromHours(1), min: TimeSpan.FromMinutes(1));
                root.Duration("b", TimeSpan.FromHours(1), max: TimeSpan.FromDays(1));
            }));
    }

    [Fact]
    public void Lists_the_keys_an_operator_chose_and_the_shape_of_a_value()
    {
        var (keys, shapes) = Read("a: 1\nb: {}\nc: []\nd:\n", root =>
        {
            root.Text("a");
            root.Section("b");
            root.Texts("c");
            root.Text("d");
            return (root.Keys, new[] { root.Shape("a"), root.Shape("b"), root.Shape("c"), root.Shape("d"), root.Shape("e") });
        });

        Assert.Equal(["a", "b", "c", "d"], keys);
        Assert.Equal([ConfigShape.Text, ConfigShape.Section, ConfigShape.List, ConfigShape.Absent, ConfigShape.Absent], shapes);
    }

    [Fact]
    public void Lets_a_role_report_its_own_rule_at_the_key() =>
        Assert.Equal(
            ["server.yaml:3: svid.x509Ttl: 48h is longer than ca.ttl; shorten it"],
            ProblemsOf("svid:\n\n  x509Ttl: 48h\n", root =>
            {
                root.Section("svid").Duration("x509Ttl");
                root.Section("svid").Problem("x509Ttl", "48h is longer than ca.ttl; shorten it");
            }));

    [Theory]
    [InlineData("${PORT}", "8081")]
    [InlineData("'127.0.0.1:${PORT}!'", "127.0.0.1:8081!")]
    [InlineData("$${PORT} costs $5 or $PORT", "${PORT} costs $5 or $PORT")]
    [InlineData("a${EMPTY}b", "ab")]
    public void Expands_environment_variables(string written, string meant) => Assert.Equal(meant, Read($"a: {written}", root => root.Text("a")));

    [Theory]
    [InlineData("${MISSING}", "environment variable MISSING is not set; set it, or write \"$${\" for the characters themselves")]
    [InlineData("${PORT", "\"${\" must be followed by the name of an environment variable and \"}\"; write \"$${\" for the characters themselves")]
    [InlineData("'${}'", "\"${\" must be followed by the name of an environment variable and \"}\"; write \"$${\" for the characters themselves")]
    [InlineData("'${a b}'", "\"${\" must be followed by the name of an environment variable and \"}\"; write \"$${\" for the characters themselves")]
    public void Refuses_a_reference_without_an_answer(string written, string problem) =>
        Assert.Equal([$"server.yaml:1: {problem}"], ProblemsOf($"a: {written}", root => root.Text("a")));

    [Fact]
    public void Never_lets_a_variable_bring_structure() =>
        Assert.Equal("x\nb: injected", ConfigDocument.Read("f", "a: ${V}", new Dictionary<string, string> { ["V"] = "x\nb: injected" }, root => root.Text("a")));

    [Fact]
    public void Reads_secrets_from_the_environment_and_never_shows_them()
    {
        var secret = Read("token: env:TOKEN", root => root.RequiredSecret("token"));

        Assert.Equal("hunter2", secret.Reveal());
        Assert.Equal("(secret)", $"{secret}");
        Assert.Equal(secret, new Secret("hunter2"));
        Assert.NotEqual(secret, new Secret("hunter3"));
    }

    [Fact]
    public void Reads_secrets_from_a_file_beside_the_configuration()
    {
        var folder = Directory.CreateTempSubdirectory("signet-config-");
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "token"), "hunter2\n");

            var secret = ConfigDocument.Read(Path.Combine(folder.FullName, "server.yaml"), "token: file:token", Environment, root => root.RequiredSecret("token"));

            Assert.Equal("hunter2", secret.Reveal());
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData("env:MISSING", "environment variable MISSING is not set or empty; set it before starting")]
    [InlineData("env:EMPTY", "environment variable EMPTY is not set or empty; set it before starting")]
    [InlineData("file:/nonexistent/token", "file /nonexistent/token can't be read: there is no such file or folder")]
    [InlineData("file:/dev/null", "file /dev/null is empty; it should hold the value")]
    [InlineData("file:/dev/zero", "file /dev/zero can't be read: it is larger than 64KiB")]
    [InlineData("\"file:/a\\0b\"", "file /a\\u0000b can't be read: the path or the content is not text")]
    public void Refuses_a_secret_it_cannot_read(string written, string problem) =>
        Assert.Equal([$"server.yaml:1: token: {problem}"], ProblemsOf($"token: {written}", root => root.RequiredSecret("token")));

    [Fact]
    public void Never_repeats_a_secret_in_a_problem()
    {
        var problems = ProblemsOf("token: [hunter2]\ntoken2: {hunter2: hunter2}\ntokn: hunter2\n", root =>
        {
            root.Secret("token");
            root.Secret("token2");
        });

        Assert.Equal(3, problems.Count);
        Assert.DoesNotContain(problems, problem => problem.Contains("hunter2", StringComparison.Ordinal));
    }

    [Fact]
    public void Starts_relative_paths_from_the_folder_of_the_file()
    {
        Assert.Equal(
            ("/etc/signet/pg.pem", "/abs/pg.pem", "pg.pem"),
            (
                ConfigDocument.Read("/etc/signet/server.yaml", "p: pg.pem", Environment, root => root.FilePath("p")),
                ConfigDocument.Read("/etc/signet/server.yaml", "p: /abs/pg.pem", Environment, root => root.FilePath("p")),
                ConfigDocument.Read("server.yaml", "p: pg.pem", Environment, root => root.FilePath("p"))));
    }

    [Theory]
    [InlineData("agent.sock")]
    [InlineData("unix:agent.sock")]
    [InlineData("http://x")]
    [InlineData("unix://host/path")]
    [InlineData("\"unix:@abstract\"")]
    public void Refuses_a_socket_path_that_is_not_absolute(string path) =>
        Assert.Contains("is not the path of a Unix socket", Assert.Single(ProblemsOf($"s: {path}", root => root.UnixPath("s"))));

    [Fact]
    public void Counts_a_socket_path_in_bytes()
    {
        Assert.Empty(ProblemsOf($"s: /{new string('a', 106)}", root => root.UnixPath("s")));
        Assert.Contains("is 108 bytes long; the kernel allows 107", Assert.Single(ProblemsOf($"s: /{new string('a', 107)}", root => root.UnixPath("s"))));
        Assert.Contains("is 121 bytes long", Assert.Single(ProblemsOf($"s: /{new string('é', 60)}", root => root.UnixPath("s"))));
    }

    [Fact]
    public void Listens_on_addresses_only()
    {
        Assert.Equal(new IPEndPoint(IPAddress.Loopback, 1), Read("l: localhost:1", root => root.ListenEndPoint("l")));
        Assert.Equal(
            ["server.yaml:1: l: \"example.org:1\" is a name; listen on an address, such as 127.0.0.1:1"],
            ProblemsOf("l: example.org:1", root => root.ListenEndPoint("l")));
    }

    private static T Read<T>(string yaml, Func<ConfigSection, T> read) => ConfigDocument.Read("server.yaml", yaml, Environment, read);

    private static IReadOnlyList<string> ProblemsOf(string yaml, Action<ConfigSection> read)
    {
        var (root, problems) = ConfigDocument.Parse("server.yaml", yaml, Environment);
        read(root);
        root.Finish();
        return [.. problems.Found.Select(problem => problem.ToString())];
    }
}
