using System.Collections.Immutable;
using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Signet.Rpc.Wire.Istio.Mcp;
using Signet.Server.ControlPlane.Mcp;

namespace Signet.UnitTests.Server.ControlPlane.Mcp;

public sealed class McpSubscriptionTests
{
    private static readonly Dictionary<string, string> Nothing = [];

    [Fact]
    public void A_sink_that_takes_differences_ends_with_what_there_is_whatever_changes_and_whatever_it_refuses()
    {
        var collection = Gen.Choose(0, 9).SelectMany(i => Gen.Choose(1, 3).Select(version => ($"ns/{i}", $"v{version}"))).ListOf()
            .Select(list => list.DistinctBy(one => one.Item1).ToDictionary(one => one.Item1, one => one.Item2));
        var steps = collection.SelectMany(one => Gen.Elements(true, true, false).Select(accepts => (one, accepts))).NonEmptyListOf();
        Prop.ForAll(steps.ToArbitrary(), all =>
        {
            var subscription = new McpSubscription(isIncremental: true, Nothing);
            var held = new Dictionary<string, string>();
            var nonce = 0;
            foreach (var (versions, accepts) in all.Append((all.Last().one, true)))
            {
                var now = Of(versions);
                while (subscription.Next(now, $"{++nonce}", out _) is { } message)
                {
                    Assert.Null(subscription.Next(now, "again", out _));
                    Assert.True(subscription.Answer(message.Nonce, accepts ? null : "no"));
                    foreach (var resource in accepts ? message.Resources : [])
                    {
                        held[resource.Metadata.Name] = resource.Metadata.Version;
                    }

                    foreach (var name in accepts ? message.Removed : [])
                    {
                        held.Remove(name);
                    }
                }

                if (accepts)
                {
                    Assert.Equal(versions.OrderBy(pair => pair.Key, StringComparer.Ordinal), held.OrderBy(pair => pair.Key, StringComparer.Ordinal));
                }
            }
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_sink_that_refuses_for_ever_is_sent_each_state_once(bool isIncremental)
    {
        var subscription = new McpSubscription(isIncremental, Nothing);
        var first = Of(new() { ["a/b"] = "1" });
        Assert.True(subscription.Answer(subscription.Next(first, "1", out _)!.Nonce, "no"));
        Assert.Equal("no", subscription.Problem);
        Assert.Null(subscription.Next(first, "2", out _));
        Assert.NotNull(subscription.Next(Of(new() { ["a/b"] = "2" }), "3", out _));
    }

    [Fact]
    public void An_answer_to_something_else_counts_for_nothing_and_nothing_more_is_sent_before_the_right_one()
    {
        var subscription = new McpSubscription(isIncremental: true, Nothing);
        subscription.Next(Of(new() { ["a/b"] = "1" }), "1", out _);
        Assert.False(subscription.Answer("0", null));
        Assert.False(subscription.Answer("", "no"));
        Assert.Null(subscription.Next(Of(new() { ["a/b"] = "2" }), "2", out _));
        Assert.True(subscription.Answer("1", null));
        Assert.False(subscription.Answer("1", "late"));
        Assert.Equal("2", subscription.Next(Of(new() { ["a/b"] = "2" }), "3", out _)!.Resources.Single().Metadata.Version);
    }

    [Fact]
    public void An_empty_collection_is_said_once_so_that_the_sink_knows()
    {
        foreach (var isIncremental in new[] { true, false })
        {
            var subscription = new McpSubscription(isIncremental, Nothing);
            Assert.Empty(subscription.Next(McpResources.None, "1", out _)!.Resources);
            subscription.Answer("1", null);
            Assert.Null(subscription.Next(McpResources.None, "2", out _));
        }
    }

    [Fact]
    public void What_the_sink_holds_from_before_is_not_sent_again_and_what_is_gone_is_taken_back()
    {
        var subscription = new McpSubscription(isIncremental: true, new Dictionary<string, string> { ["a/same"] = "1", ["a/old"] = "1", ["a/gone"] = "1" });
        var message = subscription.Next(Of(new() { ["a/same"] = "1", ["a/old"] = "2", ["a/new"] = "1" }), "1", out _)!;
        Assert.Equal(["a/new", "a/old"], message.Resources.Select(resource => resource.Metadata.Name));
        Assert.Equal(["a/gone"], message.Removed);
    }

    [Fact]
    public void A_large_collection_goes_in_parts_each_answered_and_whole_only_below_its_limit()
    {
        var many = Of(Enumerable.Range(0, 1201).ToDictionary(i => $"ns/{i:0000}", _ => "1"));
        var subscription = new McpSubscription(isIncremental: true, Nothing);
        var sizes = new List<int>();
        while (subscription.Next(many, $"{sizes.Count}", out _) is { } message)
        {
            sizes.Add(message.Resources.Count);
            subscription.Answer(message.Nonce, null);
        }

        Assert.Equal([500, 500, 201], sizes);
        var heavy = new McpResources(Enumerable.Range(0, 4).ToImmutableSortedDictionary(
            i => $"ns/{i}", i => new Resource { Metadata = new Metadata { Name = $"ns/{i}", Version = "1" }, Body = new Any { Value = ByteString.CopyFrom(new byte[1024 * 1024]) } }));
        Assert.Null(new McpSubscription(isIncremental: false, Nothing).Next(heavy, "1", out var problem));
        Assert.Contains("incrementally", problem, StringComparison.Ordinal);
        Assert.InRange(new McpSubscription(isIncremental: true, Nothing).Next(heavy, "1", out _)!.Resources.Count, 1, 2);
    }

    private static McpResources Of(Dictionary<string, string> versions) => new(versions.ToImmutableSortedDictionary(
        pair => pair.Key, pair => new Resource { Metadata = new Metadata { Name = pair.Key, Version = pair.Value } }, StringComparer.Ordinal));
}
