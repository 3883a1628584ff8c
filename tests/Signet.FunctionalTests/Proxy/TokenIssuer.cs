using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Signet.FunctionalTests.Proxy;

/// <summary>Makes tokens, and serves its keys over http or https; the test may answer with something else.</summary>
internal sealed class TokenIssuer : IAsyncDisposable
{
    public const string Issuer = "https://iss";

    private readonly App _server;
    private readonly ECDsa _caKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2? _ca;
    private readonly X509Certificate2? _certificate;
    private ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private int _generation;

    public TokenIssuer(bool https = false)
    {
        if (https)
        {
            var request = new CertificateRequest("CN=test ca", _caKey, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
            _ca = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var leaf = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
            var names = new SubjectAlternativeNameBuilder();
            names.AddDnsName("localhost");
            leaf.CertificateExtensions.Add(names.Build());
            _certificate = leaf.Create(_ca, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1), [1, 2, 3]).CopyWithPrivateKey(key);
        }

        _server = App.Serving(ServeAsync);
    }

    /// <summary>Writes a response to a path; null serves the keys.</summary>
    public Func<Stream, string, Task>? Answer { get; set; }

    /// <summary>The paths that were asked for.</summary>
    public ConcurrentQueue<string> Asked { get; } = new();

    public string CaPem => _ca!.ExportCertificatePem();

    public string Uri => _certificate is null ? $"http://127.0.0.1:{_server.EndPoint.Port}/keys" : $"https://localhost:{_server.EndPoint.Port}/keys";

    public string Jwks
    {
        get
        {
            var point = _key.ExportParameters(false).Q;
            return $$"""{"keys":[{"kty":"EC","crv":"P-256","kid":"k{{_generation}}","x":"{{Base64Url.EncodeToString(point.X)}}","y":"{{Base64Url.EncodeToString(point.Y)}}"}]}""";
        }
    }

    /// <summary>From now on another key, under another name.</summary>
    public void Rotate() => (_key, _generation) = (ECDsa.Create(ECCurve.NamedCurves.nistP256), _generation + 1);

    public string Token(string audience = "pay", TimeSpan? life = null, string more = "", string? algorithm = null, string issuer = Issuer)
    {
        var expires = (DateTimeOffset.UtcNow + (life ?? TimeSpan.FromMinutes(5))).ToUnixTimeSeconds();
        var text = Encode($$"""{"alg":"{{algorithm ?? "ES256"}}","kid":"k{{_generation}}"}""") + "." + Encode($$"""{"iss":"{{issuer}}","sub":"me","aud":"{{audience}}","exp":{{expires}}{{more}}}""");
        return text + "." + (algorithm == "none" ? "" : Base64Url.EncodeToString(_key.SignData(Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation)));
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _certificate?.Dispose();
        _ca?.Dispose();
    }

    private static string Encode(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));

    private async Task ServeAsync(NetworkStream raw, App app)
    {
        Stream stream = raw;
        if (_certificate is not null)
        {
            var tls = new SslStream(raw);
            stream = tls;
            try
            {
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = _certificate });
            }
            catch (System.Security.Authentication.AuthenticationException e)
            {
                throw new IOException(e.Message, e);
            }
        }

        var reader = new App.ByteReader(stream);
        while (await reader.HeadAsync() is { } head)
        {
            var path = head.Split(' ')[1];
            Asked.Enqueue(path);
            await (Answer ?? ((to, _) => to.WriteAsync(Encoding.Latin1.GetBytes(App.Ok(Jwks))).AsTask()))(stream, path);
        }
    }
}
