using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Hosting.Admin;
using Signet.Hosting.Daemons;
using Signet.Testing;

namespace Signet.FunctionalTests.Hosting.Daemons;

public sealed class ServiceManagerTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly Socket _systemd = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = 30_000 };

    public void Dispose()
    {
        _systemd.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Hears_when_a_daemon_starts_lives_and_stops(bool isAbstract)
    {
        var name = isAbstract ? $"@signet-{Guid.NewGuid()}" : _folder.File("notify");
        _systemd.Bind(new UnixDomainSocketEndPoint(isAbstract ? "\0" + name[1..] : name));
        var manager = new ServiceManager(new Dictionary<string, string> { ["NOTIFY_SOCKET"] = name, ["WATCHDOG_USEC"] = "10000000" }, 42);
        var clock = new ManualTimeProvider();
        using var termination = new Termination();
        var running = DaemonHost.RunAsync(new Daemon("server", new ReadinessBoard(), manager, clock, NullLoggerFactory.Instance), [], termination);

        Assert.Equal("READY=1", Hear());
        clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal("WATCHDOG=1", Hear());
        termination.Request();
        Assert.Equal("STOPPING=1", Hear());
        Assert.Equal(0, await running);
    }

    [Fact]
    public void Does_not_hurt_a_daemon_by_its_absence()
    {
        new ServiceManager(new Dictionary<string, string> { ["NOTIFY_SOCKET"] = _folder.File("nobody") }, 42).Ready();
        new ServiceManager(new Dictionary<string, string>(), 42).Ready();
    }

    private string Hear()
    {
        var buffer = new byte[256];
        return Encoding.UTF8.GetString(buffer, 0, _systemd.Receive(buffer));
    }
}
