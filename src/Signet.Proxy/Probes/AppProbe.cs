using System.Net;
using System.Net.NetworkInformation;
using System.Net.Security;
using System.Net.Sockets;
using Grpc.Core;
using Signet.Hosting.Admin;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;
using Signet.Proxy.Capture;
using Signet.Rpc;
using Signet.Rpc.Wire.Health;

namespace Signet.Proxy.Probes;

/// <summary>
/// Asks the application, on behalf of a prober that has no certificate, whether it is well. What is asked stands in the configuration; nothing
/// of the prober's request reaches the application, and of the answer only well or not comes back. Thread-safe: who asks while a probe is under
/// way gets that one's answer.
/// </summary>
internal sealed class AppProbe(ProbeConfig config, TimeProvider time)
{
    private readonly Lock _gate = new();
    private Task<AdminAnswer>? _running;

    /// <summary>The path of the probe.</summary>
    public AdminRoute Route => new("GET", config.Path, (_, _) => new(AskAsync()));

    private Task<AdminAnswer> AskAsync()
    {
        lock (_gate)
        {
            return _running = _running is { IsCompleted: false } running ? running : Task.Run(RunAsync);
        }
    }

    private async Task<AdminAnswer> RunAsync()
    {
        using var deadline = new CancellationTokenSource(config.Timeout, time);
        string problem;
        try
        {
            problem = config.Check switch
            {
                ProbeCheck.Http http => await AskHttpAsync(http, deadline.Token).ConfigureAwait(false),
                ProbeCheck.Grpc grpc => await AskGrpcAsync(grpc, deadline.Token).ConfigureAwait(false),
                _ => await AskTcpAsync(deadline.Token).ConfigureAwait(false),
            };
        }
        catch (OperationCanceledException)
        {
            problem = $"no answer within {DurationText.Format(config.Timeout)}";
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            problem = (e.InnerException ?? e).Message;
        }

        return problem.Length == 0 ? AdminAnswer.Text(200, "ok\n") : AdminAnswer.Text(503, $"{config.Target}: {Printable.Of(problem)}\n");
    }

    private async Task<string> AskTcpAsync(CancellationToken cancellationToken)
    {
        await using var stream = await ConnectAsync(cancellationToken).ConfigureAwait(false);
        return "";
    }

    private async Task<string> AskHttpAsync(ProbeCheck.Http http, CancellationToken cancellationToken)
    {
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, token) => await ConnectAsync(token).ConfigureAwait(false),
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            ActivityHeadersPropagator = null,
            MaxResponseDrainSize = 0,

            // The application is on this machine, and kubelet does not look at its certificate either.
            SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, _, _, _) => true },
        };
        using var client = new HttpMessageInvoker(handler);
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"{(http.IsHttps ? "https" : "http")}://{config.Target}{http.Path}"));
        request.Headers.ConnectionClose = true;
        request.Headers.Host = http.Host;
        foreach (var (name, value) in http.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await client.SendAsync(request, cancellationToken).ConfigureAwait(false);
        return (int)response.StatusCode is >= 200 and < 400 ? "" : $"the application answered {(int)response.StatusCode}";
    }

    private async Task<string> AskGrpcAsync(ProbeCheck.Grpc grpc, CancellationToken cancellationToken)
    {
        try
        {
            using var channel = GrpcChannel.ForConnections(config.Target.ToString(), async token => await ConnectAsync(token).ConfigureAwait(false), time);
            var answer = await new Health.HealthClient(channel).CheckAsync(new HealthCheckRequest { Service = grpc.Service }, cancellationToken: cancellationToken).ConfigureAwait(false);
            return answer.Status == HealthCheckResponse.Types.ServingStatus.Serving ? "" : $"the application says {answer.Status}";
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return $"{e.StatusCode}: {e.Status.Detail}";
        }
    }

    /// <summary>Only to this machine, whatever the configuration says, and past the rules that lead the proxy's own calls to its inbound port.</summary>
    /// <exception cref="IOException">There is no connection.</exception>
    private async Task<NetworkStream> ConnectAsync(CancellationToken cancellationToken)
    {
        var target = config.Target;
        var isLoopback = IPAddress.IsLoopback(target.Address);
        if (!isLoopback && !IsOurs(target.Address))
        {
            throw new IOException("the address is not one of this machine");
        }

        var socket = new Socket(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (!isLoopback)
            {
                socket.Bind(new IPEndPoint(CapturePlan.AppSource(target.Address), 0));
            }

            await socket.ConnectAsync(target, cancellationToken).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new IOException(e.Message, e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static bool IsOurs(IPAddress address) =>
        NetworkInterface.GetAllNetworkInterfaces().SelectMany(network => network.GetIPProperties().UnicastAddresses).Any(own => own.Address.Equals(address));
}
