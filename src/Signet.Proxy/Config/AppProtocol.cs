namespace Signet.Proxy.Config;

/// <summary>What the application on a port speaks, as declared.</summary>
public enum AppProtocol
{
    /// <summary>Not declared: HTTP is recognised by its first bytes, everything else is TCP.</summary>
    Auto,

    /// <summary>HTTP/1.1; clients may speak HTTP/2 all the same.</summary>
    Http,

    /// <summary>HTTP/2 without TLS, as gRPC does; clients may speak HTTP/1.1 all the same.</summary>
    Http2,

    Tcp,
}

internal static class AppProtocols
{
    /// <summary>Whether it is declared to be HTTP, in whatever version.</summary>
    public static bool IsHttp(this AppProtocol protocol) => protocol is AppProtocol.Http or AppProtocol.Http2;
}
