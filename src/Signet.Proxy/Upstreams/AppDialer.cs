using System.Net;
using Signet.Hosting.Configuration;
using Signet.Proxy.Loop;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Upstreams;

/// <summary>Connects to the own application, in plaintext: nothing leaves the workload.</summary>
internal sealed class AppDialer(EndPoint app, ProxyCore core) : IUpstreamDialer
{
    /// <summary>The application is the same whatever this proxy's identity is.</summary>
    public object Era => this;

    public async Task<DialOutcome> DialAsync(EventLoop loop, bool forHttp, CancellationToken cancellationToken)
    {
        var (socket, failure) = await Connector.ConnectAsync(loop, app, core.Config.Timeouts.Connect, core.Time, cancellationToken).ConfigureAwait(false);
        return socket is null
            ? failure!
            : new DialOutcome.Connected(new UpstreamConnection(new BufferedTransport(socket), loop, EndPointText.Format(app), session: null));
    }
}
