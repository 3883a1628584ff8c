using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Signet.Client;
using Signet.Client.Tls;
using Signet.Identity.X509;

namespace Signet.Testing;

/// <summary>
/// A service and its callers, each with an identity of its own that rotates: so many new mutual-TLS connections a second, a message each way over
/// each, until the test has seen enough. Counts what held and remembers what did not.
/// </summary>
public sealed class MutualTlsLoad : IAsyncDisposable
{
    private readonly IX509Source _service;
    private readonly IX509Source _caller;
    private readonly Socket _listener = new(SocketType.Stream, ProtocolType.Tcp);
    private readonly ConditionalWeakTable<X509Svid, TlsCredential> _credentials = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly List<string> _failures = [];
    private readonly Task _accepting;
    private readonly Task _calling;
    private int _held;

    /// <param name="service">Who answers.</param>
    /// <param name="caller">Who calls.</param>
    /// <param name="perSecond">How many connections a second are begun, whether or not those before have ended.</param>
    public MutualTlsLoad(IX509Source service, IX509Source caller, int perSecond)
    {
        (_service, _caller) = (service, caller);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(512);
        _accepting = AcceptAsync();
        _calling = CallAsync(perSecond);
    }

    /// <summary>Connections that held from the handshake to the last byte.</summary>
    public int Held => Volatile.Read(ref _held);

    /// <summary>Why others did not.</summary>
    public IReadOnlyList<string> Failures
    {
        get
        {
            lock (_failures)
            {
                return [.. _failures];
            }
        }
    }

    /// <summary>Begins no more connections, and lets those under way end.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _calling;
        _listener.Dispose();
        await _accepting;
        _stop.Dispose();
    }

    private async Task CallAsync(int perSecond)
    {
        var calls = new List<Task>();
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1.0 / perSecond));
        while (!_stop.IsCancellationRequested)
        {
            calls.RemoveAll(call => call.IsCompletedSuccessfully);
            calls.Add(CallOnceAsync());
            await ((Task)timer.WaitForNextTickAsync(_stop.Token).AsTask()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await Task.WhenAll(calls);
    }

    private async Task CallOnceAsync()
    {
        try
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(_listener.LocalEndPoint!, patience.Token);
            await using var tls = new SslStream(new NetworkStream(socket));
            var refusal = "";
            await tls.AuthenticateAsClientAsync(SvidTls.Client(Credential(_caller), "", (presented, problem) => Judge(_caller, presented, problem, CertificateUsage.Server, out refusal)), patience.Token);
            await tls.WriteAsync(new byte[] { 1 }, patience.Token);
            await tls.ReadExactlyAsync(new byte[1], patience.Token);
            Interlocked.Increment(ref _held);
        }
        catch (Exception e)
        {
            Fail($"caller: {e.Message}");
        }
    }

    private async Task AcceptAsync()
    {
        var answers = new List<Task>();
        try
        {
            while (true)
            {
                answers.RemoveAll(answer => answer.IsCompletedSuccessfully);
                answers.Add(AnswerAsync(await _listener.AcceptAsync()));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            await Task.WhenAll(answers);
        }
    }

    private async Task AnswerAsync(Socket socket)
    {
        try
        {
            await using var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
            await tls.AuthenticateAsServerAsync(SvidTls.Server(Credential(_service), clientCertificate: true, (presented, problem) => Judge(_service, presented, problem, CertificateUsage.Client, out _)));
            var message = new byte[1];
            await tls.ReadExactlyAsync(message);
            await tls.WriteAsync(message);
        }
        catch (Exception e)
        {
            Fail($"service: {e.Message}");
        }
    }

    private TlsCredential Credential(IX509Source source) => _credentials.GetValue(source.Current!.Default, svid => new TlsCredential(svid));

    private bool Judge(IX509Source source, IReadOnlyList<Certificate> presented, string problem, CertificateUsage usage, out string refusal)
    {
        var verdict = SvidVerifier.Verify(presented, source.Current!.Bundles, usage, DateTimeOffset.UtcNow);
        refusal = problem.Length > 0 ? problem : verdict.Reason;
        if (refusal.Length > 0)
        {
            Fail(refusal);
        }

        return refusal.Length == 0;
    }

    private void Fail(string reason)
    {
        lock (_failures)
        {
            _failures.Add(reason);
        }
    }
}
