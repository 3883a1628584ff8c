using System.Net;
using System.Net.Sockets;
using Signet.Proxy;
using Signet.Proxy.Loop;
using Signet.Proxy.Upstreams;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Loop;

/// <summary>Several addresses on loopback: one that takes connections, one that refuses, one that keeps silent because its queue is full.</summary>
public sealed class ConnectorTests : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private readonly EventLoop _loop = new("test loop", _ => { });
    private readonly ManualTimeProvider _time = new();
    private readonly List<Socket> _sockets = [];

    public async ValueTask DisposeAsync()
    {
        _sockets.ForEach(socket => socket.Dispose());
        _loop.Stop();
        await _loop.Ended.WaitAsync(Deadline);
    }

    [Fact]
    public async Task Takes_the_first_address_without_waiting_for_another()
    {
        var (first, second) = (Taking(), Taking());

        await using var socket = await RaceAsync(first, second).WaitAsync(Deadline);

        Assert.True(first.Poll(Deadline, SelectMode.SelectRead));
        Assert.False(second.Poll(TimeSpan.Zero, SelectMode.SelectRead));
    }

    [Fact]
    public async Task Goes_on_at_once_when_an_address_refuses()
    {
        var taking = Taking();

        await using var socket = await RaceAsync(Refusing(), Refusing(), taking).WaitAsync(Deadline);

        Assert.True(taking.Poll(Deadline, SelectMode.SelectRead));
    }

    [Fact]
    public async Task Tries_the_next_address_when_one_keeps_silent_for_a_while()
    {
        var taking = Taking();
        var racing = RaceAsync(Silent(), taking);
        await Eventually.IsTrueAsync(() => _time.WaitingTimers > 0, "the first address is being waited for");
        Assert.False(taking.Poll(TimeSpan.Zero, SelectMode.SelectRead));

        _time.Advance(TimeSpan.FromMilliseconds(250));

        await using var socket = await racing.WaitAsync(Deadline);
        Assert.True(taking.Poll(Deadline, SelectMode.SelectRead));
        await Eventually.IsTrueAsync(() => _loop.Load == 1, "the loser is closed");
    }

    [Fact]
    public async Task Names_every_failure_when_no_address_is_left()
    {
        var problem = await Assert.ThrowsAsync<IOException>(() => RaceAsync(Refusing(), Refusing()).WaitAsync(Deadline));

        Assert.Contains("refused", problem.Message, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(0, _loop.Load);
    }

    [Fact]
    public async Task Says_so_when_a_name_has_no_address() =>
        Assert.Contains("no addresses", (await Assert.ThrowsAsync<IOException>(() => Connector.RaceAsync(_loop, [], _time, CancellationToken.None))).Message, StringComparison.Ordinal);

    [Fact]
    public async Task Leaves_no_socket_behind_when_the_caller_gives_up()
    {
        using var cancel = new CancellationTokenSource();
        var racing = Connector.RaceAsync(_loop, [EndPointOf(Silent()), EndPointOf(Silent())], _time, cancel.Token);
        await Eventually.IsTrueAsync(() => _time.WaitingTimers > 0, "the first address is being waited for");
        _time.Advance(TimeSpan.FromMilliseconds(250));
        await Eventually.IsTrueAsync(() => _loop.Load == 2, "both are being tried");

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => racing.WaitAsync(Deadline));
        await Eventually.IsTrueAsync(() => _loop.Load == 0, "both are closed");
    }

    [Fact]
    public async Task Leaves_no_socket_behind_when_giving_up_races_with_an_answer()
    {
        var taking = Taking();
        for (var i = 0; i < 300; i++)
        {
            using var cancel = new CancellationTokenSource();
            var racing = Connector.RaceAsync(_loop, [EndPointOf(taking), EndPointOf(taking)], _time, cancel.Token);
            var cancelling = Task.Run(cancel.Cancel);
            try
            {
                await (await racing.WaitAsync(Deadline)).DisposeAsync();
            }
            catch (OperationCanceledException)
            {
                // Giving up was faster.
            }

            await cancelling;
            while (taking.Poll(TimeSpan.Zero, SelectMode.SelectRead))
            {
                (await taking.AcceptAsync()).Dispose();
            }
        }

        await Eventually.IsTrueAsync(() => _loop.Load == 0, "every socket is closed");
    }

    [Fact]
    public async Task Gives_up_after_its_deadline_and_says_how_long_it_waited()
    {
        var connecting = Connector.ConnectAsync(_loop, EndPointOf(Silent()), TimeSpan.FromSeconds(5), _time, CancellationToken.None);
        await Eventually.IsTrueAsync(() => _loop.Load == 1 && _time.WaitingTimers > 0, "it is being tried");

        _time.Advance(TimeSpan.FromSeconds(5));

        var (socket, failure) = await connecting.WaitAsync(Deadline);
        Assert.Null(socket);
        Assert.Equal(RefusalReason.UpstreamConnectTimeout, failure!.Reason);
        Assert.Contains("5s", failure.Detail, StringComparison.Ordinal);
        await Eventually.IsTrueAsync(() => _loop.Load == 0, "it is closed");
    }

    private Task<LoopSocket> RaceAsync(params Socket[] addresses) => Connector.RaceAsync(_loop, [.. addresses.Select(EndPointOf)], _time, CancellationToken.None);

    private static IPEndPoint EndPointOf(Socket socket) => (IPEndPoint)socket.LocalEndPoint!;

    private Socket Taking()
    {
        var socket = Refusing();
        socket.Listen(512);
        return socket;
    }

    private Socket Refusing()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _sockets.Add(socket);
        return socket;
    }

    /// <summary>The kernel drops what does not fit into the queue, and who knocks hears nothing.</summary>
    private Socket Silent()
    {
        var socket = Refusing();
        socket.Listen(0);
        for (var i = 0; i < 2; i++)
        {
            var filler = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
            _sockets.Add(filler);
            try
            {
                filler.Connect(socket.LocalEndPoint!);
            }
            catch (SocketException)
            {
                // In progress.
            }
        }

        return socket;
    }
}
