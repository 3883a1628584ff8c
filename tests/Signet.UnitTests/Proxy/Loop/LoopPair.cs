using System.Net;
using System.Net.Sockets;
using Signet.Proxy.Loop;

namespace Signet.UnitTests.Proxy.Loop;

/// <summary>A loop with one connection over loopback: one end on the loop, the other in the test's hands.</summary>
internal sealed class LoopPair : IAsyncDisposable
{
    private readonly List<Exception> _faults = [];

    private LoopPair() => Loop = new EventLoop("test loop", fault =>
    {
        lock (_faults)
        {
            _faults.Add(fault);
        }
    });

    public EventLoop Loop { get; }

    /// <summary>The end on the loop.</summary>
    public LoopSocket Near { get; private set; } = null!;

    /// <summary>The test's end.</summary>
    public Socket Far { get; private set; } = null!;

    public static async Task<LoopPair> ConnectAsync()
    {
        var pair = new LoopPair();
        (pair.Near, pair.Far) = await ConnectAsync(pair.Loop);
        await Task.Yield();
        return pair;
    }

    /// <summary>One more connection on a loop.</summary>
    public static async Task<(LoopSocket Near, Socket Far)> ConnectAsync(EventLoop loop)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var near = await LoopSocket.ConnectAsync(loop, (IPEndPoint)listener.LocalEndPoint!, CancellationToken.None);
        await Task.Yield();
        return (near, await listener.AcceptAsync());
    }

    /// <summary>Runs it on the loop's thread.</summary>
    public static async Task<T> OnAsync<T>(EventLoop loop, Func<T> work)
    {
        await loop.EnterAsync();
        var result = work();
        await Task.Yield();
        return result;
    }

    public async ValueTask DisposeAsync()
    {
        await Near.DisposeAsync();
        Far.Dispose();
        Loop.Stop();
        await Loop.Ended.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Empty(_faults);
    }
}
