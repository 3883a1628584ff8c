using System.Text;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Configuration;
using Signet.Hosting.Logging;
using Signet.Testing;

namespace Signet.UnitTests.Hosting.Logging;

public sealed partial class LogOutputTests
{
    private static readonly DateTimeOffset Moment = new(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero);

    [Fact]
    public async Task Writes_a_line_for_people() =>
        Assert.Equal(
            "2026-01-02T03:04:05.678Z info  server.api  web got an SVID that lives 1h serial=0a0b\n",
            await Logged(new LogConfig(), log => Issued(log, "web", "1h", "0a0b")));

    [Fact]
    public async Task Writes_a_line_for_programs()
    {
        var json = JsonNode.Parse(await Logged(new LogConfig(Format: LogFormat.Json), log => Failed(log, 7, true, ["a", "b"], new IOException("disk\nfull"))))!;

        Assert.Equal(
            """{"time":"2026-01-02T03:04:05.678Z","level":"error","eventId":9002,"event":"Failed","category":"Signet.Server.Api","message":"7 failed True a, b","fields":{"Count":7,"Fatal":true,"Names":["a","b"]},"exception":{"type":"System.IO.IOException","message":"disk\nfull"}}""",
            json.ToJsonString());
    }

    [Fact]
    public async Task Tells_what_was_thrown_and_why_without_saying_it_twice()
    {
        Assert.EndsWith(
            " exception=\"InvalidOperationException: outer <- IOException: inner\"\n",
            await Logged(new LogConfig(), log => Failed(log, 1, false, [], new InvalidOperationException("outer", new IOException("inner")))));
        Assert.EndsWith(" outer was thrown exception=IOException\n", await Logged(new LogConfig(), log => Thrown(log, "outer", new IOException("outer"))));
    }

    [Fact]
    public async Task Shows_the_stack_to_whoever_debugs_and_to_nobody_else()
    {
        var thrown = Assert.Throws<IOException>((Action)(() => throw new IOException("x")));

        Assert.Contains("LogOutputTests", await Logged(new LogConfig(LogLevel.Debug), log => Thrown(log, "x", thrown)));
        Assert.DoesNotContain("LogOutputTests", await Logged(new LogConfig(), log => Thrown(log, "x", thrown)));
    }

    [Theory]
    [InlineData("a\nb", "a\\nb")]
    [InlineData("a\r\u001b[31mb", "a\\r\\u001b[31mb")]
    [InlineData("a\u2028b\u202eb\u0085", "a\\u2028b\\u202eb\\u0085")]
    [InlineData("é😀", "é😀")]
    public async Task Stays_one_line_and_sends_nothing_to_a_terminal(string name, string shown) =>
        Assert.Contains($"  {shown} got an SVID", await Logged(new LogConfig(), log => Issued(log, name, "1h", "1")));

    [Theory]
    [InlineData("", "serial=\"\"")]
    [InlineData("a b", "serial=\"a b\"")]
    [InlineData("a\"b=c\\", "serial=\"a\\\"b=c\\\\\"")]
    [InlineData("a level=error", "serial=\"a level=error\"")]
    public async Task Quotes_a_value_that_could_be_taken_for_another_field(string serial, string shown) =>
        Assert.EndsWith($" {shown}\n", await Logged(new LogConfig(), log => Issued(log, "web", "1h", serial)));

    [Fact]
    public void Stays_one_line_whatever_is_logged() =>
        Prop.ForAll<string, string>((name, serial) =>
        {
            foreach (var format in Enum.GetValues<LogFormat>())
            {
                var text = Logged(new LogConfig(Format: format), log => Issued(log, name, "1h", serial)).GetAwaiter().GetResult();
                Assert.Equal(text.Length - 1, text.IndexOfAny(['\n', '\r', '\u0085', '\u2028']));
                Assert.DoesNotContain('\u001b', text);
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public async Task Cuts_what_is_too_long_to_read()
    {
        Assert.InRange((await Logged(new LogConfig(), log => Issued(log, new string('x', 1_000_000), "1h", "1"))).Length, 8_000, 9_000);
        Assert.InRange((await Logged(new LogConfig(Format: LogFormat.Json), log => Issued(log, new string('x', 1_000_000), "1h", "1"))).Length, 16_000, 18_000);
    }

    [Fact]
    public async Task Changes_level_and_format_while_it_runs()
    {
        using var stream = new MemoryStream();
        await using (var output = new LogOutput(stream, new LogConfig(LogLevel.Warning), new ManualTimeProvider(Moment)))
        {
            var log = output.CreateLogger("Signet.Server.Api");
            Issued(log, "unseen", "1h", "1");
            output.Config = new LogConfig(LogLevel.Information, LogFormat.Json);
            Issued(log, "seen", "1h", "1");
        }

        Assert.Equal("seen got an SVID that lives 1h", (string?)JsonNode.Parse(stream.ToArray())!["message"]);
    }

    [Theory]
    [InlineData("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Information, LogLevel.Information, false)]
    [InlineData("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Information, LogLevel.Warning, true)]
    [InlineData("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Debug, LogLevel.Debug, true)]
    [InlineData("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Error, LogLevel.Warning, false)]
    [InlineData("Signet.Server", LogLevel.Information, LogLevel.Information, true)]
    [InlineData("Signet.Server", LogLevel.Information, LogLevel.Debug, false)]
    [InlineData("Signet.Server", LogLevel.Trace, LogLevel.None, false)]
    public async Task Keeps_the_framework_quiet_unless_somebody_debugs(string category, LogLevel level, LogLevel entry, bool written)
    {
        await using var output = new LogOutput(Stream.Null, new LogConfig(level), TimeProvider.System);

        Assert.Equal(written, output.CreateLogger(category).IsEnabled(entry));
    }

    [Fact]
    public async Task Never_waits_for_a_slow_output_and_owns_up_to_what_it_dropped()
    {
        using var slow = new GatedStream();
        await using (var output = new LogOutput(slow, new LogConfig(), new ManualTimeProvider(Moment)))
        {
            var log = output.CreateLogger("Signet.Server");
            for (var i = 0; i < LogOutput.MaxWaiting + 1_000; i++)
            {
                Issued(log, "web", "1h", "1");
            }

            slow.Gate.Set();
            await Eventually.IsTrueAsync(() => slow.Text.Contains("log lines were dropped because the output was too slow", StringComparison.Ordinal), "the confession");
        }

        Assert.InRange(slow.Text.Split('\n').Length, LogOutput.MaxWaiting, LogOutput.MaxWaiting + 1_000);
    }

    [Fact]
    public async Task Survives_an_output_that_has_gone()
    {
        var output = new LogOutput(new BrokenStream(), new LogConfig(), TimeProvider.System);
        Issued(output.CreateLogger("Signet.Server"), "web", "1h", "1");
        await output.DisposeAsync();
    }

    [Fact]
    public void Reads_its_section()
    {
        Assert.Equal(new LogConfig(LogLevel.Debug, LogFormat.Json), ConfigDocument.Read("f", "log: {level: debug, format: json}", new Dictionary<string, string>(), root => LogConfig.Read(root.Section("log"))));
        Assert.Equal(new LogConfig(), ConfigDocument.Read("f", "", new Dictionary<string, string>(), root => LogConfig.Read(root.Section("log"))));
    }

    [Fact]
    public async Task Writes_more_or_less_while_its_level_is_changed_and_what_was_configured_afterwards()
    {
        var time = new ManualTimeProvider(Moment);
        using var stream = new MemoryStream();
        await using (var output = new LogOutput(stream, new LogConfig(LogLevel.Warning), time))
        {
            var log = output.CreateLogger("Signet.Server.Api");
            Issued(log, "before", "1h", "1");
            output.Change = new LevelChange(LogLevel.Information, Moment.AddMinutes(10));
            Issued(log, "changed", "1h", "2");
            Assert.Equal((LogLevel.Information, LogLevel.Warning), (output.Change!.Level, output.Configured));
            time.Advance(TimeSpan.FromMinutes(10));
            Issued(log, "over", "1h", "3");
            Assert.Null(output.Change);
            output.Change = new LevelChange(LogLevel.Information, DateTimeOffset.MaxValue);
            output.Config = new LogConfig(LogLevel.Error);
            Issued(log, "reloaded", "1h", "4");
            output.Change = null;
            Issued(log, "taken back", "1h", "5");
        }

        Assert.Equal(
            [
                "hosting.logging the log level is info until 2026-01-02T03:14:05.678Z", "server.api changed got an SVID that lives 1h serial=2",
                "hosting.logging the log level is info until further notice", "server.api reloaded got an SVID that lives 1h serial=4",
            ],
            Encoding.UTF8.GetString(stream.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[2..])));
    }

    private static async Task<string> Logged(LogConfig config, Action<ILogger> act)
    {
        using var stream = new MemoryStream();
        await using (var output = new LogOutput(stream, config, new ManualTimeProvider(Moment)))
        {
            act(output.CreateLogger("Signet.Server.Api"));
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }

#pragma warning disable SYSLIB1015 // A field that the message does not mention is the point.
    [LoggerMessage(9001, LogLevel.Information, "{Name} got an SVID that lives {Lifetime}")]
    private static partial void Issued(ILogger log, string name, string lifetime, string serial);
#pragma warning restore SYSLIB1015

    [LoggerMessage(9002, LogLevel.Error, "{Count} failed {Fatal} {Names}")]
    private static partial void Failed(ILogger log, int count, bool fatal, string[] names, Exception e);

    [LoggerMessage(9003, LogLevel.Error, "{What} was thrown")]
    private static partial void Thrown(ILogger log, string what, Exception e);

    private sealed class GatedStream : Stream
    {
        private readonly MemoryStream _written = new();

        public ManualResetEventSlim Gate { get; } = new();

        public string Text
        {
            get
            {
                lock (_written)
                {
                    return Encoding.UTF8.GetString(_written.ToArray());
                }
            }
        }

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count)
        {
            Gate.Wait();
            lock (_written)
            {
                _written.Write(buffer, offset, count);
            }
        }
    }

    private sealed class BrokenStream : MemoryStream
    {
        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => throw new IOException("Broken pipe");
    }
}
