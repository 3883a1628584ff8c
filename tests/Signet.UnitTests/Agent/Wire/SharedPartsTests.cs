using Signet.Agent.Wire;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.UnitTests.Agent.Wire;

public sealed class SharedPartsTests
{
    private readonly SharedParts _parts = new();

    private static readonly DateTimeOffset Created = DateTimeOffset.UnixEpoch.AddYears(50);

    [Fact]
    public void Entries_share_what_they_have_in_common_and_stay_what_they_are()
    {
        var (one, other) = (_parts.Share(Entry("one", "production"), Created), _parts.Share(Entry("other", "production"), Created));
        Assert.Same(one.ParentId, other.ParentId);
        Assert.Same(one.Selectors[0].Type, other.Selectors[0].Type);
        Assert.Same(one.Selectors[0].Value, other.Selectors[0].Value);
        Assert.Empty(one.DifferencesFrom(Entry("one", "production")));
    }

    [Fact]
    public void What_differs_stays_different()
    {
        var (one, other) = (_parts.Share(Entry("one", "production"), Created), _parts.Share(Entry("one", "test"), Created));
        Assert.Equal(["selectors"], other.DifferencesFrom(one).Select(difference => difference.Field));
    }

    private static RegistrationEntry Entry(string name, string value) => new()
    {
        Id = name,
        SpiffeId = SpiffeId.Parse($"spiffe://example.org/{name}"),
        ParentId = SpiffeId.Parse("spiffe://example.org/agent"),
        Selectors = [new Selector(string.Concat("k", "8s"), string.Concat("ns:", value))],
    };
}
