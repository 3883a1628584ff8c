using Signet.Agent.Attestation.Workload;
using Signet.Identity.Registration;

namespace Signet.UnitTests.Agent.Attestation.Workload;

public sealed class LoggedSelectorsTests
{
    [Fact]
    public void What_a_containers_environment_holds_is_nobodys_to_read_in_a_log() => Assert.Equal(
        "docker:env:EMPTY docker:env:PASSWORD=... docker:label:a=b:c unix:uid:0",
        LoggedSelectors.Of([new("unix", "uid:0"), new("docker", "env:PASSWORD=secret=1"), new("docker", "env:EMPTY"), new("docker", "label:a=b:c")]));

    [Fact]
    public void What_somebody_wrote_on_a_container_cannot_forge_lines() =>
        Assert.All(LoggedSelectors.Of([new("docker", "label:a:b\n2026-01-01 info \u001b[2J")]), c => Assert.InRange(c, ' ', '~'));

    [Fact]
    public void A_container_with_many_labels_does_not_fill_the_log()
    {
        var text = LoggedSelectors.Of([.. Enumerable.Range(0, 1000).Select(i => new Selector("docker", $"label:{i}:x"))]);
        Assert.EndsWith($"and {1000 - LoggedSelectors.Max} more", text);
        Assert.Equal(LoggedSelectors.Max + 3, text.Split(' ').Length);
    }
}
