using System.Net;
using System.Net.Sockets;
using Signet.Hosting.Configuration;
using Signet.Proxy.Loop;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// Opens a TCP connection within a deadline. A name is resolved each time, and its addresses race: the next one starts when one fails or
/// keeps silent for a while, IPv6 and IPv4 in turn, and the first to answer is taken (RFC 8305).
/// </summary>
internal static class Connector
{
    private static readonly TimeSpan AttemptDelay = TimeSpan.FromMilliseconds(250);
    private const int MaxAddresses = 8;

    /// <returns>The connection, or why there is none.</returns>
    /// <exception cref="OperationCanceledException">The caller no longer wants it.</exception>
    public static async Task<(LoopSocket? Socket, DialOutcome.Failed? Failure)> ConnectAsync(
        EventLoop loop, EndPoint endpoint, TimeSpan timeout, TimeProvider time, CancellationToken cancellationToken)
    {
        var name = EndPointText.Format(endpoint);
        using var deadline = new CancellationTokenSource(timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            var socket = endpoint is IPEndPoint ip
                ? await LoopSocket.ConnectAsync(loop, ip, both.Token).ConfigureAwait(false)
                : await RaceAsync(loop, await ResolveAsync((DnsEndPoint)endpoint, both.Token).ConfigureAwait(false), time, both.Token).ConfigureAwait(false);
            return (socket, null);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            return (null, new(RefusalReason.UpstreamConnectFailed, $"{name}: {e.Message}", name));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (null, new(RefusalReason.UpstreamConnectTimeout, $"{name}: no connection within {DurationText.Format(timeout)}", name));
        }
    }

    private static async Task<IReadOnlyList<IPEndPoint>> ResolveAsync(DnsEndPoint name, CancellationToken cancellationToken)
    {
        var addresses = await Dns.GetHostAddressesAsync(name.Host, name.AddressFamily, cancellationToken).ConfigureAwait(false);
        var v6 = addresses.Where(address => address.AddressFamily == AddressFamily.InterNetworkV6).ToList();
        var v4 = addresses.Where(address => address.AddressFamily == AddressFamily.InterNetwork).ToList();
        var inTurn = Enumerable.Range(0, Math.Max(v6.Count, v4.Count)).SelectMany(i => v6.Skip(i).Take(1).Concat(v4.Skip(i).Take(1)));
        return [.. inTurn.Take(MaxAddresses).Select(address => new IPEndPoint(address, name.Port))];
    }

    internal static async Task<LoopSocket> RaceAsync(EventLoop loop, IReadOnlyList<IPEndPoint> addresses, TimeProvider time, CancellationToken cancellationToken)
    {
        if (addresses.Count == 0)
        {
            throw new IOException("the name has no addresses");
        }

        using var losers = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = new List<Task<LoopSocket>>();
        try
        {
            return await FirstAsync(loop, addresses, running, time, losers.Token).ConfigureAwait(false);
        }
        finally
        {
            await losers.CancelAsync().ConfigureAwait(false);
            await CloseAsync(running).ConfigureAwait(false);
        }
    }

    /// <summary>The first connection; those that are still <paramref name="running"/> are the caller's to close, whatever comes of it.</summary>
    private static async Task<LoopSocket> FirstAsync(
        EventLoop loop, IReadOnlyList<IPEndPoint> addresses, List<Task<LoopSocket>> running, TimeProvider time, CancellationToken cancellationToken)
    {
        var failures = new List<string>();
        for (var started = 0; ;)
        {
            if (started < addresses.Count)
            {
                running.Add(LoopSocket.ConnectAsync(loop, addresses[started++], cancellationToken).AsTask());
            }

            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var delay = Task.Delay(started < addresses.Count ? AttemptDelay : Timeout.InfiniteTimeSpan, time, patience.Token);
            var first = await Task.WhenAny([.. running, delay]).ConfigureAwait(false);
            await patience.CancelAsync().ConfigureAwait(false);
            if (first is not Task<LoopSocket> attempt)
            {
                cancellationToken.ThrowIfCancellationRequested();
                continue;
            }

            running.Remove(attempt);
            try
            {
                return await attempt.ConfigureAwait(false);
            }
            catch (IOException e)
            {
                failures.Add(e.Message);
                if (running.Count == 0 && started == addresses.Count)
                {
                    throw new IOException(string.Join("; ", failures.Distinct()));
                }
            }
        }
    }

    /// <summary>Those that lost may have connected in the same moment.</summary>
    private static async Task CloseAsync(List<Task<LoopSocket>> attempts)
    {
        foreach (var attempt in attempts)
        {
            try
            {
                await (await attempt.ConfigureAwait(false)).DisposeAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                // It lost in another way.
            }
        }
    }
}
