using System.Net;
using Signet.Hosting.Configuration;
using Signet.Proxy.Capture;
using Signet.Proxy.Config;
using Signet.Proxy.L7;
using Signet.Proxy.Loop;
using Signet.Proxy.Tls;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Upstreams;

/// <summary>Connects to the own application, in plaintext: nothing leaves the workload.</summary>
/// <param name="app">Where it listens.</param>
/// <param name="protocol">What it speaks, as declared.</param>
/// <param name="preface">What it is told about the client before anything else; empty: nothing. A connection then serves that client alone.</param>
/// <param name="core">The proxy.</param>
internal sealed class AppDialer(EndPoint app, AppProtocol protocol, ReadOnlyMemory<byte> preface, ProxyCore core) : IUpstreamDialer
{
    /// <summary>The application is the same whatever this proxy's identity is.</summary>
    public object Era => this;

    public Upstream? Upstream => null;

    /// <summary>Where nothing was declared, a client that speaks HTTP/2 without having been asked knows that the application does (RFC 9113 §3.3).</summary>
    public bool PrefersHttp2(ProtocolVersion asked) => protocol == AppProtocol.Http2 || (protocol == AppProtocol.Auto && asked == ProtocolVersion.Http2);

    public bool SpeaksHttp2(TlsSession? session) => true;

    public Task<DialOutcome> DialAsync(EventLoop loop, UpstreamEndpoint endpoint, UpstreamUse use, CancellationToken cancellationToken) => DialAsync(loop, use, cancellationToken);

    public async Task<DialOutcome> DialAsync(EventLoop loop, UpstreamUse use, CancellationToken cancellationToken)
    {
        var (socket, failure) = await Connector.ConnectAsync(loop, app, Source, core.Config.Timeouts.Connect, core.Time, cancellationToken).ConfigureAwait(false);
        if (socket is null)
        {
            return failure!;
        }

        var name = EndPointText.Format(app);
        if (!preface.IsEmpty)
        {
            try
            {
                await socket.WriteAsync(preface, cancellationToken).ConfigureAwait(false);
            }
            catch (IOException e)
            {
                await socket.DisposeAsync().ConfigureAwait(false);
                return new DialOutcome.Failed(RefusalReason.UpstreamClosed, $"{name}: {e.Message}", name);
            }
            catch (OperationCanceledException)
            {
                await socket.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }

        return new DialOutcome.Connected(new UpstreamConnection(new BufferedTransport(socket), loop, name, session: null));
    }

    /// <summary>
    /// Where connections are captured, those to the application at an address of the workload must be told apart from the proxy's calls to its
    /// own workload as a service. From such a source the kernel reaches this machine only.
    /// </summary>
    private IPAddress? Source => core.Config.Capture.Mode != CaptureMode.None && app is IPEndPoint { Address: var address } && !IPAddress.IsLoopback(address) ? CapturePlan.AppSource(address) : null;
}
