using System.Text;
using Signet.Hosting.Files;
using Signet.Testing;

namespace Signet.FunctionalTests.Hosting.Files;

public sealed class PublishedFolderTests : IDisposable
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite, Public = Private | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private readonly TestFolder _folder = new();

    private string Out => _folder.File("out");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Files_have_exactly_their_modes_and_only_their_owner_enters_when_all_are_private()
    {
        Replace(File("key.pem", "k", Private));
        Assert.Equal(Private, System.IO.File.GetUnixFileMode(Path.Combine(Out, "key.pem")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, System.IO.File.GetUnixFileMode(Out));
        Assert.Equal(System.IO.File.GetUnixFileMode(Out), System.IO.File.GetUnixFileMode(Path.Combine(Out, "..data")));

        Replace(File("key.pem", "k", Private), File("svid.pem", "s", Public));
        Assert.Equal(Public, System.IO.File.GetUnixFileMode(Path.Combine(Out, "svid.pem")));
        Assert.True(System.IO.File.GetUnixFileMode(Path.Combine(Out, "..data")).HasFlag(UnixFileMode.OtherExecute));
    }

    [Fact]
    public async Task Whoever_reads_through_the_link_never_finds_files_of_two_versions()
    {
        Replace(File("a", "0", Public), File("b", "0", Public));
        using var stop = new CancellationTokenSource();
        var reading = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                var version = Path.Combine(Out, new FileInfo(Path.Combine(Out, "..data")).LinkTarget!);
                try
                {
                    Assert.Equal(System.IO.File.ReadAllText(Path.Combine(version, "a")), System.IO.File.ReadAllText(Path.Combine(version, "b")));
                }
                catch (IOException)
                {
                    // Two versions later; a reader asks again.
                }
            }
        });
        for (var i = 1; i < 100 && !reading.IsCompleted; i++)
        {
            Replace(File("a", $"{i}", Public), File("b", $"{i}", Public));
            Assert.Equal($"{i}", System.IO.File.ReadAllText(Path.Combine(Out, "a")));
        }

        await stop.CancelAsync();
        await reading;
    }

    [Fact]
    public void One_old_version_stays_and_what_is_not_written_any_more_goes()
    {
        System.IO.File.WriteAllText(Path.Combine(Directory.CreateDirectory(Out).FullName, "mine.txt"), "");
        for (var i = 0; i < 5; i++)
        {
            Replace(File("a", $"{i}", Public), File("b", $"{i}", Public));
        }

        Assert.Equal(2, Directory.GetDirectories(Out, "..version-*").Length);
        Replace(File("a", "last", Public));
        Assert.Equal(["..data", "a", "mine.txt"], Directory.GetFileSystemEntries(Out).Select(Path.GetFileName).Where(name => !name!.StartsWith("..version", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_file_of_that_name_gives_way_and_a_folder_does_not()
    {
        System.IO.File.WriteAllText(Path.Combine(Directory.CreateDirectory(Out).FullName, "a"), "old");
        Replace(File("a", "new", Public));
        Assert.Equal("new", System.IO.File.ReadAllText(Path.Combine(Out, "a")));
        Directory.CreateDirectory(Path.Combine(Out, "b"));
        Assert.Throws<PlaceException>(() => Replace(File("a", "newer", Public), File("b", "b", Public)));
    }

    [Fact]
    public void What_can_not_be_written_leaves_the_files_in_force_as_they_were()
    {
        Replace(File("a", "good", Public));
        Assert.Throws<PlaceException>(() => Replace(File("a", "bad", Public), File("no/such/folder", "b", Public)));
        Assert.Equal("good", System.IO.File.ReadAllText(Path.Combine(Out, "a")));
        Assert.Single(Directory.GetDirectories(Out, "..version-*"));
    }

    [Fact]
    public void A_folder_that_others_can_write_to_is_refused()
    {
        Directory.CreateDirectory(Out);
        System.IO.File.SetUnixFileMode(Out, (UnixFileMode)0b111_111_111);
        Assert.Contains("can be written to by other users", Assert.Throws<PlaceException>(() => Replace(File("a", "a", Public))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_are_given_to_the_owner_that_is_wanted_or_not_written_at_all()
    {
        var folder = new PublishedFolder(Out, new FileOwner(65534, 65534));
        if (Environment.IsPrivilegedProcess)
        {
            folder.Replace([File("a", "a", Private)]);
            Assert.Equal(65534u, SmallFile.OwnerOf(Path.Combine(Out, "a")));
            Assert.Equal(Private, System.IO.File.GetUnixFileMode(Path.Combine(Out, "a")));
        }
        else
        {
            Assert.Contains("owner", Assert.Throws<PlaceException>(() => folder.Replace([File("a", "a", Private)])).Message, StringComparison.Ordinal);
        }
    }

    private static PublishedFile File(string name, string text, UnixFileMode mode) => new(name, Encoding.UTF8.GetBytes(text), mode);

    private void Replace(params PublishedFile[] files) => new PublishedFolder(Out, default).Replace(files);
}
