using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Hosting.Files;
using Signet.Testing;

namespace Signet.FunctionalTests.Hosting.Files;

/// <summary>Real files and the kernel's real reports, on a clock that only the test moves.</summary>
[Collection(Hangup.Collection)]
public sealed partial class FileSetWatchTests : IAsyncDisposable
{
    private readonly TestFolder _folder = new();
    private readonly ManualTimeProvider _clock = new();
    private readonly ConcurrentQueue<ImmutableArray<WatchedFile>> _changes = new();
    private FileSetWatch? _watch;

    public async ValueTask DisposeAsync()
    {
        if (_watch is not null)
        {
            await _watch.DisposeAsync();
        }

        _folder.Dispose();
    }

    [Fact]
    public void Reads_the_policies_of_a_folder_by_name_and_nothing_else()
    {
        foreach (var name in (string[])["b.yaml", "a.yml", "c.json", "notes.txt", ".hidden.yaml", "d.yaml~"])
        {
            File.WriteAllText(_folder.File(name), name);
        }

        Directory.CreateDirectory(_folder.File("sub.yaml"));

        Assert.Equal(["a.yml", "b.yaml", "c.json"], FileSet.Folder(_folder.Path).Read().Select(file => file.Name));
    }

    [Fact]
    public void Reads_a_single_file_whatever_it_is_called()
    {
        File.WriteAllText(_folder.File("policy.txt"), "x");

        Assert.Equal("x", Assert.Single(FileSet.Folder(_folder.File("policy.txt")).Read()).Text);
    }

    [Fact]
    public void Refuses_what_it_cannot_read_whole()
    {
        Assert.Contains("there is no such file or folder", Problem(FileSet.Folder(_folder.File("missing"))));
        Assert.Contains("there is no such file or folder", Problem(FileSet.Of(_folder.File("missing.pem"))));
        Directory.CreateDirectory(_folder.File("folder.pem"));
        Assert.Contains("it is not a file", Problem(FileSet.Of(_folder.File("folder.pem"))));
        File.WriteAllBytes(_folder.File("a.yaml"), [0xff, 0xfe]);
        Assert.Contains("not text", Problem(FileSet.Folder(_folder.Path)));
        File.WriteAllBytes(_folder.File("a.yaml"), new byte[FileSet.MaxFileBytes + 1]);
        Assert.Contains("larger than 4MiB", Problem(FileSet.Folder(_folder.Path)));
        File.Delete(_folder.File("a.yaml"));
        File.CreateSymbolicLink(_folder.File("b.yaml"), _folder.File("nowhere"));
        Assert.Contains("b.yaml", Problem(FileSet.Folder(_folder.Path)));

        static string Problem(FileSet files) => Assert.Throws<PlaceException>(() => files.Read()).Message;
    }

    [Fact]
    public void Does_not_start_on_a_first_look_that_fails() =>
        Assert.Throws<PlaceException>(() => FileSetWatch.Start(FileSet.Folder(_folder.File("missing")), _ => { }, _clock, NullLogger.Instance));

    [Fact]
    public async Task Sees_a_file_written_in_place_added_renamed_and_deleted()
    {
        File.WriteAllText(_folder.File("a.yaml"), "1");
        Watch(FileSet.Folder(_folder.Path));

        File.WriteAllText(_folder.File("a.yaml"), "2");
        await SeenAsync("a.yaml=2");
        File.WriteAllText(_folder.File("b.yaml"), "3");
        await SeenAsync("a.yaml=2 b.yaml=3");
        File.Move(_folder.File("b.yaml"), _folder.File("c.yaml"));
        await SeenAsync("a.yaml=2 c.yaml=3");
        File.WriteAllText(_folder.File(".new"), "4");
        File.Move(_folder.File(".new"), _folder.File("a.yaml"), overwrite: true);
        await SeenAsync("a.yaml=4 c.yaml=3");
        File.Delete(_folder.File("c.yaml"));
        await SeenAsync("a.yaml=4");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Sees_a_link_swapped_as_kubelet_does(bool singleFile)
    {
        MakeVersion("..v1", "1");
        File.CreateSymbolicLink(_folder.File("..data"), "..v1");
        File.CreateSymbolicLink(_folder.File("a.yaml"), "..data/a.yaml");
        Watch(singleFile ? FileSet.Of(_folder.File("a.yaml")) : FileSet.Folder(_folder.Path));

        MakeVersion("..v2", "2");
        File.CreateSymbolicLink(_folder.File("..data_tmp"), "..v2");
        Assert.Equal(0, Rename(_folder.File("..data_tmp"), _folder.File("..data")));
        await SeenAsync("a.yaml=2");

        void MakeVersion(string name, string text)
        {
            Directory.CreateDirectory(_folder.File(name));
            File.WriteAllText(_folder.File(name + "/a.yaml"), text);
        }
    }

    [Fact]
    public async Task Finds_by_polling_what_the_kernel_does_not_report()
    {
        // The link's own folder stays as it is; nothing is reported for the file it leads to.
        Directory.CreateDirectory(_folder.File("elsewhere"));
        Directory.CreateDirectory(_folder.File("here"));
        File.WriteAllText(_folder.File("elsewhere/a.yaml"), "1");
        File.CreateSymbolicLink(_folder.File("here/a.yaml"), _folder.File("elsewhere/a.yaml"));
        Watch(FileSet.Folder(_folder.File("here")));

        File.WriteAllText(_folder.File("elsewhere/a.yaml"), "2");
        _clock.Advance(FileSetWatch.Poll);

        await SeenAsync("a.yaml=2");
    }

    [Fact]
    public void Reads_only_the_files_that_have_changed()
    {
        File.WriteAllText(_folder.File("a.yaml"), "1");
        File.WriteAllText(_folder.File("b.yaml"), "2");
        var files = FileSet.Folder(_folder.Path);
        var memory = new FileMemory(files.Read(), _clock);
        files.Read(memory);
        _clock.Advance(FileMemory.Settling);
        var before = files.Read(memory);

        File.WriteAllText(_folder.File("b.yaml"), "3");
        File.WriteAllText(_folder.File("c.yaml"), "4");
        var after = files.Read(memory);

        Assert.Equal("a.yaml=1 b.yaml=3 c.yaml=4", Show(after));
        Assert.Same(before[0], after[0]);
        Assert.NotNull(memory.Recall(_folder.File("a.yaml"), NativeFile.Look(_folder.File("a.yaml"), true)?.Version));
        Assert.Null(memory.Recall(_folder.File("b.yaml"), NativeFile.Look(_folder.File("b.yaml"), true)?.Version));
    }

    [Fact]
    public void Reads_again_a_file_that_may_have_changed_within_a_tick_of_the_file_systems_clock()
    {
        File.WriteAllText(_folder.File("a.yaml"), "1");
        var files = FileSet.Folder(_folder.Path);
        var memory = new FileMemory(files.Read(), _clock);
        files.Read(memory);
        _clock.Advance(FileMemory.Settling - TimeSpan.FromTicks(1));
        files.Read(memory);

        Assert.Null(memory.Recall(_folder.File("a.yaml"), NativeFile.Look(_folder.File("a.yaml"), true)?.Version));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reads_again_a_file_of_the_same_size_and_time_of_writing(bool replaced)
    {
        File.WriteAllText(_folder.File("a.yaml"), "1");
        var written = File.GetLastWriteTimeUtc(_folder.File("a.yaml"));
        var files = FileSet.Folder(_folder.Path);
        var memory = new FileMemory(files.Read(), _clock);
        files.Read(memory);
        _clock.Advance(FileMemory.Settling);
        files.Read(memory);
        var settled = NativeFile.Look(_folder.File("a.yaml"), true)!.Value.Version;
        Assert.NotNull(memory.Recall(_folder.File("a.yaml"), settled));

        await Eventually.IsTrueAsync(
            () =>
            {
                File.WriteAllText(_folder.File(replaced ? "new" : "a.yaml"), "2");
                if (replaced)
                {
                    File.Move(_folder.File("new"), _folder.File("a.yaml"), overwrite: true);
                }

                File.SetLastWriteTimeUtc(_folder.File("a.yaml"), written);
                return NativeFile.Look(_folder.File("a.yaml"), true)!.Value.Version != settled;
            },
            "the file system's clock ticks");

        Assert.Equal("a.yaml=2", Show(files.Read(memory)));
    }

    [Fact]
    public async Task Finds_a_folder_that_was_replaced()
    {
        Directory.CreateDirectory(_folder.File("policy"));
        File.WriteAllText(_folder.File("policy/a.yaml"), "1");
        Watch(FileSet.Folder(_folder.File("policy")));

        Directory.CreateDirectory(_folder.File("policy2"));
        File.WriteAllText(_folder.File("policy2/a.yaml"), "2");
        Directory.Delete(_folder.File("policy"), recursive: true);
        Directory.Move(_folder.File("policy2"), _folder.File("policy"));
        _clock.Advance(FileSetWatch.Poll);

        await SeenAsync("a.yaml=2");
    }

    [Fact]
    public async Task Keeps_the_last_good_content_while_a_look_fails()
    {
        File.WriteAllText(_folder.File("a.yaml"), "1");
        File.WriteAllText(_folder.File("b.yaml"), "deny");
        Watch(FileSet.Folder(_folder.Path));

        File.WriteAllBytes(_folder.File("b.yaml"), [0xff]);
        await Eventually.IsTrueAsync(() => Tick(() => _watch!.Problem is not null), "the look fails");
        Assert.Equal("a.yaml=1 b.yaml=deny", Show(_watch!.Current));
        Assert.Empty(_changes);

        File.WriteAllText(_folder.File("b.yaml"), "deny more");
        await SeenAsync("a.yaml=1 b.yaml=deny more");
        Assert.Null(_watch.Problem);
    }

    [Fact]
    public async Task Says_nothing_when_a_file_is_written_with_the_same_content()
    {
        File.WriteAllText(_folder.File("a.yaml"), "1");
        Watch(FileSet.Folder(_folder.Path));

        File.WriteAllText(_folder.File("a.yaml"), "1");
        File.WriteAllText(_folder.File("other.txt"), "1");
        File.WriteAllText(_folder.File("b.yaml"), "2");
        await SeenAsync("a.yaml=1 b.yaml=2");

        Assert.DoesNotContain(_changes, files => Show(files) == "a.yaml=1");
    }

    [Fact]
    public async Task Reports_also_the_same_content_when_it_is_told_to_look_again()
    {
        File.WriteAllText(_folder.File("a.yaml"), "1");
        Watch(FileSet.Folder(_folder.Path));

        _watch!.LookAgain();

        await Eventually.IsTrueAsync(() => _changes.Count == 1, "a report without the clock moving");
        Assert.Equal("a.yaml=1", Show(_changes.Single()));
    }

    [Fact]
    public async Task Never_takes_a_half_written_file_for_a_change()
    {
        File.WriteAllText(_folder.File("a.yaml"), "deny all");
        Watch(FileSet.Folder(_folder.Path));

        _watch!.LookAgain();
        await Eventually.IsTrueAsync(() => _changes.Count == 1, "the first looks are over");

        // The writer has only begun when a look comes along.
        File.WriteAllText(_folder.File("a.yaml"), "");
        await Eventually.IsTrueAsync(() => _clock.NextDue <= _clock.GetUtcNow() + FileSetWatch.Quiet, "the kernel reports");
        var looks = _clock.StartedTimers;
        _clock.Advance(FileSetWatch.Quiet);
        await Eventually.IsTrueAsync(() => _clock.StartedTimers > looks, "a look that finds the empty file");
        File.WriteAllText(_folder.File("a.yaml"), "deny all of them");
        await SeenAsync("a.yaml=deny all of them");

        Assert.DoesNotContain(_changes, files => Show(files) == "a.yaml=");
    }

    [Fact]
    public async Task Waits_for_files_to_rest_but_not_for_ever()
    {
        File.WriteAllText(_folder.File("a.yaml"), "0");
        Watch(FileSet.Folder(_folder.Path));

        // Every 60 ms of the test's clock there is another write: less than a rest.
        var i = 0;
        await Eventually.IsTrueAsync(
            () =>
            {
                File.WriteAllText(_folder.File("a.yaml"), $"{++i}");
                _clock.Advance(TimeSpan.FromMilliseconds(60));
                return !_changes.IsEmpty;
            },
            "a change in spite of the unrest");
    }

    [Fact]
    public async Task Goes_on_when_a_change_cannot_be_used()
    {
        File.WriteAllText(_folder.File("a.yaml"), "1");
        _watch = FileSetWatch.Start(
            FileSet.Folder(_folder.Path),
            files =>
            {
                _changes.Enqueue(files);
                throw new InvalidOperationException("no");
            },
            _clock,
            NullLogger.Instance);

        File.WriteAllText(_folder.File("a.yaml"), "2");
        await SeenAsync("a.yaml=2");
        File.WriteAllText(_folder.File("a.yaml"), "3");
        await SeenAsync("a.yaml=3");
    }

    [Fact]
    public async Task Misses_no_change_between_the_first_look_and_the_second()
    {
        File.WriteAllText(_folder.File("a.yaml"), "new");
        var files = FileSet.Of(_folder.File("a.yaml"));
        _watch = FileSetWatch.Start(files, [files.Holding("old")], _changes.Enqueue, _clock, NullLogger.Instance);

        await SeenAsync("a.yaml=new");
    }

    // The framework's move refuses a link to a folder.
    [LibraryImport("libc", EntryPoint = "rename", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Rename(string from, string to);

    private void Watch(FileSet files) => _watch = FileSetWatch.Start(files, _changes.Enqueue, _clock, NullLogger.Instance);

    /// <summary>Moves the clock by a rest for as long as it takes the kernel to report.</summary>
    private Task SeenAsync(string content) => Eventually.IsTrueAsync(() => Tick(() => Show(_watch!.Current) == content), content);

    private bool Tick(Func<bool> condition)
    {
        if (_clock.NextDue <= _clock.GetUtcNow() + FileSetWatch.Quiet)
        {
            _clock.Advance(FileSetWatch.Quiet);
        }

        return condition();
    }

    private static string Show(ImmutableArray<WatchedFile> files) => string.Join(' ', files.Select(file => $"{file.Name}={file.Text}"));
}
