using Grpc.Core;

namespace Signet.UnitTests.Rpc.GrpcCore;

public sealed class MetadataTests
{
    [Fact]
    public void Names_become_lower_case_and_are_found_in_any_case()
    {
        var metadata = new Metadata { { "X-One", "1" }, { "x-one", "2" } };
        Assert.Equal("2", metadata.GetValue("X-ONE"));
        Assert.Equal(["1", "2"], metadata.GetAll("x-one").Select(entry => entry.Value));
        Assert.All(metadata, entry => Assert.Equal("x-one", entry.Key));
        Assert.Null(metadata.GetValue("x-two"));
    }

    [Theory]
    [InlineData("", "x")]
    [InlineData("a b", "x")]
    [InlineData("a:b", "x")]
    [InlineData("ä", "x")]
    [InlineData("a", "x\n")]
    [InlineData("a", "ü")]
    [InlineData("a-bin", "text")]
    public void A_name_or_value_that_could_forge_a_header_is_refused(string name, string value) =>
        Assert.Throws<ArgumentException>(() => new Metadata.Entry(name, value));

    [Fact]
    public void Bytes_need_a_name_that_says_so() => Assert.Throws<ArgumentException>(() => new Metadata.Entry("a", [1]));

    [Fact]
    public void A_value_is_not_shown() => Assert.DoesNotContain("secret", new Metadata.Entry("authorization", "Bearer secret").ToString(), StringComparison.Ordinal);

    [Fact]
    public void Text_and_bytes_are_not_mixed_up()
    {
        var binary = new Metadata.Entry("a-bin", [65]);
        Assert.True(binary.IsBinary);
        Assert.Throws<InvalidOperationException>(() => binary.Value);
        Assert.Equal([65], new Metadata.Entry("a", "A").ValueBytes);
    }
}
