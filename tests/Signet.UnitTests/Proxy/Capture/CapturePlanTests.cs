using System.Net;
using System.Net.Sockets;
using FsCheck;
using FsCheck.Fluent;
using Signet.Proxy.Capture;

namespace Signet.UnitTests.Proxy.Capture;

public sealed class CapturePlanTests
{
    private const string Others = "*nat\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n-A DOCKER -i docker0 -j RETURN\nCOMMIT\n*mangle\n-A OUTPUT -o eth9 -j MARK --set-xmark 0x1/0x1\nCOMMIT\n";

    [Fact]
    public void Redirect_mode_captures_both_directions_and_leaves_loopback_and_the_proxy_alone() => Assert.Equal(
        """
        *nat
        :SIGNET_PREROUTING - [0:0]
        :SIGNET_INBOUND - [0:0]
        :SIGNET_IN_REDIRECT - [0:0]
        :SIGNET_OUTPUT - [0:0]
        :SIGNET_OUT_REDIRECT - [0:0]
        -I PREROUTING 1 -p tcp -j SIGNET_PREROUTING
        -A SIGNET_PREROUTING -j SIGNET_INBOUND
        -A SIGNET_INBOUND -p tcp -m tcp --dport 15020:15021 -j RETURN
        -A SIGNET_INBOUND -p tcp -j SIGNET_IN_REDIRECT
        -A SIGNET_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
        -I OUTPUT 1 -p tcp -j SIGNET_OUTPUT
        -A SIGNET_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN
        -A SIGNET_OUTPUT ! -d 127.0.0.0/8 -o lo -p tcp -m owner --uid-owner 1337 -j SIGNET_INBOUND
        -A SIGNET_OUTPUT -m owner --uid-owner 1337 -j RETURN
        -A SIGNET_OUTPUT -o lo -j RETURN
        -A SIGNET_OUTPUT -d 127.0.0.0/8 -j RETURN
        -A SIGNET_OUTPUT -j SIGNET_OUT_REDIRECT
        -A SIGNET_OUT_REDIRECT -p tcp -j REDIRECT --to-ports 15001
        COMMIT

        """, CapturePlan.Of(new CaptureOptions { ProxyUid = 1337 }, AddressFamily.InterNetwork).RestoreInput(RuleSet.Empty));

    [Fact]
    public void Tproxy_mode_with_every_option_over_IPv6() => Assert.Equal(
        """
        *mangle
        :SIGNET_PREROUTING - [0:0]
        :SIGNET_INBOUND - [0:0]
        :SIGNET_TPROXY - [0:0]
        :SIGNET_OUTPUT - [0:0]
        -I PREROUTING 1 -p tcp -j SIGNET_PREROUTING
        -I OUTPUT 1 -p tcp -j SIGNET_OUTPUT
        -A SIGNET_PREROUTING -i docker+ -j RETURN
        -A SIGNET_PREROUTING -p tcp -m socket --transparent -j MARK --set-xmark 0x539/0xfff
        -A SIGNET_PREROUTING -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN
        -A SIGNET_PREROUTING -i lo -m mark ! --mark 0x53a/0xfff -j RETURN
        -A SIGNET_PREROUTING -d ::1/128 -j RETURN
        -A SIGNET_PREROUTING -j SIGNET_INBOUND
        -A SIGNET_INBOUND -p tcp -m tcp --dport 9000 -j RETURN
        -A SIGNET_INBOUND -p tcp -m tcp --dport 22 -j RETURN
        -A SIGNET_INBOUND -p tcp -m tcp --dport 80 -j SIGNET_TPROXY
        -A SIGNET_INBOUND -p tcp -m tcp --dport 8000:8100 -j SIGNET_TPROXY
        -A SIGNET_TPROXY -p tcp -j TPROXY --on-port 16006 --on-ip :: --tproxy-mark 0x539/0xfff
        -A SIGNET_OUTPUT -o docker+ -j RETURN
        -A SIGNET_OUTPUT -s ::1/128 -o lo -j RETURN
        -A SIGNET_OUTPUT ! -d ::1/128 -o lo -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m owner --uid-owner 7 -j MARK --set-xmark 0x53a/0xfff
        -A SIGNET_OUTPUT ! -d ::1/128 -o lo -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m owner --gid-owner 8 -j MARK --set-xmark 0x53a/0xfff
        COMMIT
        *nat
        :SIGNET_OUTPUT - [0:0]
        :SIGNET_OUT_REDIRECT - [0:0]
        -I OUTPUT 1 -p tcp -j SIGNET_OUTPUT
        -A SIGNET_OUTPUT -o docker+ -j RETURN
        -A SIGNET_OUTPUT -s ::1/128 -o lo -j RETURN
        -A SIGNET_OUTPUT -m owner --uid-owner 7 -j RETURN
        -A SIGNET_OUTPUT -m owner --gid-owner 8 -j RETURN
        -A SIGNET_OUTPUT -o lo -j RETURN
        -A SIGNET_OUTPUT -d ::1/128 -j RETURN
        -A SIGNET_OUTPUT -p tcp -m tcp --dport 5432 -j RETURN
        -A SIGNET_OUTPUT -d fd00::/8 -j RETURN
        -A SIGNET_OUTPUT -d 2001:db8::/32 -j SIGNET_OUT_REDIRECT
        -A SIGNET_OUT_REDIRECT -p tcp -m tcp --dport 443 -j REDIRECT --to-ports 16001
        COMMIT

        """, CapturePlan.Of(Everything, AddressFamily.InterNetworkV6).RestoreInput(RuleSet.Empty));

    [Fact]
    public void A_list_that_has_nothing_for_a_family_captures_nothing_of_it()
    {
        var options = new CaptureOptions { ProxyUid = 1, IncludeOutboundNetworks = [IPNetwork.Parse("10.0.0.0/8")], IncludeInboundPorts = [] };

        Assert.DoesNotContain(CapturePlan.Of(options, AddressFamily.InterNetworkV6).Rules, rule => rule.Text.Contains("-j SIGNET_OUT_REDIRECT", StringComparison.Ordinal));
        Assert.DoesNotContain(CapturePlan.Of(options, AddressFamily.InterNetwork).Rules, rule => rule.Text.Contains("-j SIGNET_IN_REDIRECT", StringComparison.Ordinal));
    }

    [Fact]
    public void Installing_twice_is_installing_once_whatever_was_there_and_others_rules_stay() => Prop.ForAll(AnyOptions, AnyOptions, (before, after) =>
    {
        foreach (var family in new[] { AddressFamily.InterNetwork, AddressFamily.InterNetworkV6 })
        {
            var kernel = new KernelRules();
            kernel.Restore(Others);
            var untouched = kernel.Save();
            kernel.Restore(CapturePlan.Of(before, family).RestoreInput(RuleSet.Read(kernel.Save())));
            kernel.Restore(CapturePlan.Of(after, family).RestoreInput(RuleSet.Read(kernel.Save())));
            var once = kernel.Save();
            Assert.Empty(CapturePlan.Of(after, family).DifferencesFrom(RuleSet.Read(once)));

            kernel.Restore(CapturePlan.Of(after, family).RestoreInput(RuleSet.Read(kernel.Save())));
            Assert.Equal(once, kernel.Save());

            kernel.Restore(RuleSet.Empty.RestoreInput(RuleSet.Read(kernel.Save())));
            Assert.Equal(untouched, kernel.Save());
            Assert.Equal("", RuleSet.Empty.RestoreInput(RuleSet.Read(kernel.Save())));
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Nothing_of_an_option_can_become_a_second_rule() => Prop.ForAll(AnyOptions, options =>
    {
        var input = CapturePlan.Of(options, AddressFamily.InterNetwork).RestoreInput(RuleSet.Empty);
        Assert.All(input.Split('\n')[..^1], line => Assert.Matches("^(\\*(nat|mangle)|COMMIT|:SIGNET_[A-Z_]+ - \\[0:0\\]|-[AI] [A-Z_]+ .*-j [A-Z_]+( --[a-z-]+ [^ ]+)*)$", line));
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_rule_that_is_missing_surplus_or_in_another_place_is_a_difference()
    {
        var plan = CapturePlan.Of(new CaptureOptions { ProxyUid = 1337 }, AddressFamily.InterNetwork);
        var kernel = new KernelRules();
        kernel.Restore(plan.RestoreInput(RuleSet.Empty));
        Assert.Empty(plan.DifferencesFrom(RuleSet.Read(kernel.Save())));

        kernel.Restore("*nat\n-D SIGNET_OUTPUT -o lo -j RETURN\n-A SIGNET_OUTPUT -o lo -j RETURN\nCOMMIT\n");
        Assert.Equal(["rules of SIGNET_OUTPUT in table nat stand in another order"], plan.DifferencesFrom(RuleSet.Read(kernel.Save())));

        kernel.Restore("*nat\n-D SIGNET_OUTPUT -o lo -j RETURN\n-A SIGNET_INBOUND -p tcp -m tcp --dport 22 -j RETURN\n-D OUTPUT -p tcp -j SIGNET_OUTPUT\nCOMMIT\n");
        Assert.Equal(
            ["missing nat: -A OUTPUT -p tcp -j SIGNET_OUTPUT", "missing nat: -A SIGNET_OUTPUT -o lo -j RETURN", "surplus nat: -A SIGNET_INBOUND -p tcp -m tcp --dport 22 -j RETURN"],
            plan.DifferencesFrom(RuleSet.Read(kernel.Save())));

        Assert.Contains("missing chain SIGNET_OUTPUT in table nat", plan.DifferencesFrom(RuleSet.Empty));
    }

    [Fact]
    public void Older_ways_of_writing_the_same_rule_are_no_difference()
    {
        var plan = CapturePlan.Of(new CaptureOptions { ProxyUid = 1337, Mode = CaptureMode.Tproxy }, AddressFamily.InterNetwork);
        var kernel = new KernelRules();
        kernel.Restore(plan.RestoreInput(RuleSet.Empty));
        var rewritten = kernel.Save().Replace(" --on-ip 0.0.0.0", "", StringComparison.Ordinal).Replace("-p tcp -m tcp ", "-p tcp ", StringComparison.Ordinal)
            .Replace("! -d 127.0.0.0/8 -o lo", "-o lo ! -d 127.0.0.0/8", StringComparison.Ordinal);

        Assert.Empty(plan.DifferencesFrom(RuleSet.Read(rewritten)));
        Assert.NotEmpty(plan.DifferencesFrom(RuleSet.Read(rewritten.Replace("! -d 127", "-d 127", StringComparison.Ordinal))));
    }

    [Theory]
    [InlineData("80", 80, 80)]
    [InlineData("8000-8100", 8000, 8100)]
    [InlineData("1-65535", 1, 65535)]
    public void Ports_are_numbers_or_ranges(string text, int first, int last)
    {
        Assert.True(PortRange.TryParse(text, out var range, out _));
        Assert.Equal(new PortRange(first, last), range);
        Assert.Equal(text, range.ToString());
    }

    [Theory]
    [InlineData("0")]
    [InlineData("65536")]
    [InlineData("80-")]
    [InlineData("-80")]
    [InlineData("90-80")]
    [InlineData("80,443")]
    [InlineData("http")]
    [InlineData("80 -j ACCEPT")]
    [InlineData("0000000080")]
    [InlineData("")]
    public void Other_ports_are_refused(string text)
    {
        Assert.False(PortRange.TryParse(text, out _, out var problem));
        Assert.Contains("8000-8100", problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("eth0", true)]
    [InlineData("veth12@if3", true)]
    [InlineData("docker+", true)]
    [InlineData("+", false)]
    [InlineData("", false)]
    [InlineData("-j", false)]
    [InlineData("eth0 -j ACCEPT", false)]
    [InlineData("eth0\nCOMMIT", false)]
    [InlineData("a2345678901234567", false)]
    public void Interfaces_are_names_that_cannot_be_anything_else(string text, bool isName)
    {
        Assert.Equal(isName, InterfaceName.TryParse(text, out var name, out _));
        Assert.Equal(isName ? text : "", name.ToString());
    }

    private static CaptureOptions Everything => new()
    {
        Mode = CaptureMode.Tproxy,
        ProxyUid = 7,
        ProxyGid = 8,
        InboundPort = 16006,
        OutboundPort = 16001,
        ProxyPorts = [new(9000, 9000)],
        IncludeInboundPorts = [new(80, 80), new(8000, 8100)],
        ExcludeInboundPorts = [new(22, 22)],
        IncludeOutboundPorts = [new(443, 443)],
        ExcludeOutboundPorts = [new(5432, 5432)],
        IncludeOutboundNetworks = [IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("2001:db8::/32")],
        ExcludeOutboundNetworks = [IPNetwork.Parse("10.9.0.0/16"), IPNetwork.Parse("fd00::/8")],
        ExcludeInterfaces = [Interface("docker+")],
    };

    private static Arbitrary<CaptureOptions> AnyOptions
    {
        get
        {
            var port =
                from first in Gen.Choose(1, 65000)
                from more in Gen.Choose(0, 500)
                select new PortRange(first, first + more);
            var ports = port.ListOf().Select(list => (IReadOnlyList<PortRange>)[.. list.Distinct().Take(4)]);
            var someOrAll = Gen.OneOf(Gen.Constant<IReadOnlyList<PortRange>?>(null), ports.Select(list => (IReadOnlyList<PortRange>?)list));
            var networks = Gen.Elements("10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "::1/128").ListOf().Select(list => (IReadOnlyList<IPNetwork>)[.. list.Distinct().Select(IPNetwork.Parse)]);
            return (
                from mode in Gen.Elements(CaptureMode.Redirect, CaptureMode.Tproxy)
                from uid in Gen.Choose(1, 100000)
                from gid in Gen.OneOf(Gen.Constant<uint?>(null), Gen.Choose(1, 100).Select(value => (uint?)value))
                from inbound in someOrAll
                from noInbound in ports
                from outbound in someOrAll
                from noOutbound in ports
                from to in Gen.OneOf(Gen.Constant<IReadOnlyList<IPNetwork>?>(null), networks.Select(list => (IReadOnlyList<IPNetwork>?)list))
                from notTo in networks
                from interfaces in Gen.Elements("eth1", "docker+").ListOf()
                select new CaptureOptions
                {
                    Mode = mode,
                    ProxyUid = (uint)uid,
                    ProxyGid = gid,
                    IncludeInboundPorts = inbound,
                    ExcludeInboundPorts = noInbound,
                    IncludeOutboundPorts = outbound,
                    ExcludeOutboundPorts = noOutbound,
                    IncludeOutboundNetworks = to,
                    ExcludeOutboundNetworks = notTo,
                    ExcludeInterfaces = [.. interfaces.Distinct().Select(Interface)],
                }).ToArbitrary();
        }
    }

    private static InterfaceName Interface(string text) => InterfaceName.TryParse(text, out var name, out var problem) ? name : throw new InvalidOperationException(problem);
}
