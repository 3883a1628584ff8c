using System.Net.Sockets;
using Signet.Proxy.Capture;

namespace Signet.UnitTests.Proxy.Capture;

public sealed class CaptureInstallerTests
{
    private static readonly CaptureOptions Redirect = new() { ProxyUid = 1337 };
    private static readonly CaptureOptions Tproxy = new() { ProxyUid = 1337, Mode = CaptureMode.Tproxy };
    private static readonly AddressFamily[] Both = [AddressFamily.InterNetwork, AddressFamily.InterNetworkV6];

    [Fact]
    public async Task Installs_shows_no_drift_and_removes_without_a_trace()
    {
        foreach (var options in new[] { Redirect, Tproxy })
        {
            var machine = new Machine();
            var untouched = machine.ToString();
            var installer = new CaptureInstaller(machine.RunAsync);

            await installer.InstallAsync(options, Both, CancellationToken.None);
            var once = machine.ToString();
            await installer.InstallAsync(options, Both, CancellationToken.None);
            Assert.Equal(once, machine.ToString());
            Assert.NotEqual(untouched, once);
            foreach (var family in Both)
            {
                Assert.Empty((await installer.ReadAsync(family, CancellationToken.None)).DifferencesFrom(options));
            }

            Assert.True(await installer.RemoveAsync(Both, CancellationToken.None));
            Assert.Equal(untouched, machine.ToString());
            Assert.False(await installer.RemoveAsync(Both, CancellationToken.None));
        }
    }

    [Fact]
    public async Task Going_from_one_mode_to_the_other_leaves_nothing_of_the_first()
    {
        var (changed, fresh) = (new Machine(), new Machine());
        await new CaptureInstaller(changed.RunAsync).InstallAsync(Tproxy, Both, CancellationToken.None);
        var drift = (await new CaptureInstaller(changed.RunAsync).ReadAsync(AddressFamily.InterNetwork, CancellationToken.None)).DifferencesFrom(Redirect);
        Assert.Contains("surplus route in table 133", drift);
        await new CaptureInstaller(changed.RunAsync).InstallAsync(Redirect, Both, CancellationToken.None);
        await new CaptureInstaller(fresh.RunAsync).InstallAsync(Redirect, Both, CancellationToken.None);

        Assert.Equal(fresh.ToString(), changed.ToString());
    }

    [Fact]
    public async Task Rules_that_one_family_refuses_are_installed_for_neither()
    {
        var machine = new Machine { Failing = call => call.Program == "ip6tables-restore" ? "Extension owner revision 0 not supported, missing kernel module?" : null };
        var failure = await Assert.ThrowsAsync<CaptureException>(() => new CaptureInstaller(machine.RunAsync).InstallAsync(Redirect, Both, CancellationToken.None));

        Assert.Contains("ip6tables-restore --noflush --wait=5 --test failed with exit code 1", failure.Message, StringComparison.Ordinal);
        Assert.Contains("modprobe", failure.Hint, StringComparison.Ordinal);
        Assert.Equal(new Machine().ToString(), machine.ToString());
    }

    [Fact]
    public async Task What_fails_halfway_says_which_family_goes_around_the_proxy()
    {
        var machine = new Machine { Failing = call => call.Program == "ip6tables-restore" && !call.Arguments.Contains("--test") ? "line 2: RULE_APPEND failed (No such file or directory)" : null };
        var failure = await Assert.ThrowsAsync<CaptureException>(() => new CaptureInstaller(machine.RunAsync).InstallAsync(Redirect, Both, CancellationToken.None));

        Assert.StartsWith("IPv4 is captured, IPv6 is not and goes around the proxy", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("iptables v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)", "CAP_NET_ADMIN")]
    [InlineData("iptables v1.8.7 (legacy): can't initialize iptables table `nat': Table does not exist (do you need to insmod?)", "modprobe")]
    [InlineData("Error: Nexthop device is not up.", "ip link set lo up")]
    [InlineData("Another app is currently holding the xtables lock", "try again")]
    [InlineData("something new", "--dry-run")]
    public async Task What_the_programs_say_becomes_a_hint(string said, string hint)
    {
        var machine = new Machine { Failing = _ => said };
        var failure = await Assert.ThrowsAsync<CaptureException>(() => new CaptureInstaller(machine.RunAsync).RemoveAsync(Both, CancellationToken.None));

        Assert.Contains(said, failure.Message, StringComparison.Ordinal);
        Assert.Contains(hint, failure.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_that_is_not_installed_is_named_with_its_package()
    {
        var failure = await Assert.ThrowsAsync<CaptureException>(() => new ToolRunner(TimeProvider.System).RunAsync(new ToolCall("signet-has-no-such-program", []), CancellationToken.None));
        Assert.Contains("signet-has-no-such-program is not installed", failure.Message, StringComparison.Ordinal);
        Assert.Contains("package iptables", failure.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_gets_its_arguments_and_input_as_they_are()
    {
        var answer = await new ToolRunner(TimeProvider.System).RunAsync(new ToolCall("sed", ["-n", "s/a b/$HOME;&/p"], "a b\nc\n"), CancellationToken.None);
        Assert.Equal(new ToolAnswer(0, "$HOME;a b\n", ""), answer);
    }

    /// <summary>A machine whose programs behave.</summary>
    private sealed class Machine
    {
        private readonly Dictionary<string, KernelRules> _rules = new() { ["ip"] = new KernelRules(), ["ip6"] = new KernelRules() };
        private readonly SortedSet<string> _routing = [];

        public Func<ToolCall, string?> Failing { get; init; } = _ => null;

        public Task<ToolAnswer> RunAsync(ToolCall call, CancellationToken cancellationToken)
        {
            if (Failing(call) is { } error)
            {
                return Task.FromResult(new ToolAnswer(1, "", error));
            }

            var family = call.Program.StartsWith("ip6", StringComparison.Ordinal) ? "ip6" : "ip";
            switch (call.Program)
            {
                case "iptables-save" or "ip6tables-save":
                    return Answer(_rules[family].Save());
                case "iptables-restore" or "ip6tables-restore":
                    Assert.Equal("--noflush", call.Arguments[0]);
                    if (!call.Arguments.Contains("--test"))
                    {
                        _rules[family].Restore(call.Input);
                    }

                    return Answer("");
                default:
                    return Route(string.Join(' ', call.Arguments));
            }
        }

        public override string ToString() => _rules["ip"].Save() + _rules["ip6"].Save() + string.Join('\n', _routing);

        private Task<ToolAnswer> Route(string arguments)
        {
            var (family, rest) = (arguments[..2], arguments[3..]);
            switch (rest)
            {
                case "rule show":
                    return Answer(string.Join('\n', _routing.Where(line => line.StartsWith(family + " rule", StringComparison.Ordinal)).Select(_ => "32765:\tfrom all fwmark 0x539/0xfff lookup 133")));
                case "route show table 133":
                    return _routing.Any(line => line.StartsWith(family + " route", StringComparison.Ordinal)) ? Answer("local default dev lo scope host ") : Task.FromResult(new ToolAnswer(2, "", "Error: ipv4: FIB table does not exist."));
                case "rule add fwmark 0x539/0xfff lookup 133" or "route add local default dev lo table 133":
                    Assert.True(_routing.Add($"{family} {rest.Split(' ')[0]}"), arguments);
                    return Answer("");
                case "rule delete fwmark 0x539/0xfff lookup 133" or "route delete local default dev lo table 133":
                    Assert.True(_routing.Remove($"{family} {rest.Split(' ')[0]}"), arguments);
                    return Answer("");
                default:
                    throw new InvalidOperationException(arguments);
            }
        }

        private static Task<ToolAnswer> Answer(string output) => Task.FromResult(new ToolAnswer(0, output, ""));
    }
}
