using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Acme;
using Signet.Hosting.Configuration;
using Signet.Server.Federation;
using Signet.Server.Http;
using Signet.Testing;

namespace Signet.InteropTests.Acme;

/// <summary>A certificate of the web for the bundle endpoint, from an ACME authority that nobody here wrote (RFC 8555, RFC 8737).</summary>
public sealed class AcmeTests : IDisposable
{
    private const string Name = "bundle.example.org";
    private readonly TestFolder _folder = new();
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_bundle_endpoint_gets_its_certificate_renews_it_ahead_and_keeps_it_when_the_authority_fails()
    {
        // Half of all nonces are refused: each request is signed anew until one is taken.
        await using var pebble = await Pebble.StartAsync(_folder, nonceRejections: 50, validitySeconds: 16);
        await using var domain = await TestTrustDomain.StartAsync(configure: config => config with
        {
            Http = new HttpConfig(new IPEndPoint(IPAddress.Loopback, pebble.TlsPort), Files: null) { Acme = Config(pebble, Name) },
            Federation = new FederationConfig { ServesBundle = true },
        });
        using var http = Believing(await pebble.RootAsync(), pebble.TlsPort);
        await Eventually.IsTrueAsync(() => AnswersAsync(http), "the bundle under a certificate of the web");
        var state = Path.Combine(domain.Folder, "server", "acme");
        Assert.All(Directory.GetFiles(state), file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
        var first = await SerialAsync(pebble.TlsPort);

        // A name that leads elsewhere can't be proved: the one there is stays, and the reason is the authority's own.
        var log = new Told();
        using (var elsewhere = Open(state, Config(pebble, Name, "elsewhere.example.org"), log))
        {
            var held = elsewhere.Current!.TargetCertificate.SerialNumber;
            var wait = await elsewhere.TurnAsync(_patience);
            Assert.Equal(held, elsewhere.Current.TargetCertificate.SerialNumber);
            Assert.InRange(wait, TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(1));
            Assert.Contains(log.Lines, line => line.Contains("could not be obtained, the one there is stays in use", StringComparison.Ordinal) && line.Contains("is invalid", StringComparison.Ordinal));
        }

        // Terms that nobody agreed to.
        using (var disagreeing = Open(_folder.File("disagreeing"), Config(pebble, Name) with { TermsAgreed = false }, log))
        {
            await disagreeing.TurnAsync(_patience);
            Assert.Null(disagreeing.Current);
            Assert.Contains(log.Lines, line => line.Contains("termsAgreed: true", StringComparison.Ordinal));
        }

        // An authority of the web that is not the one that it should be.
        using (var wary = Open(_folder.File("wary"), Config(pebble, Name) with { Roots = null }, log))
        {
            await wary.TurnAsync(_patience);
            Assert.Null(wary.Current);
            Assert.Contains(log.Lines, line => line.Contains("there is none yet, and nobody is answered until there is", StringComparison.Ordinal) && line.Contains("can't be asked", StringComparison.Ordinal));
        }

        // At half of its life another one is ordered while the first serves on: the listener swaps it, and nobody waits.
        await Eventually.IsTrueAsync(
            async () =>
            {
                Assert.True(await AnswersAsync(http), "the listener answers all the time");
                return await SerialAsync(pebble.TlsPort) != first;
            },
            "the renewed certificate");
    }

    [Fact]
    public async Task While_the_authority_is_away_what_was_obtained_before_is_used_also_after_a_restart()
    {
        var log = new Told();
        string state = _folder.File("state"), held;
        AcmeConfig config;
        await using (var pebble = await Pebble.StartAsync(_folder, nonceRejections: 0, validitySeconds: 3600))
        {
            config = Config(pebble, Name);
            using var certificate = Open(state, config, log);
            await using var endpoint = new PublicEndpoint(
                new IPEndPoint(IPAddress.Loopback, pebble.TlsPort), () => certificate.Current, certificate.Challenges, [], TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance);
            await endpoint.StartAsync(_patience);

            // Until there is a certificate nobody is answered.
            await Assert.ThrowsAnyAsync<Exception>(() => SerialAsync(pebble.TlsPort));
            await certificate.TurnAsync(_patience);
            Assert.True(certificate.Current is not null, string.Join('\n', log.Lines));
            held = certificate.Current!.TargetCertificate.SerialNumber;
            Assert.Equal(held, await SerialAsync(pebble.TlsPort));
            Assert.True(certificate.Challenges.IsEmpty);
            await endpoint.StopAsync(_patience);
        }

        using var again = Open(state, config with { Names = [Name, "more.example.org"] }, log);
        await again.TurnAsync(_patience);
        Assert.Equal(held, again.Current!.TargetCertificate.SerialNumber);
        Assert.Contains(log.Lines, line => line.Contains("can't be asked", StringComparison.Ordinal));
        using var content = Open(state, config, log);
        Assert.Equal(TimeSpan.FromSeconds(5), await content.TurnAsync(_patience));
    }

    private static AcmeConfig Config(Pebble pebble, params string[] names)
    {
        var text = $"directory: {pebble.Directory}\nemail: ops@example.org\nnames: [{string.Join(", ", names)}]\ncaFile: {pebble.CaFile}\ntermsAgreed: true";
        return ConfigDocument.Read("acme.yaml", text, new Dictionary<string, string>(), AcmeConfig.Read);
    }

    private static AcmeCertificate Open(string state, AcmeConfig config, Told log) => new(config, state, TimeProvider.System, () => 0.5, log);

    private static async Task<bool> AnswersAsync(HttpClient http)
    {
        try
        {
            return (await http.GetStringAsync(new Uri($"https://{Name}/bundle"))).Contains("spiffe_sequence", StringComparison.Ordinal);
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static async Task<string> SerialAsync(int port)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, port);
        await using var tls = new SslStream(socket.GetStream(), false, (_, _, _, _) => true);
        await tls.AuthenticateAsClientAsync(Name);
        using var certificate = X509CertificateLoader.LoadCertificate(tls.RemoteCertificate!.GetRawCertData());
        return certificate.SerialNumber;
    }

    private static HttpClient Believing(X509Certificate2 root, int port) => new(new SocketsHttpHandler
    {
        PooledConnectionLifetime = TimeSpan.Zero,
        ConnectCallback = async (_, cancellationToken) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        },
        SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, CustomTrustStore = { root }, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true },
        },
    });

    private sealed class Told : ILogger<AcmeCertificate>
    {
        public List<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Lines.Add(formatter(state, exception));
    }
}
