using Signet.Proxy;

namespace Signet.UnitTests.Proxy;

public sealed class RefusalsTests
{
    [Fact]
    public void Every_reason_has_a_stage_a_status_and_a_public_code()
    {
        foreach (var reason in Enum.GetValues<RefusalReason>())
        {
            Assert.NotEmpty(Refusals.StageOf(reason));
            Assert.InRange(Refusals.Status(reason), 400, 504);
            Assert.Matches("^[a-z_]+$", Refusals.PublicCode(reason));
        }
    }

    [Fact]
    public void Every_reason_is_explained_to_operators_and_no_other_is()
    {
        var documented = RepositoryFolder.Read("docs", "reference", "refusals.md").Split('\n')
            .Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .Select(line => line.Split('`')[1]);

        Assert.Equal(Enum.GetNames<RefusalReason>().Order(), documented.Order());
    }
}
