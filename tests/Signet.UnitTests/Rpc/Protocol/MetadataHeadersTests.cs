using FsCheck;
using FsCheck.Fluent;
using Grpc.Core;
using Signet.Rpc.Protocol;

namespace Signet.UnitTests.Rpc.Protocol;

public sealed class MetadataHeadersTests
{
    [Fact]
    public void Bytes_survive_the_way_through_a_header() => Prop.ForAll<byte[]>(bytes =>
    {
        var received = new Metadata();
        return MetadataHeaders.TryAdd(received, "x-bin", MetadataHeaders.ValueOf(new Metadata.Entry("x-bin", bytes)))
            && received.GetValueBytes("x-bin")!.SequenceEqual(bytes);
    }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData("AAE", 1)]
    [InlineData("AAE=", 1)]
    [InlineData("AAE=,AAE", 2)]
    [InlineData("", 1)]
    public void Reads_base64_with_and_without_padding_and_several_in_one(string value, int expected)
    {
        var metadata = new Metadata();
        Assert.True(MetadataHeaders.TryAdd(metadata, "x-bin", value));
        Assert.Equal(expected, metadata.Count);
    }

    [Theory]
    [InlineData("x-bin", "!")]
    [InlineData("x-bin", "A")]
    [InlineData("x-bin", "AAE=,*")]
    [InlineData("x", "tab\there")]
    [InlineData("x", "ümlaut")]
    [InlineData("bad name", "x")]
    [InlineData("bad\nname", "x")]
    public void Refuses_what_no_peer_may_send(string name, string value)
    {
        var metadata = new Metadata();
        Assert.False(MetadataHeaders.TryAdd(metadata, name, value));
        Assert.Empty(metadata);
    }

    [Theory]
    [InlineData("grpc-status")]
    [InlineData("grpc-timeout")]
    [InlineData("Content-Type")]
    [InlineData("te")]
    [InlineData(":path")]
    public void The_protocols_own_names_are_not_metadata(string name)
    {
        var metadata = new Metadata();
        Assert.True(MetadataHeaders.TryAdd(metadata, name, "x"));
        Assert.Empty(metadata);
        Assert.True(MetadataHeaders.IsReserved(name));
    }

    [Fact]
    public void Error_details_are_metadata()
    {
        var metadata = new Metadata();
        Assert.True(MetadataHeaders.TryAdd(metadata, "grpc-status-details-bin", "AAE"));
        Assert.Equal([0, 1], metadata.GetValueBytes("grpc-status-details-bin"));
    }

    [Fact]
    public void Never_throws() => Prop.ForAll<string, string>((name, value) =>
    {
        MetadataHeaders.TryAdd([], name ?? "", value ?? "");
        MetadataHeaders.TryAdd([], (name ?? "") + "-bin", value ?? "");
        return true;
    }).QuickCheckThrowOnFailure();
}
