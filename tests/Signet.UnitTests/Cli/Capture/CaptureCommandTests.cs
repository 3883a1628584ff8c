using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli;
using Signet.Cli.Commands.Capture;

namespace Signet.UnitTests.Cli.Capture;

public sealed class CaptureCommandTests
{
    [Fact]
    public void A_dry_run_prints_what_would_be_run_and_needs_no_rights()
    {
        var (exit, output, _) = Run("install", "--proxy-uid", "1337", "--mode", "tproxy", "--exclude-inbound-ports", "22, 9000-9010", "--exclude-inbound-ports", "53", "--dry-run");

        Assert.Equal(0, exit);
        Assert.Contains("# ip -4 route add local default dev lo table 133\n# ip -4 rule add fwmark 0x539/0xfff lookup 133\n# iptables-restore --noflush --wait=5\n*mangle\n", output);
        foreach (var port in new[] { "22", "9000:9010", "53" })
        {
            Assert.Contains($"-A SIGNET_INBOUND -p tcp -m tcp --dport {port} -j RETURN\n", output);
        }
    }

    [Fact]
    public void A_dry_run_in_JSON_is_a_list_of_calls()
    {
        var calls = JsonNode.Parse(Run("install", "--proxy-uid", "1337", "--dry-run", "--output", "json").Output)!.AsArray();

        Assert.Equal("iptables-restore", calls[0]!["program"]!.GetValue<string>());
        Assert.Equal("--noflush", calls[0]!["arguments"]![0]!.GetValue<string>());
        Assert.StartsWith("*nat\n", calls[0]!["input"]!.GetValue<string>());
    }

    [Theory]
    [InlineData("*", "-A SIGNET_INBOUND -p tcp -j SIGNET_IN_REDIRECT")]
    [InlineData("80", "-A SIGNET_INBOUND -p tcp -m tcp --dport 80 -j SIGNET_IN_REDIRECT")]
    public void All_ports_or_some_are_included(string ports, string rule) =>
        Assert.Contains(rule, Run("install", "--proxy-uid", "1337", "--include-inbound-ports", ports, "--dry-run").Output);

    [Fact]
    public void An_empty_list_includes_nothing() =>
        Assert.DoesNotContain("-j SIGNET_IN_REDIRECT", Run("install", "--proxy-uid", "1337", "--include-inbound-ports", "", "--dry-run").Output);

    [Theory]
    [InlineData("--proxy-uid", "0", "root")]
    [InlineData("--proxy-uid", "signet", "not a number above 0")]
    [InlineData("--mode", "divert", "redirect or tproxy")]
    [InlineData("--inbound-port", "70000", "not a port")]
    [InlineData("--inbound-port", "80-90", "not a port")]
    [InlineData("--exclude-inbound-ports", "ssh", "8000-8100")]
    [InlineData("--exclude-inbound-ports", "*", "8000-8100")]
    [InlineData("--include-outbound-ports", "80,*", "8000-8100")]
    [InlineData("--include-outbound-cidrs", "10.0.0.1/8", "write 10.0.0.0/8")]
    [InlineData("--exclude-outbound-cidrs", "everything", "neither an address nor a range")]
    [InlineData("--exclude-interfaces", "-j", "not the name of an interface")]
    public void What_cannot_be_understood_is_a_usage_error(string option, string value, string problem)
    {
        string[] uid = option == "--proxy-uid" ? [] : ["--proxy-uid", "1337"];
        var (_, _, error) = Run(["install", "--dry-run", option, value, .. uid]);

        Assert.Contains(problem, error);
    }

    [Fact]
    public void The_proxys_user_must_be_named() => Assert.Contains("--proxy-uid", Run("install", "--dry-run").Error);

    private static (int Exit, string Output, string Error) Run(params string[] arguments)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var exit = CaptureCommand.Create(new CliContext(TimeProvider.System, () => 0)).Parse(arguments).Invoke(new InvocationConfiguration { Output = output, Error = error });
        return (exit, output.ToString(), error.ToString());
    }
}
