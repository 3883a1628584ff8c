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

        Assert.Equal("READY=1\nMAINPID=42", Hear());
        clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal("WATCHDOG=1", Hear());
        termination.Request();
        Assert.Equal("STOPPING=1", Hear());
        Assert.Equal(0, await running);
    }

    [Fact]
    public async Task Hears_nothing_of_the_end_of_a_process_that_another_has_succeeded()
    {
        var name = _folder.File("notify");
        _systemd.Bind(new UnixDomainSocketEndPoint(name));
        var manager = new ServiceManager(new Dictionary<string, string> { ["NOTIFY_SOCKET"] = name }, 42);
        using var termination = new Termination();
        var succeeded = new TaskCompletionSource();
        var readiness = new ReadinessBoard();
        var running = DaemonHost.RunAsync(new Daemon("proxy", readiness, manager, new ManualTimeProvider(), NullLoggerFactory.Instance) { Succeeded = succeeded.Task }, [], termination);
        Assert.Equal("READY=1\nMAINPID=42", Hear());

        succeeded.SetResult();

        Assert.Equal(0, await running);
        Assert.Equal(0, _systemd.Available);
        Assert.True(readiness.IsReady, "the service is");
    }

    [Fact]
    public async Task Hears_nothing_of_a_process_that_could_not_start()
    {
        var name = _folder.File("notify");
        _systemd.Bind(new UnixDomainSocketEndPoint(name));
        var manager = new ServiceManager(new Dictionary<string, string> { ["NOTIFY_SOCKET"] = name }, 42);
        using var termination = new Termination();

        Assert.Equal(1, await DaemonHost.RunAsync(new Daemon("proxy", new ReadinessBoard(), manager, new ManualTimeProvider(), NullLoggerFactory.Instance), [new CannotStart()], termination));

        Assert.Equal(0, _systemd.Available);
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

    private sealed class CannotStart : IDaemonPart
    {
        public string Name => "broken";

        public Task Completion => Task.CompletedTask;

        public Task StartAsync(CancellationToken cancellationToken) => throw new IOException("cannot listen on 127.0.0.1:1");

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
