using System.Diagnostics;
using System.Runtime.InteropServices;
using Signet.Hosting;
using Signet.Hosting.Files;
using Signet.Testing;

namespace Signet.FunctionalTests.Hosting.Files;

/// <summary>Nobody gets through a daemon what they could not read themselves. The daemon of these tests is root.</summary>
public sealed class ForeignFilesTests : IDisposable
{
    private const uint Ann = 4_000_001, Staff = 4_000_002;
    private const UnixFileMode All = (UnixFileMode)0x1FF;

    private readonly TestFolder _folder = new();
    private readonly ForeignFiles _files = new(TimeProvider.System);

    public ForeignFilesTests()
    {
        Assert.True(Environment.IsPrivilegedProcess, "these tests act as other users; run them as root");
        File.SetUnixFileMode(_folder.Path, All);
    }

    [Theory]
    [InlineData("u=rw,g=,o=", false)]
    [InlineData("u=rw,g=r,o=", false)]
    [InlineData("u=rw,g=r,o=r", true)]
    public async Task A_file_of_root_is_read_for_others_only_by_its_mode(string mode, bool isRead)
    {
        var path = Write("file", Mode(mode));
        var reading = await ReadAsync(path, Ann, Ann);
        Assert.Equal(isRead ? "content" : null, Text(reading));
        Assert.Equal(isRead ? "" : "it is not there, or the process that asks may not read it", reading.Problem);
        Assert.Equal("content", Text(await ReadAsync(path, 0, 0)));
    }

    [Fact]
    public async Task Groups_count_the_first_and_the_others_and_no_more()
    {
        var path = Write("file", Mode("u=rw,g=r,o="));
        await RunAsync("chgrp", $"{Staff}", path);
        Assert.Equal("content", Text(await ReadAsync(path, Ann, Staff)));
        Assert.Equal("content", Text(await ReadAsync(path, Ann, Ann, 7, Staff)));
        Assert.Null(Text(await ReadAsync(path, Ann, Ann, 7)));
    }

    [Fact]
    public async Task Roots_right_to_override_modes_is_nobodys_not_even_for_root()
    {
        var path = Write("file", Mode("u=r,g=,o="));
        await RunAsync("chown", $"{Ann}", path);
        Assert.Equal("content", Text(await ReadAsync(path, Ann, Ann)));
        Assert.Null(Text(await ReadAsync(path, 0, 0)));
    }

    [Fact]
    public async Task A_folder_that_is_closed_to_the_reader_closes_what_is_in_it()
    {
        Directory.CreateDirectory(_folder.File("closed"), Mode("u=rwx,g=,o="));
        Write("closed/file", Mode("u=r,g=r,o=r"));
        Assert.Null(Text(await ReadAsync(_folder.File("closed/file"), Ann, Ann)));
        File.CreateSymbolicLink(_folder.File("link"), _folder.File("closed/file"));
        Assert.Null(Text(await ReadAsync(_folder.File("link"), Ann, Ann)));
        File.SetUnixFileMode(_folder.File("closed"), All);
        Assert.Equal("content", Text(await ReadAsync(_folder.File("link"), Ann, Ann)));
    }

    [Fact]
    public async Task Only_ordinary_files_are_opened_and_only_up_to_their_limit()
    {
        await RunAsync("mkfifo", "-m", "666", _folder.File("pipe"));
        Assert.Equal("it is not an ordinary file", (await ReadAsync(_folder.File("pipe"), Ann, Ann)).Problem);
        Assert.Equal("it is not an ordinary file", (await ReadAsync("/dev/zero", Ann, Ann)).Problem);
        Assert.Equal("it is not an ordinary file", (await ReadAsync(_folder.Path, Ann, Ann)).Problem);
        Assert.Contains("larger than 4", (await _files.ReadAsync(new FileReader(Environment.ProcessId, Ann, Ann, []), Write("file", All), 4, CancellationToken.None)).Problem, StringComparison.Ordinal);
        Assert.Equal("it is not an absolute path", (await ReadAsync("file", Ann, Ann)).Problem);

        // /proc's links lead anywhere; they are not followed.
        Assert.Null(Text(await ReadAsync($"/proc/self/cwd/{Path.GetFileName(typeof(ForeignFilesTests).Assembly.Location)}", 0, 0)));
    }

    [Fact]
    public async Task A_process_that_is_gone_reads_nothing()
    {
        var path = Write("file", All);
        Assert.Contains("can't be looked into", (await _files.ReadAsync(new FileReader(int.MaxValue, Ann, Ann, []), path, 100, CancellationToken.None)).Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_the_right_to_act_as_others_only_its_own_user_is_served()
    {
        var path = Write("file", Mode("u=r,g=r,o=r"));
        var (own, ann) = ("", "");
        var thread = new Thread(() =>
        {
            // A thread without capabilities, as all of a daemon's are that does not run as root.
            Assert.Equal(0, SetCapabilities([0x20080522, 0], new uint[6]));
            own = Read(new FileReader(Environment.ProcessId, 0, 0, []));
            ann = Read(new FileReader(Environment.ProcessId, Ann, Ann, []));
        });
        thread.Start();
        thread.Join();
        Assert.Equal("content", own);
        Assert.Contains("does not run as root", ann, StringComparison.Ordinal);

        string Read(FileReader reader)
        {
            try
            {
                return System.Text.Encoding.UTF8.GetString(BorrowedRights.Read(reader, path, 100));
            }
            catch (IOException e)
            {
                return e.Message;
            }
        }
    }

    [Fact]
    public async Task The_daemon_itself_stays_what_it_was()
    {
        var path = Write("file", Mode("u=rw,g=,o="));
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => ReadAsync(path, Ann, Ann)));
        Assert.Equal(0u, NativeUser.EffectiveId());
        Assert.Equal("content", await File.ReadAllTextAsync(path));
        Assert.Equal("0\t0\t0\t0", (await File.ReadAllLinesAsync("/proc/self/status")).Single(line => line.StartsWith("Uid:", StringComparison.Ordinal))["Uid:\t".Length..]);
    }

    public void Dispose() => _folder.Dispose();

    private Task<FileReading> ReadAsync(string path, uint uid, uint gid, params uint[] groups) =>
        _files.ReadAsync(new FileReader(Environment.ProcessId, uid, gid, groups), path, 1024, CancellationToken.None);

    private string Write(string name, UnixFileMode mode)
    {
        File.WriteAllText(_folder.File(name), "content");
        File.SetUnixFileMode(_folder.File(name), mode);
        return _folder.File(name);
    }

    [DllImport("libc", EntryPoint = "capset")]
    private static extern int SetCapabilities(uint[] header, uint[] sets);

    private static string? Text(FileReading reading) => reading.Content is { } content ? System.Text.Encoding.UTF8.GetString(content) : null;

    private static UnixFileMode Mode(string text) => text.Split(',').Aggregate(UnixFileMode.None, (mode, part) => mode | (UnixFileMode)(
        ((part.Contains('r', StringComparison.Ordinal) ? 4 : 0) | (part.Contains('w', StringComparison.Ordinal) ? 2 : 0) | (part.Contains('x', StringComparison.Ordinal) ? 1 : 0)) << (part[0] switch { 'u' => 6, 'g' => 3, _ => 0 })));

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }
}
