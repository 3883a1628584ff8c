using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace Signet.Hosting.Admin;

/// <summary>
/// Accepts connections for the web server on a socket that another process may hold too: to stop, it takes back its question for the next
/// connection, and neither shuts the socket down nor changes it, as closing it in the middle of that question would.
/// </summary>
/// <param name="bind">Gives the bound socket; it is disposed of at the end.</param>
/// <param name="logs">Where connections log.</param>
internal sealed class AdminTransport(Func<EndPoint, Socket> bind, ILoggerFactory logs) : IConnectionListenerFactory, IAsyncDisposable
{
    private const int Backlog = 512;

    private Listener? _listener;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var socket = bind(endpoint);
        socket.Listen(Backlog);
        return ValueTask.FromResult<IConnectionListener>(_listener = new Listener(socket, logs));
    }

    /// <summary>Takes no new connection; what was accepted goes on.</summary>
    public async Task StopAcceptingAsync()
    {
        if (_listener is not null)
        {
            await _listener.UnbindAsync().ConfigureAwait(false);
        }
    }

    public ValueTask DisposeAsync() => _listener?.DisposeAsync() ?? default;

    private sealed class Listener(Socket socket, ILoggerFactory logs) : IConnectionListener
    {
        // Holds nothing that needs releasing.
        private readonly CancellationTokenSource _stop = new();
        private readonly SocketConnectionContextFactory _connections = new(new SocketConnectionFactoryOptions(), logs.CreateLogger("Signet.Hosting.Admin"));

        public EndPoint EndPoint { get; } = socket.LocalEndPoint!;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (true)
            {
                try
                {
                    var accepted = await socket.AcceptAsync(_stop.Token).ConfigureAwait(false);
                    accepted.NoDelay = true;
                    return _connections.Create(accepted);
                }
                catch (OperationCanceledException)
                {
                    return null;
                }
                catch (SocketException)
                {
                    // The peer left before it was accepted.
                }
            }
        }

        public async ValueTask UnbindAsync(CancellationToken cancellationToken = default) => await _stop.CancelAsync().ConfigureAwait(false);

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync().ConfigureAwait(false);
            socket.Dispose();
            _connections.Dispose();
        }
    }
}
