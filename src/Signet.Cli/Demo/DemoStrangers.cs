using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Signet.Client.Tls;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Cli.Demo;

/// <summary>
/// Clients that should not get in, with certificates of the demo's own making: the same identity as orders, signed by nobody the mesh
/// knows, or signed well and long expired.
/// </summary>
internal static class DemoStrangers
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>An identity under a CA of the stranger's own.</summary>
    public static X509Svid OfAnotherAuthority(SpiffeId id, DateTimeOffset now)
    {
        var anchorKey = KeyPair.Generate(KeyType.EcP256);
        var anchor = CertificateTemplate
            .Authority(id.TrustDomain, KeyPair.ExportPublicKey(anchorKey), now.AddMinutes(-1), now.AddHours(1), "somebody else's anchor")
            .SignSelf(anchorKey);
        var key = KeyPair.Generate(KeyType.EcP256);
        var leaf = CertificateTemplate.Leaf(id, KeyPair.ExportPublicKey(key), now.AddMinutes(-1), now.AddHours(1)).Sign(anchor, anchorKey);
        return Svid([leaf], key);
    }

    /// <summary>Tries a TLS handshake and one request.</summary>
    /// <returns>What the stranger got: a status line, or how the connection ended.</returns>
    public static async Task<string> TryAsync(X509Svid svid, int port, TimeProvider time, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync("127.0.0.1", port, limit.Token).ConfigureAwait(false);
            await using var tls = new SslStream(client.GetStream());
            await tls.AuthenticateAsClientAsync(SvidTls.Client(new TlsCredential(svid), "orders", (_, _) => true), limit.Token).ConfigureAwait(false);
            await tls.WriteAsync("GET /orders HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n"u8.ToArray(), limit.Token).ConfigureAwait(false);
            var buffer = new byte[1024];
            var read = await tls.ReadAsync(buffer, limit.Token).ConfigureAwait(false);
            return read == 0 ? "the connection was closed without an answer" : System.Text.Encoding.ASCII.GetString(buffer, 0, read).Split('\r')[0];
        }
        catch (Exception e) when (e is IOException or AuthenticationException or SocketException)
        {
            return "the connection was closed without an answer";
        }
    }

    private static X509Svid Svid(IReadOnlyList<Certificate> chain, System.Security.Cryptography.AsymmetricAlgorithm key) =>
        X509Svid.TryCreate(chain, key, hint: null, out var svid, out var problem) ? svid : throw new DemoException(problem);
}
