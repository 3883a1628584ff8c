using System.Collections.Immutable;
using FsCheck;
using FsCheck.Fluent;
using Signet.Hosting.Distribution;
using Signet.Hosting.Distribution.Wire;
using Signet.Rpc.Wire.Mesh;
using MeshDocument = Signet.Hosting.Distribution.MeshDocument;

namespace Signet.UnitTests.Hosting.Distribution;

public sealed class MeshUpdatesTests
{
    [Fact]
    public void What_the_other_side_puts_together_is_what_there_is_whatever_changed_on_the_way()
    {
        var name = Gen.Choose(0, 30).Select(i => $"K/ns/{i}");
        var document = name.SelectMany(one => Gen.Choose(0, 3).Select(version => Of(one, version.ToString(System.Globalization.CultureInfo.InvariantCulture))));
        var snapshots = document.ListOf().Select(list => list.DistinctBy(one => one.Name).ToImmutableDictionary(one => one.Name)).NonEmptyListOf();
        Prop.ForAll(snapshots.ToArbitrary(), all =>
        {
            var reader = new MeshUpdateReader();
            MeshSnapshot? told = null;
            ulong revision = 0;
            foreach (var documents in all)
            {
                var now = new MeshSnapshot(++revision, documents);
                MeshReading? last = null;
                foreach (var update in MeshUpdates.Between(told, now))
                {
                    last = reader.Read(update);
                }

                var isSame = told is not null && told.Documents.Count == documents.Count && documents.All(pair => told.Documents.GetValueOrDefault(pair.Key) == pair.Value);
                Assert.Equal(isSame, last is null);
                if (last is not null)
                {
                    var read = Assert.IsType<MeshReading.Complete>(last).Snapshot;
                    Assert.Equal(documents.OrderBy(pair => pair.Key, StringComparer.Ordinal), read.Documents.OrderBy(pair => pair.Key, StringComparer.Ordinal));
                }

                told = now;
            }
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void A_large_revision_goes_in_messages_of_bounded_size_and_is_not_there_before_the_last()
    {
        var now = Snapshot(1, [.. Enumerable.Range(0, 1201).Select(i => Of($"K/ns/{i}", "x"))]);
        var updates = MeshUpdates.Between(null, now).ToArray();
        Assert.Equal([500, 500, 201], updates.Select(update => update.Documents.Count));
        Assert.Equal([true, false, false], updates.Select(update => update.Afresh));
        var reader = new MeshUpdateReader();
        Assert.IsType<MeshReading.Incomplete>(reader.Read(updates[0]));
        Assert.IsType<MeshReading.Incomplete>(reader.Read(updates[1]));
        Assert.Equal(1201, Assert.IsType<MeshReading.Complete>(reader.Read(updates[2])).Snapshot.Documents.Count);

        var heavy = Snapshot(2, [.. Enumerable.Range(0, 8).Select(i => Of($"K/ns/{i}", new string('x', MeshDocument.MaxBytes)))]);
        Assert.All(MeshUpdates.Between(null, heavy), update => Assert.InRange(update.CalculateSize(), 1, MeshUpdates.MaxBytes + MeshDocument.MaxBytes + 4096));
    }

    [Fact]
    public void Nothing_counts_after_a_refusal_before_the_other_side_begins_afresh()
    {
        var reader = new MeshUpdateReader();
        Assert.IsType<MeshReading.Refused>(reader.Read(new MeshUpdate { Revision = 1, Documents = { Wire("K/a/b", "1") } }));
        Assert.IsType<MeshReading.Complete>(reader.Read(new MeshUpdate { Revision = 2, Afresh = true, Documents = { Wire("K/a/b", "1") } }));
        Assert.Contains("limit", Assert.IsType<MeshReading.Refused>(reader.Read(new MeshUpdate { Revision = 3, Documents = { Wire("K/a/c", new string('x', MeshDocument.MaxBytes + 1)) } })).Problem, StringComparison.Ordinal);
        Assert.IsType<MeshReading.Refused>(reader.Read(new MeshUpdate { Revision = 4, Documents = { Wire("K/a/c", "1") } }));
        Assert.Single(Assert.IsType<MeshReading.Complete>(reader.Read(new MeshUpdate { Revision = 5, Afresh = true, Documents = { Wire("K/a/d", "1") } })).Snapshot.Documents);
    }

    [Theory]
    [InlineData("", "K", "ns")]
    [InlineData("K/ns/a", "", "ns")]
    public void A_document_without_a_name_or_kind_is_refused(string name, string kind, string ns) =>
        Assert.IsType<MeshReading.Refused>(new MeshUpdateReader().Read(new MeshUpdate
        {
            Revision = 1,
            Afresh = true,
            Documents = { new Signet.Rpc.Wire.Mesh.MeshDocument { Name = name, Kind = kind, Namespace = ns } },
        }));

    [Fact]
    public void What_many_are_told_of_the_same_change_is_worked_out_once_and_is_the_same()
    {
        var (before, now) = (Snapshot(1, Of("K/a/1", "x"), Of("K/a/2", "x")), Snapshot(2, Of("K/a/1", "y")));
        var memo = new MeshUpdateMemo();
        var first = memo.Between(before, now);
        Assert.Same(first, memo.Between(before, now));
        Assert.Equal(MeshUpdates.Between(before, now), first);
        Assert.Equal(MeshUpdates.Between(now, before), memo.Between(now, before));
        Assert.Equal(MeshUpdates.Between(null, now), memo.Between(null, now));
        Assert.Empty(memo.Between(now, now));
    }

    [Fact]
    public void A_problem_of_the_other_side_takes_nothing_away()
    {
        var reader = new MeshUpdateReader();
        reader.Read(new MeshUpdate { Revision = 1, Afresh = true, Documents = { Wire("K/a/b", "1") } });
        Assert.Equal("broken", Assert.IsType<MeshReading.Told>(reader.Read(new MeshUpdate { Problem = "broken" })).Problem);
        Assert.Equal(2, Assert.IsType<MeshReading.Complete>(reader.Read(new MeshUpdate { Revision = 2, Documents = { Wire("K/a/c", "1") } })).Snapshot.Documents.Count);
    }

    [Fact]
    public void A_workload_gets_what_is_in_its_namespace_and_what_is_everywhere_and_nothing_else()
    {
        var snapshot = Snapshot(7, [Of("A/shop/x", "1", "shop"), Of("A/bank/y", "1", "bank"), Of("A/root/z", "1", "root", everywhere: true)]);
        var mine = snapshot.For(new HashSet<string> { "shop" });
        Assert.Equal(["A/root/z", "A/shop/x"], mine.Documents.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(7UL, mine.Revision);
        Assert.Equal(["A/root/z"], snapshot.For(new HashSet<string>()).Documents.Keys);
    }

    [Fact]
    public void Endpoints_survive_their_text_and_garbage_does_not_read()
    {
        var service = new ServiceEndpoints(["a.example"], new Dictionary<int, IReadOnlyList<System.Net.EndPoint>> { [80] = [System.Net.IPEndPoint.Parse("10.0.0.1:15006"), new System.Net.DnsEndPoint("a.example", 1)], [81] = [] });
        Assert.True(ServiceEndpoints.TryRead(service.ToJson(), out var read, out _));
        Assert.Equal(service.ToJson(), read!.ToJson());
        foreach (var text in new[] { "", "[]", "{}", "{\"hosts\":[],\"ports\":[]}", "{\"hosts\":[1],\"ports\":[]}", "{\"hosts\":[\"a\"],\"ports\":[{\"port\":80,\"endpoints\":[\"nowhere\"]}]}", "{\"hosts\":[\"a\"],\"ports\":[{\"port\":\"x\",\"endpoints\":[]}]}" })
        {
            Assert.False(ServiceEndpoints.TryRead(text, out _, out var problem), text);
            Assert.NotEmpty(problem);
        }
    }

    internal static MeshDocument Of(string name, string text, string ns = "ns", bool everywhere = false) => new(name, "K", ns, everywhere, text);

    internal static MeshSnapshot Snapshot(ulong revision, params MeshDocument[] documents) => new(revision, documents.ToImmutableDictionary(one => one.Name));

    private static Signet.Rpc.Wire.Mesh.MeshDocument Wire(string name, string text) => new() { Name = name, Kind = "K", Namespace = "a", Text = text };
}
