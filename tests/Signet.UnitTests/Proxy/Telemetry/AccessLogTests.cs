using System.IO.Pipes;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Proxy.Config;
using Signet.Proxy.Telemetry;
using Signet.Testing;
using Signet.Testing.Rpc;

namespace Signet.UnitTests.Proxy.Telemetry;

public sealed class AccessLogTests
{
    private const string Dropped = "signet_proxy_access_records_dropped_total";

    /// <summary>What a pipe holds unless somebody asks for more, in octets.</summary>
    private const int PipeSize = 64 * 1024;

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(90);

    [Fact]
    public async Task Keeps_what_a_stuck_output_may_still_take_drops_and_counts_the_rest_and_goes_on_in_order()
    {
        using var output = new AnonymousPipeServerStream(PipeDirection.In);
        using var metrics = new ProxyMetrics();
        using var counts = new Counts(metrics);
        var log = new AccessLog(Into(output), spans: null, metrics, NullLogger.Instance);
        const int Offered = 5 * AccessLog.Capacity;
        var records = new HeldRecords();

        // Nobody reads: whoever hands a record over does not notice.
        await Task.Run(() => records.Offer(0, Offered, log.Write)).WaitAsync(Deadline);
        var inPipe = PipeSize / Records.Line(new TextLine(), HeldRecords.Number(0)).Length;
        Assert.InRange(records.Held, 1, AccessLog.Capacity);
        var dropped = counts[Dropped];
        Assert.InRange(dropped, Offered - AccessLog.Capacity - inPipe, Offered - AccessLog.Capacity);

        // Now somebody does, and what is handed over from now on comes after it.
        var reading = ReadAsync(output);
        await Eventually.IsTrueAsync(() => records.Held < AccessLog.Capacity / 2, "room for more");
        records.Offer(Offered, 100, log.Write);
        await log.DisposeAsync();

        var numbers = await reading.WaitAsync(Deadline);
        Assert.Equal(Offered - dropped, numbers.Count(number => number < Offered));
        Assert.Equal(numbers.Order(), numbers);
        Assert.Equal(Enumerable.Range(Offered, 100), numbers.TakeLast(100));
        Assert.Equal(dropped, counts[Dropped]);
    }

    [Fact]
    public async Task Ends_though_nobody_takes_its_lines_and_says_so()
    {
        using var output = new AnonymousPipeServerStream(PipeDirection.In);
        using var metrics = new ProxyMetrics();
        var said = new RememberedLog();
        var log = new AccessLog(Into(output), spans: null, metrics, new RememberedLog.Provider(said));
        new HeldRecords().Offer(0, 2 * AccessLog.Capacity, log.Write);

        await log.DisposeAsync().AsTask().WaitAsync(Deadline);

        Assert.Contains("it takes nothing", Assert.Single(said.WithId(4030)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Counts_what_it_could_not_write_and_says_so_once()
    {
        using var metrics = new ProxyMetrics();
        using var counts = new Counts(metrics);
        var said = new RememberedLog();
        await using var log = new AccessLog(new AccessLogConfig { Path = "/dev/full" }, spans: null, metrics, new RememberedLog.Provider(said));
        for (var i = 1; i <= 3; i++)
        {
            log.Write(Records.Allowed());
            await Eventually.IsTrueAsync(() => counts[Dropped] == i, "a record that could not be written");
        }

        Assert.Contains("/dev/full", Assert.Single(said.WithId(4030)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(AccessLogFilter.All, 3)]
    [InlineData(AccessLogFilter.Errors, 2)]
    [InlineData(AccessLogFilter.Refused, 1)]
    public async Task Writes_what_is_asked_for_and_counts_everything(AccessLogFilter only, int lines)
    {
        using var folder = new TestFolder();
        using var metrics = new ProxyMetrics();
        await using (var log = new AccessLog(new AccessLogConfig { Path = folder.File("access.log"), Only = only }, spans: null, metrics, NullLogger.Instance))
        {
            var missing = Records.Allowed();
            missing.Code = 404;
            log.Write(Records.Allowed());
            log.Write(missing);
            log.Write(Records.Denied());
        }

        Assert.Equal(lines, File.ReadAllLines(folder.File("access.log")).Length);
        Assert.Equal(3, metrics.Traffic.Totals().Requests);
    }

    /// <summary>A log into the pipe, which ends when the log does.</summary>
    private static AccessLogConfig Into(AnonymousPipeServerStream pipe) => new() { Path = $"/proc/self/fd/{pipe.ClientSafePipeHandle.DangerousGetHandle()}", Format = AccessLogFormat.Text };

    private static async Task<List<int>> ReadAsync(AnonymousPipeServerStream output)
    {
        output.DisposeLocalCopyOfClientHandle();
        using var reader = new StreamReader(output, Encoding.UTF8);
        var numbers = new List<int>();
        while (await reader.ReadLineAsync() is { } line)
        {
            numbers.Add(HeldRecords.NumberIn(line));
        }

        return numbers;
    }
}
