using System.Globalization;
using System.Net.Sockets;

namespace Signet.Proxy.Capture;

/// <summary>What of capture is in the kernel, for one address family.</summary>
/// <param name="Family">IPv4 or IPv6.</param>
/// <param name="Rules">Our chains and the ways into them.</param>
/// <param name="HasRule">Whether marked packets are looked up in our routing table.</param>
/// <param name="HasRoute">Whether that table keeps them on this machine.</param>
public sealed record CaptureState(AddressFamily Family, RuleSet Rules, bool HasRule, bool HasRoute)
{
    public bool IsEmpty => Rules.IsEmpty && !HasRule && !HasRoute;

    /// <summary>How this differs from what the options ask for, in sentences; empty when it does not.</summary>
    public IReadOnlyList<string> DifferencesFrom(CaptureOptions options)
    {
        var differences = CapturePlan.Of(options, Family).DifferencesFrom(Rules).ToList();
        var wanted = options.Mode == CaptureMode.Tproxy;
        if (HasRule != wanted)
        {
            differences.Add($"{(wanted ? "missing" : "surplus")} routing rule for mark {CapturePlan.TproxyMark}");
        }

        if (HasRoute != wanted)
        {
            differences.Add($"{(wanted ? "missing" : "surplus")} route in table {CapturePlan.RouteTable}");
        }

        return differences;
    }
}

/// <summary>
/// Brings the kernel's rules to where a plan wants them, through iptables-restore and ip. Doing it again changes nothing; removing leaves
/// nothing. Whoever runs it needs CAP_NET_ADMIN in the network namespace.
/// </summary>
/// <param name="run">Runs a program.</param>
public sealed class CaptureInstaller(Func<ToolCall, CancellationToken, Task<ToolAnswer>> run)
{
    /// <summary>What is installed now.</summary>
    /// <exception cref="CaptureException">It can't be read.</exception>
    public async Task<CaptureState> ReadAsync(AddressFamily family, CancellationToken cancellationToken)
    {
        var saved = await RequireAsync(new ToolCall(Name(family, "tables-save"), []), cancellationToken).ConfigureAwait(false);
        var rules = await RequireAsync(Ip(family, "rule", "show"), cancellationToken).ConfigureAwait(false);

        // A table that nobody has put a route into does not exist, which is an error to ip.
        var routes = await run(Ip(family, "route", "show", "table", CapturePlan.RouteTable), cancellationToken).ConfigureAwait(false);
        return new CaptureState(family, RuleSet.Read(saved), rules.Contains($"fwmark {CapturePlan.TproxyMark} lookup {CapturePlan.RouteTable}", StringComparison.Ordinal), routes.Output.Contains("local default dev lo", StringComparison.Ordinal));
    }

    /// <summary>Everything that is to be run so that the options hold, in this order, when <paramref name="state"/> is installed. Pure.</summary>
    public static IReadOnlyList<ToolCall> InstallCalls(CaptureOptions options, CaptureState state)
    {
        var calls = new List<ToolCall>();
        var wanted = options.Mode == CaptureMode.Tproxy;
        if (wanted && !state.HasRoute)
        {
            calls.Add(Route(state.Family, "add"));
        }

        if (wanted && !state.HasRule)
        {
            calls.Add(Rule(state.Family, "add"));
        }

        calls.Add(Restore(state.Family, CapturePlan.Of(options, state.Family).RestoreInput(state.Rules)));
        return wanted ? calls : [.. calls, .. UnrouteCalls(state)];
    }

    /// <summary>Everything that is to be run so that nothing of <paramref name="state"/> remains. Pure.</summary>
    public static IReadOnlyList<ToolCall> RemoveCalls(CaptureState state) =>
        state.Rules.IsEmpty ? UnrouteCalls(state) : [Restore(state.Family, RuleSet.Empty.RestoreInput(state.Rules)), .. UnrouteCalls(state)];

    /// <summary>Installs for all families, after each has been tried without effect, so that a mistake in one does not leave the other alone.</summary>
    /// <exception cref="CaptureException">It failed; the message says what is installed now.</exception>
    public async Task InstallAsync(CaptureOptions options, IReadOnlyList<AddressFamily> families, CancellationToken cancellationToken)
    {
        var calls = new List<(AddressFamily Family, IReadOnlyList<ToolCall> Calls)>();
        foreach (var family in families)
        {
            calls.Add((family, InstallCalls(options, await ReadAsync(family, cancellationToken).ConfigureAwait(false))));
        }

        foreach (var restore in calls.SelectMany(of => of.Calls).Where(call => call.Input.Length > 0))
        {
            await RequireAsync(restore with { Arguments = [.. restore.Arguments, "--test"] }, cancellationToken).ConfigureAwait(false);
        }

        for (var i = 0; i < calls.Count; i++)
        {
            try
            {
                await RunAllAsync(calls[i].Calls, cancellationToken).ConfigureAwait(false);
            }
            catch (CaptureException e) when (i > 0)
            {
                throw new CaptureException($"{Name(calls[0].Family)} is captured, {Name(calls[i].Family)} is not and goes around the proxy: {e.Message}", e.Hint);
            }
        }
    }

    /// <summary>Removes everything of ours, whatever options it was installed with.</summary>
    /// <returns>Whether there was anything.</returns>
    /// <exception cref="CaptureException">It failed.</exception>
    public async Task<bool> RemoveAsync(IReadOnlyList<AddressFamily> families, CancellationToken cancellationToken)
    {
        var any = false;
        foreach (var family in families)
        {
            var state = await ReadAsync(family, cancellationToken).ConfigureAwait(false);
            any |= !state.IsEmpty;
            await RunAllAsync(RemoveCalls(state), cancellationToken).ConfigureAwait(false);
        }

        return any;
    }

    /// <summary>As people call it.</summary>
    public static string Name(AddressFamily family) => family == AddressFamily.InterNetworkV6 ? "IPv6" : "IPv4";

    private static string Name(AddressFamily family, string rest) => (family == AddressFamily.InterNetworkV6 ? "ip6" : "ip") + rest;

    private static ToolCall Restore(AddressFamily family, string input) => new(Name(family, "tables-restore"), ["--noflush", "--wait=5"], input);

    private static ToolCall Ip(AddressFamily family, params IReadOnlyList<string> arguments) => new("ip", [family == AddressFamily.InterNetworkV6 ? "-6" : "-4", .. arguments]);

    private static ToolCall Rule(AddressFamily family, string verb) => Ip(family, "rule", verb, "fwmark", CapturePlan.TproxyMark, "lookup", CapturePlan.RouteTable);

    private static ToolCall Route(AddressFamily family, string verb) => Ip(family, "route", verb, "local", "default", "dev", "lo", "table", CapturePlan.RouteTable);

    private static List<ToolCall> UnrouteCalls(CaptureState state)
    {
        var calls = new List<ToolCall>();
        if (state.HasRule)
        {
            calls.Add(Rule(state.Family, "delete"));
        }

        if (state.HasRoute)
        {
            calls.Add(Route(state.Family, "delete"));
        }

        return calls;
    }

    private async Task RunAllAsync(IReadOnlyList<ToolCall> calls, CancellationToken cancellationToken)
    {
        foreach (var call in calls)
        {
            await RequireAsync(call, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<string> RequireAsync(ToolCall call, CancellationToken cancellationToken)
    {
        var answer = await run(call, cancellationToken).ConfigureAwait(false);
        return answer.Exit == 0 ? answer.Output : throw Explain(call, answer);
    }

    /// <summary>Turns what the programs say into what to do.</summary>
    private static CaptureException Explain(ToolCall call, ToolAnswer answer)
    {
        var said = string.Join("; ", answer.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
        var message = string.Create(CultureInfo.InvariantCulture, $"{call} failed with exit code {answer.Exit}: {(said.Length > 0 ? said : "it said nothing")}");
        return new CaptureException(message, Says("must be root", "Permission denied", "Operation not permitted") ? "run as root, or with the capability CAP_NET_ADMIN, in the network namespace of the workload"
            : Says("insmod", "missing kernel module", "No chain/target/match", "No such file or directory", "not supported", "Table does not exist")
                ? "the kernel lacks a module; try: modprobe -a xt_REDIRECT xt_owner xt_tcpudp nf_nat" + (call.Input.Contains("TPROXY", StringComparison.Ordinal) ? " xt_TPROXY xt_socket xt_mark" : "")
            : Says("device is not up", "Network is down") ? "the loopback interface is down; run: ip link set lo up"
            : Says("Another app", "xtables lock", "RULE_DELETE", "Bad rule") ? "another program is changing the rules at this moment; try again"
            : "look at the rules with: signet capture install … --dry-run");

        bool Says(params ReadOnlySpan<string> words)
        {
            foreach (var word in words)
            {
                if (said.Contains(word, StringComparison.OrdinalIgnoreCase))
                {
                    return true;
                }
            }

            return false;
        }
    }
}
