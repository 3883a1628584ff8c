using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Signet.Rpc.Wire.Attestation;

namespace Signet.Agent.Attestation;

/// <summary>Shows that this node is the host of its name: what the server sends appears on a port of it, for as long as the attestation takes.</summary>
internal sealed class HttpChallengeAttestor(AttestorConfig.HttpChallenge config) : INodeAttestor
{
    public string Type => HttpChallengeWire.Type;

    public async Task<INodeAttestation> BeginAsync(CancellationToken cancellationToken)
    {
        var attestation = new Attestation(config);
        try
        {
            await attestation.ListenAsync(cancellationToken).ConfigureAwait(false);
            return attestation;
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            await attestation.DisposeAsync().ConfigureAwait(false);
            throw new AttestationException($"nothing can listen on {config.Listen} for the server's challenge: {e.Message}");
        }
    }

    private sealed class Attestation : INodeAttestation
    {
        private const int MaxConnections = 16;

        private readonly AttestorConfig.HttpChallenge _config;
        private readonly WebApplication _app;
        private HttpChallengeWire _shown;
        private string _nonce = "";

        public Attestation(AttestorConfig.HttpChallenge config)
        {
            _config = config;
            _shown = new HttpChallengeWire(config.HostName, config.AgentName, config.AdvertisedPort ?? config.Listen.Port);
            var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
            builder.WebHost.UseKestrelCore().UseSockets(sockets => sockets.CreateBoundListenSocket = Bind).ConfigureKestrel(kestrel =>
            {
                kestrel.AddServerHeader = false;
                kestrel.Limits.MaxConcurrentConnections = MaxConnections;
                kestrel.Limits.MaxRequestBodySize = 0;
                kestrel.Listen(config.Listen, http => http.Protocols = HttpProtocols.Http1);
            });
            _app = builder.Build();
            _app.Run(AnswerAsync);
        }

        public ReadOnlyMemory<byte> Payload => _shown.Encode();

        public Task ListenAsync(CancellationToken cancellationToken) => _app.StartAsync(cancellationToken);

        public Task<ReadOnlyMemory<byte>> AnswerAsync(ReadOnlyMemory<byte> challenge, CancellationToken cancellationToken)
        {
            if (!HttpChallengeWire.TryReadChallenge(challenge, out var nonce, out var problem))
            {
                throw AttestationException.BadChallenge(problem);
            }

            Volatile.Write(ref _nonce, nonce);
            return Task.FromResult<ReadOnlyMemory<byte>>(HttpChallengeWire.EncodeReady());
        }

        public async ValueTask DisposeAsync()
        {
            await _app.StopAsync(CancellationToken.None).ConfigureAwait(false);
            await _app.DisposeAsync().ConfigureAwait(false);
        }

        private Socket Bind(EndPoint endPoint)
        {
            var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endPoint);
            _shown = _shown with { Port = _config.AdvertisedPort ?? ((IPEndPoint)socket.LocalEndPoint!).Port };
            return socket;
        }

        private async Task AnswerAsync(HttpContext context)
        {
            if (context.Request.Method != HttpMethods.Get || context.Request.Path != _shown.Path || Volatile.Read(ref _nonce) is not { Length: > 0 } nonce)
            {
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                return;
            }

            context.Response.ContentType = "text/plain";
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(nonce + "\n"), context.RequestAborted).ConfigureAwait(false);
        }
    }
}
