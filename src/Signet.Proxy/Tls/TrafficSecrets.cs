using System.Security.Cryptography;

namespace Signet.Proxy.Tls;

/// <summary>
/// The secrets from which both directions' first keys are made (RFC 8446 §7.2), as OpenSSL tells them while a handshake runs. Mutable; one
/// owner, who wipes them when the keys are made. They never leave the process.
/// </summary>
internal struct TrafficSecrets
{
    private byte[]? _client;
    private byte[]? _server;

    public readonly bool AreKnown => _client is not null && _server is not null;

    public readonly ReadOnlySpan<byte> Client => _client;

    public readonly ReadOnlySpan<byte> Server => _server;

    /// <summary>Takes one line of SSL_CTX_set_keylog_callback(3): a label, the client's random and a secret, in hexadecimal. Others are of no use here.</summary>
    public void Take(ReadOnlySpan<byte> line)
    {
        if (line.StartsWith("CLIENT_TRAFFIC_SECRET_0 "u8))
        {
            _client = LastField(line);
        }
        else if (line.StartsWith("SERVER_TRAFFIC_SECRET_0 "u8))
        {
            _server = LastField(line);
        }
    }

    public void Wipe()
    {
        CryptographicOperations.ZeroMemory(_client);
        CryptographicOperations.ZeroMemory(_server);
        (_client, _server) = (null, null);
    }

    private static byte[] LastField(ReadOnlySpan<byte> line) => Convert.FromHexString(line[(line.LastIndexOf((byte)' ') + 1)..]);
}
