using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Signet.Hosting.Configuration;
using Signet.Identity;

namespace Signet.UnitTests.Hosting.Configuration;

public sealed class WrittenValuesTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("0s", 0)]
    [InlineData("250ms", 250)]
    [InlineData("30s", 30_000)]
    [InlineData("5m", 300_000)]
    [InlineData("1h30m", 5_400_000)]
    [InlineData("1d1ms", 86_400_001)]
    [InlineData("30d", 2_592_000_000)]
    public void Reads_durations(string text, long milliseconds) => Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), DurationText.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("h")]
    [InlineData("-5s")]
    [InlineData("1.5h")]
    [InlineData("5 m")]
    [InlineData("5M")]
    [InlineData("30m1h")]
    [InlineData("1h1h")]
    [InlineData("1y")]
    [InlineData("36501d")]
    [InlineData("99999999999999999999s")]
    [InlineData("9223372036854775807d")]
    [InlineData("36500d1ms")]
    public void Refuses_what_is_not_a_duration(string text)
    {
        Assert.False(DurationText.TryParse(text, out _, out var problem));
        Assert.NotEmpty(problem);
    }

    [Theory]
    [InlineData("0s", 0)]
    [InlineData("1s500ms", 1.5)]
    [InlineData("1m", 60)]
    [InlineData("23h59m", 86_399)]
    [InlineData("1d", 86_400)]
    [InlineData("1d", 86_401)]
    [InlineData("29d23h", 2_591_999)]
    [InlineData("-5m30s", -330)]
    public void Shows_durations_in_their_two_largest_units(string text, double seconds) => Assert.Equal(text, DurationText.Format(TimeSpan.FromSeconds(seconds)));

    [Fact]
    public void Reads_back_what_it_shows() =>
        Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), seconds =>
        {
            var shown = DurationText.Format(TimeSpan.FromSeconds(seconds));
            Assert.Equal(shown, DurationText.Format(DurationText.Parse(shown)));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Shows_the_extreme_durations()
    {
        Assert.StartsWith("-", DurationText.Format(TimeSpan.MinValue));
        Assert.NotEmpty(DurationText.Format(TimeSpan.MaxValue));
    }

    [Theory]
    [InlineData("0", 0)]
    [InlineData("512", 512)]
    [InlineData("512B", 512)]
    [InlineData("64KiB", 65536)]
    [InlineData("2GiB", 2147483648)]
    public void Reads_sizes(string text, long bytes) => Assert.Equal((true, bytes), (SizeText.TryParse(text, out var read, out _), read));

    [Theory]
    [InlineData("")]
    [InlineData("KiB")]
    [InlineData("64KB")]
    [InlineData("64 KiB")]
    [InlineData("-1")]
    [InlineData("1.5MiB")]
    [InlineData("999999999999999999TiB")]
    public void Refuses_what_is_not_a_size(string text) => Assert.False(SizeText.TryParse(text, out _, out _));

    [Theory]
    [InlineData("0B", 0)]
    [InlineData("1500B", 1500)]
    [InlineData("64KiB", 65536)]
    [InlineData("1MiB", 1048576)]
    public void Shows_sizes_in_the_largest_unit_that_divides_them(string text, long bytes) => Assert.Equal(text, SizeText.Format(bytes));

    [Theory]
    [InlineData("127.0.0.1:8081")]
    [InlineData("[::1]:0")]
    [InlineData("0.0.0.0:65535")]
    public void Reads_addresses(string text) => Assert.Equal(text, EndPointText.Format(Assert.IsType<IPEndPoint>(EndPointText.Parse(text))));

    [Theory]
    [InlineData("localhost:1")]
    [InlineData("payments.production.svc.cluster.local:8080")]
    [InlineData("a1:2")]
    public void Reads_names(string text) => Assert.Equal(text, EndPointText.Format(Assert.IsType<DnsEndPoint>(EndPointText.Parse(text))));

    [Theory]
    [InlineData("")]
    [InlineData("host")]
    [InlineData(":80")]
    [InlineData("host:")]
    [InlineData("host:65536")]
    [InlineData("host:-1")]
    [InlineData("host:+1")]
    [InlineData("::1:80")]
    [InlineData("[::1:80")]
    [InlineData("[127.0.0.1]:80")]
    [InlineData("127.1:80")]
    [InlineData("0x7f000001:80")]
    [InlineData("0177.0.0.1:80")]
    [InlineData("2130706433:80")]
    [InlineData("256.0.0.1:80")]
    [InlineData("-a:80")]
    [InlineData("a b:80")]
    [InlineData("http://a:80")]
    public void Refuses_what_is_not_an_endpoint(string text) => Assert.False(EndPointText.TryParse(text, out _, out _));

    [Fact]
    public void Never_throws_whatever_is_written() => Prop.ForAll<string>(text =>
    {
        DurationText.TryParse(text, out _, out _);
        SizeText.TryParse(text, out _, out _);
        EndPointText.TryParse(text, out _, out _);
        NearestWord.To(text ?? "", ["a", "listen", text ?? ""]);
    }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData("lisen", "listen")]
    [InlineData("LISTEN", "listen")]
    [InlineData("trustdomain", "trustDomain")]
    [InlineData("xyz", null)]
    [InlineData("", null)]
    public void Finds_what_somebody_probably_meant(string word, string? meant) => Assert.Equal(meant, NearestWord.To(word, ["listen", "trustDomain", "log"]));
}
