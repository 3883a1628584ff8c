using System.Net.Security;
using Microsoft.Extensions.Logging;
using Signet.FunctionalTests.Server;
using Signet.Hosting.Acme;
using Signet.Identity.X509;
using Signet.Testing;
using Signet.Testing.Rpc;

namespace Signet.FunctionalTests.Hosting.Acme;

/// <summary>ACME authorities that lie, send elsewhere or send too much: refused with the reason, bounded, and what there is stays.</summary>
public sealed class HostileAuthorityTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly RpcTestCertificates _own = RpcTestCertificates.Create();
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(1)).Token;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("200 OK", "[]", "not a JSON object")]
    [InlineData("200 OK", "no JSON", "not JSON")]
    [InlineData("200 OK", """{"newNonce": "http://localhost/nonce", "newAccount": "https://localhost/account"}""", "without an https URL")]
    [InlineData("200 OK", """{"newNonce": "https://user@localhost/nonce"}""", "without an https URL")]
    [InlineData("200 OK", """{"meta": {"termsOfService": "https://terms.example/"}}""", "termsAgreed: true")]
    [InlineData("302 Found", "", "its directory answered 302")]
    [InlineData("500 Oops", "", "its directory answered 500")]
    public async Task A_directory_that_does_not_hold_is_refused_with_its_reason(string status, string body, string expected) =>
        Assert.Contains(expected, await TryAsync(TestBundleEndpoint.Always(status, body, "location: https://localhost/elsewhere")), StringComparison.Ordinal);

    [Fact]
    public async Task An_answer_without_end_is_cut_off()
    {
        var block = new byte[64 * 1024];
        var sent = 0L;
        var reason = await TryAsync(async (_, stream) =>
        {
            await stream.WriteAsync("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n"u8.ToArray(), _patience);
            for (; sent < 1_000_000_000; sent += block.Length)
            {
                await stream.WriteAsync(block, _patience);
            }
        });
        Assert.Contains($"more than {AcmeClient.MaxBytes} bytes", reason, StringComparison.Ordinal);
        Assert.True(sent < 100_000_000, $"{sent} bytes were taken");
    }

    [Fact]
    public async Task A_nonce_that_is_never_given_ends_the_order()
    {
        TestBundleEndpoint? endpoint = null;
        var reason = await TryAsync(
            (path, stream) => path == "/dir"
                ? TestBundleEndpoint.WriteAsync(stream, "200 OK", $$"""{"newNonce": "https://localhost:{{endpoint!.Port}}/nonce", "newAccount": "https://localhost:{{endpoint.Port}}/account"}""")
                : TestBundleEndpoint.WriteAsync(stream, "200 OK", ""),
            one => endpoint = one);
        Assert.Contains("it gave no nonce", reason, StringComparison.Ordinal);
    }

    private async Task<string> TryAsync(Func<string, Stream, Task> answer, Action<TestBundleEndpoint>? started = null)
    {
        var tls = new SslServerAuthenticationOptions { ServerCertificateContext = SslStreamCertificateContext.Create(_own.Server, null, offline: true) };
        await using var endpoint = new TestBundleEndpoint(tls, answer);
        started?.Invoke(endpoint);
        var log = new Last();
        var config = new AcmeConfig(new Uri($"https://localhost:{endpoint.Port}/dir"), Email: null, ["bundle.example.org"]) { Roots = [Certificate.Parse(_own.Authority.RawData)] };
        using var certificate = new AcmeCertificate(config, _folder.File("acme"), TimeProvider.System, () => 0.5, log);
        Assert.Equal(TimeSpan.FromSeconds(45), await certificate.TurnAsync(_patience));
        Assert.Null(certificate.Current);
        return log.Line;
    }

    private sealed class Last : ILogger<AcmeCertificate>
    {
        public string Line { get; private set; } = "";

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Line = formatter(state, exception);
    }
}
