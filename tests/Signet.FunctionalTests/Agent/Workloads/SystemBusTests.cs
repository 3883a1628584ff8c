using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Attestation.Workload.Systemd;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent.Workloads;

/// <summary>What systemd says of a unit, over a bus that speaks as the specification has it.</summary>
public sealed class SystemBusTests : IDisposable
{
    private const int Pid = 4711;
    private readonly TestFolder _folder = new();
    private readonly ContainerProc _proc = new();

    public SystemBusTests() => _proc.Put(Pid, "0::/system.slice/nginx.service\n");

    public void Dispose()
    {
        _folder.Dispose();
        _proc.Dispose();
    }

    [Fact]
    public async Task The_unit_and_its_file_become_SPIREs_selectors()
    {
        await using var bus = Bus(Text("/lib/systemd/system/nginx.service"));
        var verdict = await AttestAsync();
        Assert.Equal("", verdict.Problem);
        Assert.Equal(["systemd:fragment_path:/lib/systemd/system/nginx.service", "systemd:id:nginx.service"], verdict.Selectors.Select(selector => selector.ToString()).Order(StringComparer.Ordinal));
        Assert.Contains("/org/freedesktop/systemd1/unit/nginx_2eservice", bus.Heard);
        Assert.Contains("AUTH EXTERNAL 31303030", bus.Heard);
    }

    [Fact]
    public async Task A_unit_without_a_file_has_no_selector_for_it()
    {
        await using var bus = Bus(Text(""));
        Assert.Equal(["systemd:id:nginx.service"], (await AttestAsync()).Selectors.Select(selector => selector.ToString()));
    }

    [Fact]
    public async Task Where_nobody_asks_for_files_nobody_asks_the_bus() => Assert.Single((await AttestAsync(wantsFile: false)).Selectors);

    [Theory]
    [InlineData("nobody", "bus.sock")]
    [InlineData("refused", "does not let this agent in")]
    [InlineData("error", "org.example.Error")]
    [InlineData("a number", "not answered as a text")]
    [InlineData("garbage", "does not speak D-Bus")]
    [InlineData("endless", "does not speak D-Bus")]
    [InlineData("chatter", "that nobody asked for")]
    [InlineData("cut", "bus.sock")]
    public async Task A_bus_that_says_something_else_than_it_should_gives_nobody_anything(string what, string reason)
    {
        await using var bus = what == "nobody" ? null : Bus(what switch
        {
            "error" => Message(3, [4, 1, (byte)'s', 0, 17, 0, 0, 0, .. "org.example.Error"u8, 0], []),
            "a number" => Message(2, [], [1, (byte)'u', 0, 0, 1, 0, 0, 0]),
            "garbage" => [.. Enumerable.Repeat((byte)0xff, 64)],
            "endless" => [(byte)'l', 2, 1, 1, 0, 0, 0, 1, 9, 0, 0, 0, 8, 0, 0, 0],
            "chatter" => [.. Enumerable.Repeat(Message(4, [], [], replyTo: 0), 40).SelectMany(message => message)],
            "cut" => Text("/lib")[..^3],
            _ => Text("/lib"),
        }, greeting: what == "refused" ? "REJECTED EXTERNAL\r\n" : "OK 0123\r\n");
        var verdict = await AttestAsync();
        Assert.Contains(reason, verdict.Problem);
        Assert.Empty(verdict.Selectors);
    }

    [Fact]
    public async Task A_bus_that_hangs_is_given_up()
    {
        await using var bus = Bus([], stays: true);
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        var asked = new SystemBus(_folder.File("bus.sock"), 1000, time).UnitTextAsync("nginx.service", "FragmentPath", CancellationToken.None);
        await Eventually.IsTrueAsync(() => bus.Heard.Contains("FragmentPath", StringComparison.Ordinal), "the question");
        time.Advance(TimeSpan.FromSeconds(5));
        Assert.Contains("did not answer within 5 s", (await Assert.ThrowsAsync<SystemBusException>(() => asked)).Message);
    }

    private Task<WorkloadVerdict> AttestAsync(bool wantsFile = true) =>
        new SystemdAttestor(_proc.Proc, new SystemBus(_folder.File("bus.sock"), 1000, TimeProvider.System), () => wantsFile).AttestAsync(new WorkloadProcess(Pid, 0, 0, () => true), CancellationToken.None);

    private FakeBus Bus(byte[] answer, string greeting = "OK 0123\r\n", bool stays = false) => new(_folder.File("bus.sock"), greeting, answer, stays);

    private static byte[] Text(string text)
    {
        byte[] length = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, text.Length);
        return Message(2, [], [1, (byte)'s', 0, 0, .. length, .. Encoding.ASCII.GetBytes(text), 0]);
    }

    private static byte[] Message(byte type, byte[] moreFields, byte[] body, byte replyTo = 2)
    {
        byte[] fields = [5, 1, (byte)'u', 0, replyTo, 0, 0, 0, .. moreFields];
        var head = new byte[16];
        (head[0], head[1], head[3], head[4], head[8], head[12]) = ((byte)'l', type, 1, (byte)body.Length, 9, (byte)fields.Length);
        return [.. head, .. fields, .. new byte[(8 - (fields.Length % 8)) % 8], .. body];
    }

    /// <summary>Greets, answers the first call with a name and a signal beside it, and the second with what the test says.</summary>
    private sealed class FakeBus : IAsyncDisposable
    {
        private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        private readonly CancellationTokenSource _stop = new();
        private readonly StringBuilder _heard = new();
        private readonly Task _serving;

        public FakeBus(string path, string greeting, byte[] answer, bool stays)
        {
            _listener.Bind(new UnixDomainSocketEndPoint(path));
            _listener.Listen();
            _serving = ServeAsync(greeting, answer, stays);
        }

        public string Heard
        {
            get
            {
                lock (_heard)
                {
                    return _heard.ToString();
                }
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            _listener.Dispose();
            await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _stop.Dispose();
        }

        private async Task ServeAsync(string greeting, byte[] answer, bool stays)
        {
            using var client = await _listener.AcceptAsync(_stop.Token);
            await HearAsync(client, "AUTH");
            await client.SendAsync(Encoding.ASCII.GetBytes(greeting), _stop.Token);
            await HearAsync(client, "Hello");
            byte[] name = [1, (byte)'s', 0, 0, 4, 0, 0, 0, .. ":1.2"u8, 0];
            await client.SendAsync((byte[])[.. Message(2, [], name, replyTo: 1), .. Message(4, [], [], replyTo: 0)], _stop.Token);
            await HearAsync(client, "FragmentPath");
            await client.SendAsync(answer, _stop.Token);
            if (stays)
            {
                await Task.Delay(Timeout.Infinite, _stop.Token);
            }
        }

        private async Task HearAsync(Socket client, string word)
        {
            var piece = new byte[4096];
            while (!Heard.Contains(word, StringComparison.Ordinal))
            {
                var length = await client.ReceiveAsync(piece, _stop.Token);
                if (length == 0)
                {
                    throw new IOException("gone");
                }

                lock (_heard)
                {
                    _heard.Append(Encoding.ASCII.GetString(piece, 0, length));
                }
            }
        }
    }
}
