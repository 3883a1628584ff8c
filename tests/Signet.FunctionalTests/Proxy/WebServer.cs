using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Signet.Identity.X509;
using Signet.Testing;
using Signet.Testing.X509;

namespace Signet.FunctionalTests.Proxy;

/// <summary>A server outside the mesh: TLS as the web does it, and an answer that says what it saw of the client.</summary>
internal sealed class WebServer(App app) : IAsyncDisposable
{
    public static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;

    public IPEndPoint EndPoint => app.EndPoint;

    public App App => app;

    /// <summary>An authority of one's own.</summary>
    public static ForgedCertificate Authority(string name = "CN=web authority") => (CertificateForge.Authority(name) with { NotBefore = Now.AddDays(-1), NotAfter = Now.AddDays(10) }).SignSelf();

    public static ForgedCertificate Leaf(ForgedCertificate authority, string name = "orders.default.svc.cluster.local", DateTimeOffset? notAfter = null) =>
        (CertificateForge.Server(name) with { NotBefore = Now.AddDays(-1), NotAfter = notAfter ?? Now.AddDays(1) }).Sign(authority);

    public static ForgedCertificate Client(ForgedCertificate authority, string subject, DateTimeOffset? notAfter = null) =>
        (CertificateForge.Server("client") with { Subject = subject, Purposes = [CertificateForge.ClientAuth], NotBefore = Now.AddDays(-1), NotAfter = notAfter ?? Now.AddDays(1) }).Sign(authority);

    /// <summary>Speaks HTTP; a body of <c>subject|sni|alpn</c> tells who called.</summary>
    /// <param name="leaf">What it presents.</param>
    /// <param name="asksFor">Whose client certificates it must see; null asks for none.</param>
    public static WebServer Http(ForgedCertificate leaf, ForgedCertificate? asksFor = null) => new(App.Serving(async (stream, app) =>
    {
        await using var tls = await AcceptAsync(stream, leaf, asksFor);
        if (tls is null)
        {
            return;
        }

        var reader = new App.ByteReader(tls);
        while (await reader.HeadAsync() is { } head)
        {
            app.Heads.Enqueue(head);
            await tls.WriteAsync(Encoding.Latin1.GetBytes(App.Ok($"{tls.RemoteCertificate?.Subject}|{tls.TargetHostName}|{tls.NegotiatedApplicationProtocol}")));
        }
    }));

    /// <summary>Sends back what it gets.</summary>
    public static WebServer Echo(ForgedCertificate leaf) => new(App.Serving(async (stream, _) =>
    {
        await using var tls = await AcceptAsync(stream, leaf, asksFor: null);
        await (tls?.CopyToAsync(tls) ?? Task.CompletedTask);
    }));

    public ValueTask DisposeAsync() => app.DisposeAsync();

    private static async Task<SslStream?> AcceptAsync(Stream stream, ForgedCertificate leaf, ForgedCertificate? asksFor)
    {
        var tls = new SslStream(stream);
        using var certificate = X509CertificateLoader.LoadCertificate(leaf.Certificate.Der.Span);
        try
        {
            await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
            {
                ServerCertificate = certificate.CopyWithPrivateKey((ECDsa)leaf.Key),
                ClientCertificateRequired = asksFor is not null,
                ApplicationProtocols = [SslApplicationProtocol.Http11],
                RemoteCertificateValidationCallback = (_, remote, _, _) => asksFor is null
                    || (remote is not null && Certificate.Parse(remote.GetRawCertData()).IsSignedBy(asksFor.Certificate)),
            });
            return tls;
        }
        catch (Exception e) when (e is System.Security.Authentication.AuthenticationException or IOException)
        {
            await tls.DisposeAsync();
            return null;
        }
    }
}
