using Microsoft.Extensions.Logging;
using Signet.Hosting.Files;
using Signet.Identity.X509;
using Signet.Server.Attestation;
using Signet.Testing;
using Signet.Testing.X509;

namespace Signet.FunctionalTests.Attestation;

/// <summary>The authorities of nodes' certificates, read from files and followed.</summary>
public sealed class FollowedAuthoritiesTests : IDisposable
{
    private readonly TestFolder _files = new();

    public void Dispose() => _files.Dispose();

    [Fact]
    public async Task A_broken_bundle_file_changes_nothing_and_a_good_one_counts_at_once()
    {
        var (log, first) = (new CountingLogger(), Authority());
        await File.WriteAllTextAsync(_files.File("ca.pem"), Pem.Encode(first));
        await using var authorities = FollowedAuthorities.Start([_files.File("ca.pem")], TimeProvider.System, log);
        await File.WriteAllTextAsync(_files.File("ca.pem"), "broken");
        await Eventually.IsTrueAsync(() => log.Errors > 0, "the log of it");
        Assert.Equal([first], authorities.Current);

        var next = Authority();
        await File.WriteAllTextAsync(_files.File("ca.pem"), Pem.Encode(next));
        await Eventually.IsTrueAsync(() => authorities.Current.Contains(next), "the new authority");
        Assert.Single(authorities.Current);
    }

    [Theory]
    [InlineData("broken")]
    [InlineData(null)]
    public void Without_authorities_that_can_be_used_a_server_does_not_start(string? content)
    {
        var path = _files.File("none.pem");
        if (content is not null)
        {
            File.WriteAllText(path, content);
        }

        Assert.Contains(path, Assert.Throws<PlaceException>(() => FollowedAuthorities.Start([path], TimeProvider.System, new CountingLogger())).Message);
    }

    private static Certificate Authority() =>
        (CertificateForge.Authority("CN=devices") with { NotBefore = DateTimeOffset.UtcNow.AddHours(-2), NotAfter = DateTimeOffset.UtcNow.AddHours(2) }).SignSelf().Certificate;

    private sealed class CountingLogger : ILogger
    {
        private int _errors;

        public int Errors => Volatile.Read(ref _errors);

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel == LogLevel.Error)
            {
                Interlocked.Increment(ref _errors);
            }
        }
    }
}
