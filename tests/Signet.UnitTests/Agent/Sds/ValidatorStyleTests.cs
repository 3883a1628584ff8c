using Google.Protobuf.WellKnownTypes;
using Signet.Agent.Sds;
using Signet.Rpc.Wire.Envoy.Core;
using Signet.Rpc.Wire.Envoy.Type;

namespace Signet.UnitTests.Agent.Sds;

public sealed class ValidatorStyleTests
{
    [Fact]
    public void A_client_that_says_nothing_gets_either() => Assert.Equal(ValidatorStyle.Either, ValidatorStyles.Of(null));

    [Fact]
    public void Another_program_than_Envoy_gets_either() => Assert.Equal(ValidatorStyle.Either, ValidatorStyles.Of(new Node { Id = "n", UserAgentName = "mosn" }));

    [Theory]
    [InlineData(1, 17, false)]
    [InlineData(1, 18, true)]
    [InlineData(1, 37, true)]
    [InlineData(2, 0, true)]
    public void Envoy_knows_the_SPIFFE_validator_since_1_18(uint major, uint minor, bool knows) =>
        Assert.Equal(knows ? ValidatorStyle.Spiffe : ValidatorStyle.Plain, ValidatorStyles.Of(Envoy(major, minor)));

    [Fact]
    public void What_it_was_built_with_counts_more_than_its_version()
    {
        var without = Envoy(1, 37);
        without.Extensions.Add(new Extension { Name = "envoy.filters.http.router" });
        Assert.Equal(ValidatorStyle.Plain, ValidatorStyles.Of(without));
        var with = Envoy(1, 17);
        with.Extensions.Add(new Extension { Name = ValidatorStyles.SpiffeValidator });
        Assert.Equal(ValidatorStyle.Spiffe, ValidatorStyles.Of(with));
    }

    [Fact]
    public void Turned_off_in_the_metadata_it_is_off()
    {
        var node = Envoy(1, 37);
        node.Metadata = new Struct { Fields = { [ValidatorStyles.TurnedOff] = Value.ForBool(true) } };
        Assert.Equal(ValidatorStyle.Plain, ValidatorStyles.Of(node));
        node.Metadata.Fields[ValidatorStyles.TurnedOff] = Value.ForString("true");
        Assert.Equal(ValidatorStyle.Plain, ValidatorStyles.Of(node));
        node.Metadata.Fields[ValidatorStyles.TurnedOff] = Value.ForBool(false);
        Assert.Equal(ValidatorStyle.Spiffe, ValidatorStyles.Of(node));
    }

    private static Node Envoy(uint major, uint minor) => new()
    {
        UserAgentName = "envoy",
        UserAgentBuildVersion = new BuildVersion { Version = new SemanticVersion { MajorNumber = major, MinorNumber = minor } },
    };
}
