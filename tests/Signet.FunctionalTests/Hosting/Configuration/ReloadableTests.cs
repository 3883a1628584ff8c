using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Hosting.Configuration;
using Signet.Testing;

namespace Signet.FunctionalTests.Hosting.Configuration;

[Collection(Hangup.Collection)]
public sealed partial class ReloadableTests : IAsyncDisposable
{
    private static readonly Dictionary<string, string> Environment = [];

    private readonly TestFolder _folder = new();
    private readonly ManualTimeProvider _clock = new();
    private readonly ConcurrentQueue<string> _changes = new();
    private Reloadable<string>? _config;

    public async ValueTask DisposeAsync()
    {
        if (_config is not null)
        {
            await _config.DisposeAsync();
        }

        _folder.Dispose();
    }

    [Fact]
    public async Task Follows_its_file()
    {
        Start("name: one");
        Assert.Equal("one", _config!.Current);

        Write("name: two");
        await BecomesAsync("two");

        await Eventually.IsTrueAsync(() => _changes.SequenceEqual(["two"]), "the one change to be told");
    }

    [Fact]
    public async Task Keeps_the_last_good_configuration_when_the_new_one_is_broken()
    {
        Start("name: one");

        Write("nam: two\nx: 1");
        await Eventually.IsTrueAsync(() => Tick(() => _config!.Problems.Count == 3), "three problems");
        Assert.Equal("one", _config!.Current);
        Assert.Empty(_changes);

        Write("name: three");
        await BecomesAsync("three");
        Assert.Empty(_config.Problems);
    }

    [Fact]
    public async Task Keeps_the_last_good_configuration_when_the_file_is_gone()
    {
        Start("name: one");

        File.Delete(_folder.File("server.yaml"));
        await Eventually.IsTrueAsync(() => Tick(() => _config!.Problems.Count == 1), "a problem");

        Assert.Contains("there is no such file", _config!.Problems[0].Message);
        Assert.Equal("one", _config.Current);
    }

    [Fact]
    public async Task Reads_again_on_a_hangup_because_a_secret_elsewhere_may_have_changed()
    {
        File.WriteAllText(_folder.File("secret"), "old");
        Start("name: file:secret", root => root.RequiredSecret("name").Reveal());
        File.WriteAllText(_folder.File("secret"), "new");
        Assert.Equal("old", _config!.Current);

        Assert.Equal(0, Kill(System.Environment.ProcessId, HangUp));

        await Eventually.IsTrueAsync(() => _config.Current == "new", "the new secret");
    }

    [Theory]
    [InlineData("name: [1]")]
    [InlineData("")]
    [InlineData("name: 'x")]
    public void Does_not_start_on_a_first_configuration_that_is_broken(string yaml) => Assert.Throws<ConfigException>(() => Start(yaml));

    [Fact]
    public void Does_not_start_without_its_file()
    {
        var e = Assert.Throws<ConfigException>(() => ConfigFile.Read(_folder.File("server.yaml"), Environment, root => root.Text("a")));

        Assert.Equal($"{_folder.File("server.yaml")}: cannot be read: there is no such file or folder", e.Message);
    }

    [Fact]
    public void Does_not_take_for_text_what_is_not()
    {
        File.WriteAllBytes(_folder.File("server.yaml"), [0x80]);
        Assert.Contains("is not UTF-8 text", Assert.Throws<ConfigException>(() => ConfigFile.Read(_folder.File("server.yaml"), Environment, root => root.Text("a"))).Message);

        File.WriteAllBytes(_folder.File("server.yaml"), new byte[ConfigDocument.MaxBytes + 1]);
        Assert.Contains("larger than 1MiB", Assert.Throws<ConfigException>(() => ConfigFile.Read(_folder.File("server.yaml"), Environment, root => root.Text("a"))).Message);
    }

    private const int HangUp = 1;

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);

    private void Start(string yaml, Func<ConfigSection, string>? read = null)
    {
        Write(yaml);
        _config = Reloadable<string>.Start(_folder.File("server.yaml"), Environment, read ?? (root => root.RequiredText("name")), _changes.Enqueue, _clock, NullLogger.Instance);
    }

    private void Write(string yaml) => File.WriteAllText(_folder.File("server.yaml"), yaml);

    private Task BecomesAsync(string name) => Eventually.IsTrueAsync(() => Tick(() => _config!.Current == name), name);

    private bool Tick(Func<bool> condition)
    {
        if (_clock.NextDue <= _clock.GetUtcNow() + Signet.Hosting.Files.FileSetWatch.Quiet)
        {
            _clock.Advance(Signet.Hosting.Files.FileSetWatch.Quiet);
        }

        return condition();
    }
}
