using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Signet.Hosting.Configuration;
using Signet.Policy;
using Signet.Proxy.Transport;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Authorization;

/// <summary>
/// The way to an external authoriser. Whoever can answer in its place decides what passes, so there are two ways only: an outbound service of
/// this proxy, by mutual TLS, or a loopback address.
/// </summary>
internal static class AuthoriserRoute
{
    /// <summary>Its host and port.</summary>
    public static string Authority(ExternalAuthoriser authoriser) => string.Create(CultureInfo.InvariantCulture, $"{authoriser.Host}:{authoriser.Port}");

    /// <summary>Opens connections to it; null when there is no safe way.</summary>
    public static Func<CancellationToken, ValueTask<Stream>>? Find(ExternalAuthoriser authoriser, ProxyCore core, ProxyModel model, out string problem)
    {
        problem = "";
        if (core.Config.Outbound.FirstOrDefault(outbound => outbound.Port == authoriser.Port && outbound.Host == authoriser.Host) is { } service)
        {
            if (MeshDialer.TlsFor(service, core.Config.Workload, model) is { Mode: ClientTlsMode.Disable } tls && (service.IsLocated || !service.Endpoints.All(IsLoopback)))
            {
                problem = $"{tls.From ?? "a DestinationRule"} asks for plaintext to {Authority(authoriser)}, where anybody on the way could answer";
                return null;
            }

            if (MeshDialer.TlsFor(service, core.Config.Workload, model) is { Settings.InsecureSkipVerify: true } unseen && (service.IsLocated || !service.Endpoints.All(IsLoopback)))
            {
                problem = $"{unseen.From} believes any certificate of {Authority(authoriser)}, so anybody on the way could answer";
                return null;
            }

            var dialer = new MeshDialer(service, core);
            return cancellationToken => DialAsync(core, dialer, authoriser.Protocol == AuthoriserProtocol.Http ? UpstreamUse.Http1 : UpstreamUse.Tcp, cancellationToken);
        }

        if (LoopbackOf(authoriser.Host) is { } address)
        {
            return cancellationToken => ConnectAsync(new IPEndPoint(address, authoriser.Port), core, cancellationToken);
        }

        problem = $"{Authority(authoriser)} is neither an outbound service of this proxy nor a loopback address; list it under outbound, so that it is reached by mutual TLS";
        return null;
    }

    private static bool IsLoopback(EndPoint endPoint) => endPoint is IPEndPoint { Address: var address } && IPAddress.IsLoopback(address);

    private static IPAddress? LoopbackOf(string host) =>
        host == "localhost" ? IPAddress.Loopback
        : IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address) ? address
        : null;

    private static async ValueTask<Stream> DialAsync(ProxyCore core, MeshDialer dialer, UpstreamUse use, CancellationToken cancellationToken) =>
        await dialer.DialAsync(core.Loops.Any(), use, cancellationToken).ConfigureAwait(false) switch
        {
            DialOutcome.Connected connected => new UpstreamStream(connected.Connection),
            DialOutcome.Failed failed => throw new IOException($"{failed.Reason}: {failed.Detail}"),
            _ => throw new InvalidOperationException("a dial ends in one of two ways"),
        };

    private static async ValueTask<Stream> ConnectAsync(IPEndPoint to, ProxyCore core, CancellationToken cancellationToken)
    {
        var loop = core.Loops.Any();
        var (socket, failure) = await Connector.ConnectAsync(loop, to, source: null, core.Config.Timeouts.Connect, core.Time, cancellationToken).ConfigureAwait(false);
        return socket is null
            ? throw new IOException(failure!.Detail)
            : new UpstreamStream(new UpstreamConnection(new BufferedTransport(socket), loop, EndPointText.Format(to), session: null));
    }
}
