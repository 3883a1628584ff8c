using System.Diagnostics;
using Signet.Hosting.Files;
using Signet.Testing;

namespace Signet.FunctionalTests.Hosting.Files;

public sealed class PrivateFileTests : IDisposable
{
    private const UnixFileMode Mode0600 = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Mode0700 = Mode0600 | UnixFileMode.UserExecute;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Writes_a_file_that_only_its_owner_may_read()
    {
        PrivateFile.WriteAtomically(_folder.File("key.pem"), "first"u8);

        Assert.Equal("first", File.ReadAllText(_folder.File("key.pem")));
        Assert.Equal(Mode0600, File.GetUnixFileMode(_folder.File("key.pem")));
        Assert.Single(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void Replaces_a_file_that_others_could_read_by_one_that_they_cannot()
    {
        File.WriteAllText(_folder.File("key.pem"), "old");
        File.SetUnixFileMode(_folder.File("key.pem"), Mode0600 | UnixFileMode.OtherRead);

        PrivateFile.WriteAtomically(_folder.File("key.pem"), "new"u8);

        Assert.Equal(("new", Mode0600), (File.ReadAllText(_folder.File("key.pem")), File.GetUnixFileMode(_folder.File("key.pem"))));
    }

    [Fact]
    public void Keeps_the_old_file_whole_when_the_disk_is_full_or_the_folder_closed()
    {
        var folder = _folder.File("disk");
        Directory.CreateDirectory(folder);
        using var disk = SmallDisk.TryMount(folder);
        var path = Path.Combine(folder, "key.pem");
        PrivateFile.WriteAtomically(path, "old"u8);
        if (disk is null)
        {
            // Who may not mount is not root, and so can be locked out of a folder.
            File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        var e = Assert.Throws<PlaceException>(() => PrivateFile.WriteAtomically(path, new byte[1024 * 1024]));

        Assert.Equal(path, e.Path);
        Assert.Equal(disk is null ? "cannot be written: this process may not; check the owner and the mode" : "cannot be written: no space is left on the disk", e.Reason);
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(folder));
        File.SetUnixFileMode(folder, Mode0700);
    }

    [Fact]
    public void Names_the_file_it_cannot_write()
    {
        var e = Assert.Throws<PlaceException>(() => PrivateFile.WriteAtomically(_folder.File("missing/key.pem"), "x"u8));

        Assert.Equal($"file {_folder.File("missing/key.pem")} cannot be written: there is no such file or folder", e.Message);
    }

    [Fact]
    public void Makes_a_folder_for_its_owner_only()
    {
        PrivateFolder.Ensure(_folder.File("lib/signet/server"));
        PrivateFolder.Ensure(_folder.File("lib/signet/server"));

        Assert.Equal(Mode0700, File.GetUnixFileMode(_folder.File("lib/signet/server")));
        Assert.Equal(UnixFileMode.None, File.GetUnixFileMode(_folder.File("lib/signet")) & (UnixFileMode.GroupWrite | UnixFileMode.OtherWrite));
    }

    [Theory]
    [InlineData(UnixFileMode.GroupWrite)]
    [InlineData(UnixFileMode.OtherWrite)]
    public void Refuses_a_folder_that_others_can_write_to(UnixFileMode others)
    {
        Directory.CreateDirectory(_folder.File("shared"));
        File.SetUnixFileMode(_folder.File("shared"), Mode0700 | others);

        Assert.Contains("can be written to by other users", Assert.Throws<PlaceException>(() => PrivateFolder.Ensure(_folder.File("shared"))).Message);
    }

    [Fact]
    public void Refuses_a_folder_that_belongs_to_another()
    {
        // Root may give a folder away; everybody else has one of root's at hand.
        var folder = Environment.IsPrivilegedProcess ? _folder.File("theirs") : "/usr/share";
        if (Environment.IsPrivilegedProcess)
        {
            Directory.CreateDirectory(folder);
            using var chown = Process.Start("chown", ["12345", folder]);
            chown.WaitForExit();
        }

        Assert.Contains("belongs to user", Assert.Throws<PlaceException>(() => PrivateFolder.Ensure(folder)).Message);
    }

    [Fact]
    public void Refuses_a_file_where_a_folder_should_be()
    {
        File.WriteAllText(_folder.File("lib"), "");

        Assert.Contains("cannot be made", Assert.Throws<PlaceException>(() => PrivateFolder.Ensure(_folder.File("lib/server"))).Message);
    }

    /// <summary>A disk of 64 KiB.</summary>
    private sealed class SmallDisk : IDisposable
    {
        private readonly string _path;

        private SmallDisk(string path) => _path = path;

        public static SmallDisk? TryMount(string path) =>
            Environment.IsPrivilegedProcess && Run("mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "signet-test", path) == 0 ? new SmallDisk(path) : null;

        public void Dispose() => Run("umount", _path);

        private static int Run(string program, params string[] arguments)
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode;
        }
    }
}
