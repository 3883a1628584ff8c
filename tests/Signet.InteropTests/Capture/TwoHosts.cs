using System.Text;
using Signet.Cli.Demo;
using Signet.InteropTests.Rpc;
using Signet.Testing;

namespace Signet.InteropTests.Capture;

/// <summary>Two hosts and a cable between them that is listened to. Everything is gone afterwards, whatever happened.</summary>
internal sealed class TwoHosts : IAsyncDisposable
{
    private readonly TestFolder _folder = new();
    private readonly string _cable;
    private DemoProcess? _sniffer;
    private int _sniffs;

    private TwoHosts()
    {
        var id = Guid.NewGuid().ToString("N")[..6];
        _cable = $"sg{id}";
        System.IO.File.SetUnixFileMode(_folder.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        Web = new Host("web", $"signet-{id}-web", _folder.File("web"));
        Orders = new Host("orders", $"signet-{id}-orders", _folder.File("orders"));
    }

    public TestAuthority Authority { get; } = new(DateTimeOffset.UtcNow);

    public Host Web { get; }

    public Host Orders { get; }

    /// <summary>Why this can't be shown on this machine; null when it can.</summary>
    public static async Task<string?> ObstacleAsync()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return "network namespaces and rules need root";
        }

        foreach (var (program, package) in new[] { ("ip", "iproute2"), ("iptables-restore", "iptables"), ("ip6tables-restore", "iptables"), ("setpriv", "util-linux"), ("curl", "curl"), (PythonStubs.Python, "python3") })
        {
            if (Signet.Proxy.Capture.ToolRunner.Find(program) is null)
            {
                return $"{program} is missing; install the package {package}";
            }
        }

        var probe = $"signet-probe-{Guid.NewGuid():N}";
        var (exit, output) = await Host.ExecAsync("ip", ["netns", "add", probe]);
        if (exit != 0)
        {
            return $"the kernel makes no network namespaces: {output}";
        }

        await Host.ExecAsync("ip", ["-n", probe, "link", "set", "lo", "up"]);
        (exit, output) = await Host.ExecAsync("ip", ["netns", "exec", probe, DemoLayout.OwnProgram, "capture", "install", "--proxy-uid", "1", "--mode", "tproxy"]);
        await Host.ExecAsync("ip", ["netns", "delete", probe]);
        return exit == 0 ? null : $"the kernel takes no rules: {output}";
    }

    public static async Task<TwoHosts> StartAsync()
    {
        var hosts = new TwoHosts();
        try
        {
            await hosts.PlugAsync();
            return hosts;
        }
        catch
        {
            await hosts.DisposeAsync();
            throw;
        }
    }

    /// <summary>Listens to the cable from now on.</summary>
    public async Task ListenAsync()
    {
        var name = $"sniffer-{++_sniffs}";
        _sniffer = Web.Start(name, [PythonStubs.Python, Path.Combine(Peer.Scripts, "sniff.py"), $"{_cable}w", _folder.File($"{name}.bytes")]);
        await Eventually.IsTrueAsync(() => System.IO.File.ReadAllText(Web.File($"{name}.log")).Contains("sniffing", StringComparison.Ordinal), "the sniffer");
    }

    /// <summary>Everything that passed the cable since <see cref="ListenAsync"/>, as text.</summary>
    public async Task<string> HeardAsync()
    {
        await _sniffer!.StopAsync();
        return Encoding.Latin1.GetString(await System.IO.File.ReadAllBytesAsync(_folder.File($"sniffer-{_sniffs}.bytes")));
    }

    public async ValueTask DisposeAsync()
    {
        await Web.DisposeAsync();
        await Orders.DisposeAsync();
        _folder.Dispose();
    }

    private async Task PlugAsync()
    {
        foreach (var host in new[] { Web, Orders })
        {
            var (exit, output) = await Host.ExecAsync("ip", ["netns", "add", host.Namespace]);
            Assert.True(exit == 0, output);
            await host.RunAsync("ip", "link", "set", "lo", "up");
        }

        await Web.RunAsync("ip", "link", "add", $"{_cable}w", "type", "veth", "peer", "name", $"{_cable}o", "netns", Orders.Namespace);
        foreach (var (host, device, own, other) in new[] { (Web, $"{_cable}w", 1, 2), (Orders, $"{_cable}o", 2, 1) })
        {
            await host.RunAsync("ip", "address", "add", $"10.231.0.{own}/24", "dev", device);
            await host.RunAsync("ip", "-6", "address", "add", $"fd00:231::{own}/64", "dev", device, "nodad");
            await host.RunAsync("ip", "link", "set", device, "up");
            await host.RunAsync("ip", "route", "add", "default", "via", $"10.231.0.{other}");
            await host.RunAsync("ip", "-6", "route", "add", "default", "via", $"fd00:231::{other}", "dev", device);
        }

        await Eventually.IsTrueAsync(async () => !(await Orders.RunAsync("ip", "-6", "address", "show", "tentative")).Contains("inet6", StringComparison.Ordinal), "the addresses");
    }
}
