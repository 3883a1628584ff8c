using System.Text;
using Signet.Agent.Identities;
using Signet.Hosting.Files;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Identities;

public sealed class SealedFolderTests : IDisposable
{
    private static byte[] Content => Encoding.UTF8.GetBytes("what is served, with keys");

    private readonly TestFolder _test = new();
    private readonly string _machineId;

    public SealedFolderTests()
    {
        _machineId = _test.File("machine-id");
        File.WriteAllText(_machineId, "0123456789abcdef0123456789abcdef\n");
    }

    [Fact]
    public void What_was_kept_opens_again_after_a_restart()
    {
        Open().Save("svids", Content);
        Assert.Equal(Content, Assert.IsType<SealedContent.Opened>(Open().Load("svids")).Content);
    }

    [Fact]
    public void What_was_kept_is_replaced_and_nothing_else()
    {
        var folder = Open();
        folder.Save("svids", Content);
        folder.Save("entries", []);
        folder.Save("svids", "new"u8.ToArray());
        Assert.Equal("new"u8, Assert.IsType<SealedContent.Opened>(folder.Load("svids")).Content);
        Assert.Empty(Assert.IsType<SealedContent.Opened>(folder.Load("entries")).Content);
        Assert.Equal(["entries.sealed", "secret", "svids.sealed"], Directory.EnumerateFiles(Place).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Nothing_kept_is_absent_and_not_refused() => Assert.IsType<SealedContent.Absent>(Open().Load("svids"));

    [Fact]
    public void The_content_cannot_be_read_on_the_disk_nor_by_others_than_the_owner()
    {
        Open().Save("svids", Content);
        Assert.Equal(-1, File.ReadAllBytes(FileOf("svids")).AsSpan().IndexOf(Content));
        Assert.All(Directory.EnumerateFiles(Place), file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
    }

    [Fact]
    public void Every_change_of_a_byte_anywhere_is_noticed()
    {
        Open().Save("svids", Content);
        var sealedBytes = File.ReadAllBytes(FileOf("svids"));
        for (var i = 0; i < sealedBytes.Length; i++)
        {
            var changed = sealedBytes.ToArray();
            changed[i] ^= 1;
            File.WriteAllBytes(FileOf("svids"), changed);
            Assert.IsType<SealedContent.Refused>(Open().Load("svids"));
        }
    }

    [Fact]
    public void A_file_that_was_cut_or_lengthened_is_refused()
    {
        Open().Save("svids", Content);
        var sealedBytes = File.ReadAllBytes(FileOf("svids"));
        for (var length = 0; length < sealedBytes.Length; length++)
        {
            File.WriteAllBytes(FileOf("svids"), sealedBytes[..length]);
            Assert.IsType<SealedContent.Refused>(Open().Load("svids"));
        }

        File.WriteAllBytes(FileOf("svids"), [.. sealedBytes, 0]);
        Assert.Contains("changed", Reason("svids"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_copy_on_another_machine_is_told_from_one_that_was_changed()
    {
        Open().Save("svids", Content);
        File.WriteAllText(_machineId, "ffffffffffffffffffffffffffffffff\n");
        Assert.Contains("another machine", Reason("svids"), StringComparison.Ordinal);
    }

    [Fact]
    public void Without_its_secret_nothing_opens_and_new_things_are_kept_under_a_new_one()
    {
        Open().Save("svids", Content);
        File.Delete(Path.Combine(Place, "secret"));
        Assert.Contains("secret that is gone", Reason("svids"), StringComparison.Ordinal);
        Open().Save("svids", Content);
        Assert.IsType<SealedContent.Opened>(Open().Load("svids"));
    }

    [Fact]
    public void What_was_kept_under_one_kind_is_nothing_under_another()
    {
        Open().Save("svids", Content);
        File.Copy(FileOf("svids"), FileOf("entries"));
        Assert.Contains("changed", Reason("entries"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_later_version_is_named()
    {
        Open().Save("svids", Content);
        var bytes = File.ReadAllBytes(FileOf("svids"));
        bytes["signet-sealed".Length] = 2;
        File.WriteAllBytes(FileOf("svids"), bytes);
        Assert.Contains("version 2", Reason("svids"), StringComparison.Ordinal);
    }

    [Fact]
    public void Equal_content_is_never_sealed_to_equal_bytes()
    {
        var folder = Open();
        folder.Save("svids", Content);
        var first = File.ReadAllBytes(FileOf("svids"));
        folder.Save("svids", Content);
        Assert.NotEqual(first, File.ReadAllBytes(FileOf("svids")));
    }

    [Fact]
    public void Where_there_is_no_machine_ID_the_secret_alone_binds()
    {
        File.Delete(_machineId);
        Open().Save("svids", Content);
        Assert.IsType<SealedContent.Opened>(Open().Load("svids"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("../svids")]
    [InlineData("Svids")]
    [InlineData("a/b")]
    public void A_kind_is_no_path(string kind) => Assert.Throws<ArgumentException>(() => Open().Save(kind, Content));

    [Fact]
    public void What_is_too_long_is_not_kept_and_leaves_the_old_in_place()
    {
        var folder = Open();
        folder.Save("svids", Content);
        Assert.Throws<PlaceException>(() => folder.Save("svids", new byte[SealedFolder.MaxBytes + 1]));
        Assert.Equal(Content, Assert.IsType<SealedContent.Opened>(folder.Load("svids")).Content);
    }

    [Fact]
    public void Once_nothing_is_to_be_kept_nothing_is_left()
    {
        Open().Save("svids", Content);
        SealedFolder.Remove(Place);
        Assert.False(Directory.Exists(Place));
        SealedFolder.Remove(Place);
    }

    public void Dispose() => _test.Dispose();

    private string Place => _test.File("cache");

    private SealedFolder Open() => SealedFolder.Open(Place, _machineId);

    private string FileOf(string kind) => Path.Combine(Place, kind + ".sealed");

    private string Reason(string kind) => Assert.IsType<SealedContent.Refused>(Open().Load(kind)).Reason;
}
