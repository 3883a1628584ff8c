using Signet.Agent.Identities;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.UnitTests.Agent.Identities;

public sealed class SvidKeysTests
{
    [Fact]
    public void An_entrys_word_counts_more_than_the_agents()
    {
        var keys = new SvidKeys(KeyType.EcP384);

        Assert.Equal(KeyType.EcP384, keys.TypeFor(Entry(null)));
        Assert.Equal(KeyType.Ed25519, keys.TypeFor(Entry(KeyType.Ed25519)));
        using var key = keys.TryMake(Entry(null), out var problem);
        Assert.Empty(problem);
        Assert.Equal(KeyType.EcP384, KeyTypes.Of(KeyPair.ExportPublicKey(key!)));
    }

    [Theory]
    [InlineData(KeyType.EcP256, 200)]
    [InlineData(KeyType.Ed25519, 200)]
    [InlineData(KeyType.Rsa2048, 10)]
    [InlineData(KeyType.Rsa4096, 2)]
    public void The_longer_a_key_takes_the_fewer_are_made_before_the_first_is_handed_out(KeyType usual, int count)
    {
        var due = Enumerable.Range(0, 1000).Select(_ => Entry(null)).ToArray();
        Assert.Equal(due[..count], new SvidKeys(usual).Batch(due));
    }

    [Fact]
    public void One_slow_key_among_quick_ones_is_in_its_turn_and_nothing_due_is_nothing()
    {
        var due = Enumerable.Range(0, 150).Select(i => Entry(i is 0 or 120 ? KeyType.Rsa4096 : null)).ToArray();
        Assert.Equal(101, new SvidKeys(KeyType.EcP256).Batch(due).Length);
        Assert.Empty(new SvidKeys(KeyType.EcP256).Batch([]));
    }

    private static RegistrationEntry Entry(KeyType? keyType) => new()
    {
        Id = "e",
        SpiffeId = SpiffeId.Parse("spiffe://example.org/web"),
        ParentId = SpiffeId.Parse("spiffe://example.org/agent"),
        Selectors = [],
        Template = keyType is null ? SvidTemplate.None : new SvidTemplate { KeyType = keyType },
    };
}
