using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Signet.Client.Tls;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>A peer of the mesh that ends mutual TLS, agrees on http/1.1 only and hands the bytes to an application.</summary>
internal sealed class OlderPeer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;

    private OlderPeer(IPEndPoint app)
    {
        _listener.Start();
        _accepting = AcceptAsync(app);
    }

    public TestAuthority Authority { get; } = new(DateTimeOffset.UtcNow);

    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndpoint;

    public static Task<OlderPeer> StartAsync(IPEndPoint app) => Task.FromResult(new OlderPeer(app));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task AcceptAsync(IPEndPoint app)
    {
        var serving = new List<Task>();
        var credential = new TlsCredential(Authority.Svid("/ns/default/sa/orders"));
        try
        {
            while (true)
            {
                serving.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_stop.Token), app, credential));
            }
        }
        finally
        {
            await Task.WhenAll(serving).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ServeAsync(TcpClient client, IPEndPoint app, TlsCredential credential)
    {
        using (client)
        using (var server = new TcpClient())
        {
            using var registration = _stop.Token.Register(client.Close);
            await using var tls = new SslStream(client.GetStream());
            await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
            {
                ServerCertificateContext = credential.Context,
                ClientCertificateRequired = true,
                RemoteCertificateValidationCallback = (_, _, _, _) => true,
                ApplicationProtocols = [SslApplicationProtocol.Http11],
            });
            await server.ConnectAsync(app);
            await Task.WhenAny(tls.CopyToAsync(server.GetStream()), server.GetStream().CopyToAsync(tls));
        }
    }
}
