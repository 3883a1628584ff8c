namespace Signet.Proxy.Config;

/// <summary>What the application on a port speaks, as declared.</summary>
public enum AppProtocol
{
    /// <summary>Not declared: HTTP/1 is recognised by its first bytes, everything else is TCP.</summary>
    Auto,

    Http,

    Tcp,
}
