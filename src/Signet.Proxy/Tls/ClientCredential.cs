namespace Signet.Proxy.Tls;

/// <summary>
/// What a client's handshakes present, a certificate or nothing, and the sessions that were made with it. Thread-safe. Dispose once no handshake begins
/// with it any more.
/// </summary>
/// <param name="context">Its settings.</param>
/// <param name="hasCertificate">Whether a certificate is presented to a server that asks for one.</param>
internal sealed class ClientCredential(TlsContext context, bool hasCertificate) : IDisposable
{
    public TlsContext Context => context;

    public bool HasCertificate => hasCertificate;

    public TlsSessions Sessions { get; } = new();

    public void Dispose()
    {
        context.Dispose();
        Sessions.Dispose();
    }
}
