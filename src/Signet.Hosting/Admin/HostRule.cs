using System.Net;
using Microsoft.AspNetCore.Http;

namespace Signet.Hosting.Admin;

/// <summary>
/// Which <c>Host</c> headers an admin endpoint answers to. A web page can make a browser send requests here under a name of its own that it points
/// at this machine (DNS rebinding), but it can't make the browser claim an address or <c>localhost</c>.
/// </summary>
internal sealed class HostRule(bool loopbackOnly)
{
    /// <summary>Whether the request was meant for this endpoint.</summary>
    public bool Allows(HostString host)
    {
        var name = host.Host;
        if (name.Equals("localhost", StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        name = name.StartsWith('[') && name.EndsWith(']') ? name[1..^1] : name;
        return IPAddress.TryParse(name, out var address) && (!loopbackOnly || IPAddress.IsLoopback(address));
    }

    /// <summary>
    /// Whether a POST may come from where it says it does. Programs send neither header; a browser sends at least one, and only a page of this very
    /// endpoint may post.
    /// </summary>
    public static bool ComesFromElsewhere(IHeaderDictionary headers, HostString host)
    {
        var site = headers["Sec-Fetch-Site"];
        if (site.Count > 0 && site != "same-origin" && site != "none")
        {
            return true;
        }

        var origin = headers.Origin;
        return origin.Count > 0 && origin != $"http://{host.Value}";
    }
}
