using Signet.Agent.Attestation.Workload.Containers;
using Signet.Agent.Attestation.Workload.Systemd;

namespace Signet.UnitTests.Agent.Attestation.Workload.Systemd;

public sealed class SystemdUnitTests
{
    [Theory]
    [InlineData("0::/system.slice/nginx.service", "nginx.service")]
    [InlineData("0::/init.scope", "init.scope")]
    [InlineData("0::/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service")]
    [InlineData("0::/system.slice/app.service/workers/1", "app.service")]
    [InlineData("0::/system.slice/app.service/nginx.service", "app.service")]
    [InlineData("0::/user.slice/user-1000.slice/session-3.scope", "session-3.scope")]
    [InlineData("0::/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service", "user@1000.service")]
    [InlineData("0::/system.slice/docker-abc.scope", "docker-abc.scope")]
    [InlineData("0::/system.slice/_cpu.service", "cpu.service")]
    [InlineData("0::/system.slice/dev-disk\\x2dby.mount", "dev-disk\\x2dby.mount")]
    [InlineData("4:memory:/other\n1:name=systemd:/system.slice/cron.service\n0::/", "cron.service")]
    public void The_outermost_group_below_the_slices_is_the_unit(string cgroup, string unit) => Assert.Equal(unit, Of(cgroup, out _));

    [Theory]
    [InlineData("0::/")]
    [InlineData("0::/system.slice")]
    [InlineData("0::/docker/abc")]
    [InlineData("0::/kubepods/pod1/nginx.service")]
    [InlineData("0::/system.slice/.service")]
    [InlineData("0::/system.slice/a b.service")]
    [InlineData("4:memory:/system.slice/nginx.service")]
    public void What_is_no_unit_is_none(string cgroup) => Assert.Null(Of(cgroup, out _));

    [Fact]
    public void Above_the_agents_own_namespace_nobody_knows_what_is_outermost()
    {
        Assert.Null(Of("0::/../nginx.service", out var note));
        Assert.Contains("cgroup namespace", note);
    }

    [Theory]
    [InlineData("nginx.service", "nginx_2eservice")]
    [InlineData("getty@tty1.service", "getty_40tty1_2eservice")]
    [InlineData("1.service", "_31_2eservice")]
    public void On_the_bus_a_name_is_written_with_letters_and_digits(string unit, string path) => Assert.Equal(path, SystemdUnit.ToBusPath(unit));

    private static string? Of(string cgroup, out string? note)
    {
        Assert.True(CgroupPaths.TryParse(cgroup, out var paths, out var problem), problem);
        return SystemdUnit.Of(paths, out note);
    }
}
