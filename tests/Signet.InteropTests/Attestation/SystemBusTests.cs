using Signet.Agent.Attestation.Workload.Systemd;
using Signet.Hosting;
using Signet.InteropTests.Rpc;
using Signet.Testing;

namespace Signet.InteropTests.Attestation;

/// <summary>A message bus and a service on it that others wrote.</summary>
public sealed class SystemBusTests
{
    [Fact]
    public async Task A_units_file_is_asked_for_over_the_daemon_that_systems_run()
    {
        using var folder = new TestFolder();
        var socket = folder.File("bus.sock");
        await File.WriteAllTextAsync(folder.File("bus.conf"), $"""
            <!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
            <busconfig>
              <type>custom</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
              <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
            </busconfig>
            """);
        using var daemon = Peer.Start(Peer.Require("/usr/bin/dbus-daemon", "dbus-daemon"), folder.Path, $"--config-file={folder.File("bus.conf")}", "--nofork", "--nopidfile");
        try
        {
            await Eventually.IsTrueAsync(() => File.Exists(socket), "the bus");
            var bus = new SystemBus(socket, NativeUser.EffectiveId(), TimeProvider.System);
            var nobody = await Assert.ThrowsAsync<SystemBusException>(() => bus.UnitTextAsync("getty@tty1.service", "FragmentPath", CancellationToken.None));
            Assert.Contains("org.freedesktop.DBus.Error.ServiceUnknown", nobody.Message);

            using var systemd = Peer.Start(
                Peer.Require("/usr/bin/python3", "python3-dbus python3-gi"), folder.Path, Path.Combine(Peer.Scripts, "systemd_bus.py"), socket, "getty@tty1.service", "/lib/systemd/system/getty@.service");
            try
            {
                Assert.Equal("ready", await systemd.StandardOutput.ReadLineAsync().WaitAsync(Peer.Patience));
                Assert.Equal("/lib/systemd/system/getty@.service", await bus.UnitTextAsync("getty@tty1.service", "FragmentPath", CancellationToken.None));
                Assert.Equal("getty@tty1.service", await bus.UnitTextAsync("getty@tty1.service", "Id", CancellationToken.None));
                var unknown = await Assert.ThrowsAsync<SystemBusException>(() => bus.UnitTextAsync("other.service", "Id", CancellationToken.None));
                Assert.Contains("org.freedesktop.DBus.Error.UnknownMethod", unknown.Message);
            }
            finally
            {
                Peer.Kill(systemd);
            }
        }
        finally
        {
            Peer.Kill(daemon);
        }
    }
}
