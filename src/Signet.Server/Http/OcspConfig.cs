using System.Net;
using Signet.Hosting.Configuration;

namespace Signet.Server.Http;

/// <summary>The key <c>ocsp</c> of server.yaml: where questions after revocation are answered. Without it no port is opened.</summary>
/// <param name="Listen">Where it listens, without TLS: answers are signed.</param>
public sealed record OcspConfig(IPEndPoint Listen)
{
    /// <summary>Reads the section; null when it is absent.</summary>
    public static OcspConfig? Read(ConfigSection ocsp)
    {
        var listen = ocsp.ListenEndPoint("listen", "127.0.0.1:8082");
        return ocsp.IsPresent ? new OcspConfig(listen) : null;
    }
}
