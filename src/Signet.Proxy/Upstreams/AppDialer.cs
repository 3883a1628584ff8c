using System.Net;
using Signet.Hosting.Configuration;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Upstreams;

/// <summary>Connects to the own application, in plaintext: nothing leaves the workload.</summary>
internal sealed class AppDialer(EndPoint app, ProxyCore core) : IUpstreamDialer
{
    /// <summary>The application is the same whatever this proxy's identity is.</summary>
    public object Era => this;

    public async Task<DialOutcome> DialAsync(bool forHttp, CancellationToken cancellationToken)
    {
        var (transport, failure) = await Connector.ConnectAsync(app, core.Config.Timeouts.Connect, core.Time, cancellationToken).ConfigureAwait(false);
        return transport is null
            ? failure!
            : new DialOutcome.Connected(new UpstreamConnection(new BufferedTransport(transport), EndPointText.Format(app), session: null));
    }
}
