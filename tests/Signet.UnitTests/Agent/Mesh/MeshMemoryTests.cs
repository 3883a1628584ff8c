using System.Collections.Immutable;
using Signet.Agent.Identities;
using Signet.Agent.Mesh;
using Signet.Hosting.Distribution;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Mesh;

public sealed class MeshMemoryTests : IDisposable
{
    private readonly TestFolder _folder = new();

    private readonly MeshSnapshot _snapshot = new(
        7, Enumerable.Range(0, 1201).Select(i => new MeshDocument($"K/ns/{i}", "K", "ns", i % 2 == 0, $"{{\"i\":{i}}}")).ToImmutableDictionary(one => one.Name));

    [Fact]
    public void What_was_kept_is_recalled_and_only_its_owner_may_read_it()
    {
        var path = _folder.File("kept");
        var kept = SealedFolder.Open(path);
        Assert.Null(MeshMemory.In(kept).Recall(out var problem));
        Assert.Equal("", problem);
        MeshMemory.In(kept).Keep(_snapshot);
        var recalled = MeshMemory.In(SealedFolder.Open(path)).Recall(out problem)!;
        Assert.Equal(("", 7UL), (problem, recalled.Revision));
        Assert.Equal(_snapshot.Documents.OrderBy(pair => pair.Key, StringComparer.Ordinal), recalled.Documents.OrderBy(pair => pair.Key, StringComparer.Ordinal));
        Assert.All(Directory.GetFiles(path), file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));

        MeshMemory.In(null).Keep(_snapshot);
        Assert.Null(MeshMemory.In(null).Recall(out problem));
        Assert.Equal("", problem);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(40)]
    [InlineData(-1)]
    public void A_byte_that_was_changed_or_lost_makes_it_nothing_with_a_reason(int at)
    {
        byte[] kept = [];
        new MeshMemory(() => null, bytes => kept = bytes).Keep(_snapshot);
        if (at < 0)
        {
            kept = kept[..^1];
        }
        else
        {
            kept[at] ^= 1;
        }

        Assert.Null(new MeshMemory(() => kept, _ => { }).Recall(out var problem));
        Assert.NotEmpty(problem);
    }

    [Fact]
    public void What_cannot_be_read_is_nothing_with_a_reason()
    {
        Assert.Null(new MeshMemory(() => throw new IOException("broken disk"), _ => { }).Recall(out var problem));
        Assert.Equal("broken disk", problem);
    }

    public void Dispose() => _folder.Dispose();
}
