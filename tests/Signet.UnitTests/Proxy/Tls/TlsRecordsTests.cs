using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Signet.Identity.X509;
using Signet.Proxy.Config;
using Signet.Proxy.Native;
using Signet.Proxy.Tls;
using Signet.Testing;
using Signet.UnitTests.Proxy.Loop;

namespace Signet.UnitTests.Proxy.Tls;

/// <summary>Records of TLS 1.3 after the handshake, with libssl at the other end, and with an end that does what libssl never would.</summary>
public sealed partial class TlsRecordsTests : IDisposable
{
    private const string Destination = "orders";

    /// <summary>An hour's life, an offset, a nonce of one byte, four bytes of ticket, no extensions (RFC 8446 §4.6.1).</summary>
    private static readonly byte[] s_ticket = [4, 0, 0, 18, 0, 0, 14, 16, 0, 0, 0, 1, 1, 7, 0, 4, 1, 2, 3, 4, 0, 0];

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly TestAuthority _authority = new(DateTimeOffset.UtcNow);
    private readonly X509Svid _orders;
    private readonly X509Svid _web;
    private readonly TlsContext _server;
    private readonly ClientCredential _client;

    public TlsRecordsTests()
    {
        (_orders, _web) = (_authority.Svid("/ns/default/sa/orders"), _authority.Svid("/ns/default/sa/web"));
        _server = TlsContext.ForServer(_orders.Chain, _orders.Key, new TlsConfig());
        _client = new ClientCredential(TlsContext.ForClient(_web.Chain, _web.Key, new TlsConfig()), hasCertificate: true);
    }

    public static TheoryData<bool, string> Suites => new(
        from suite in new[] { "TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256" }
        from isServer in new[] { true, false }
        select (isServer, suite));

    /// <summary>A record that the peer sends, and how this side ends: its alert, and the words in the log.</summary>
    public static TheoryData<string, int, string> Hostile => new()
    {
        { "touched", 20, "bad record mac" },
        { "plaintext alert", 10, "no protected record" },
        { "change cipher spec", 10, "no protected record" },
        { "too long by its header", 22, "too large" },
        { "too much padding", 22, "too large" },
        { "too much payload", 22, "too large" },
        { "nothing but padding", 10, "unknown kind" },
        { "unknown content type", 10, "unknown kind" },
        { "ticket to a server", 10, "does not belong" },
        { "client hello", 10, "does not belong" },
        { "empty handshake", 10, "does not belong" },
        { "key update that means nothing", 47, "means nothing" },
        { "key update of wrong length", 50, "wrong length" },
        { "key update with more behind it", 10, "does not belong" },
        { "payload within a message", 10, "within a message" },
        { "alert within a message", 10, "within a message" },
        { "33 empty records", 10, "without payload" },
        { "33 new keys", 10, "without payload" },
        { "33 warnings", 10, "without payload" },
        { "empty alert", 10, "unknown kind" },
        { "alert of one byte", 50, "wrong length" },
        { "alert of four bytes", 50, "wrong length" },
    };

    public void Dispose()
    {
        _server.Dispose();
        _client.Dispose();
    }

    [Theory]
    [MemberData(nameof(Suites))]
    public async Task What_libssl_sends_arrives_and_what_is_sent_arrives_there_whatever_the_sizes_and_keys(bool isServer, string suite)
    {
        await using var world = await ConnectAsync(isServer, suite);
        Assert.Equal(suite, world.Session.CipherSuite);
        var random = new Random(isServer ? suite.Length : suite.Length * 7);
        for (var round = 0; round < 40; round++)
        {
            var sent = Bytes(random, random.Next(4) == 0 ? 200_000 : 40_000);
            var answer = Bytes(random, random.Next(4) == 0 ? 200_000 : 40_000);
            var step = random.Next(1, sent.Length + 1);
            var keys = random.Next(4);
            var peer = Task.Run(() =>
            {
                if (keys > 0)
                {
                    world.Peer.ChangeKey(forBoth: keys > 1);
                }

                for (var at = 0; at < sent.Length; at += step)
                {
                    world.Peer.Write(sent.AsSpan(at, Math.Min(step, sent.Length - at)));
                }

                var back = new byte[answer.Length];
                world.Peer.ReadExactly(back);
                return back;
            });
            Assert.Equal(sent, await ReadAsync(world.Session, sent.Length, random.Next(1, 70_000)));
            await world.Session.Transport.WriteAsync(answer, CancellationToken.None);
            Assert.Equal(answer, await peer.WaitAsync(s_patience));
        }

        // Each direction ends for itself.
        await Task.Run(world.Peer.EndWrites);
        Assert.Equal(0, await world.Session.Transport.ReadAsync(new byte[1], CancellationToken.None));
        await world.Session.Transport.WriteAsync("last"u8.ToArray(), CancellationToken.None);
        await world.Session.Transport.EndWritesAsync(CancellationToken.None);
        var last = new byte[5];
        await Task.Run(() => world.Peer.ReadExactly(last.AsSpan(0, 4)));
        Assert.Equal(0, await Task.Run(() => world.Peer.Read(last)));
    }

    [Fact]
    public async Task TLS_12_is_left_to_libssl()
    {
        await using var world = await ConnectAsync(isServer: true, suite: null, maxVersion: LibSsl.Tls12);
        Assert.Equal("TLSv1.2", world.Session.Version);
        await Task.Run(() => world.Peer.Write("question"u8));
        Assert.Equal("question"u8.ToArray(), await ReadAsync(world.Session, 8, 3));
        await world.Session.Transport.WriteAsync("answer"u8.ToArray(), CancellationToken.None);
        var answer = new byte[6];
        await Task.Run(() => world.Peer.ReadExactly(answer));
        Assert.Equal("answer"u8, answer);
    }

    [Theory]
    [MemberData(nameof(Hostile))]
    public async Task A_peer_that_breaks_the_rules_is_told_so_and_believed_no_more(string what, int alert, string words)
    {
        await using var world = await ConnectAsync(isServer: true, "TLS_AES_128_GCM_SHA256");
        using var sending = world.Peer.Sending();
        using var receiving = world.Peer.Receiving();
        var bytes = HostileBytes(what, sending);
        var reading = world.Session.Transport.ReadAsync(new byte[32_768], CancellationToken.None).AsTask();
        await Task.Run(() => world.Peer.SendRaw(bytes));

        var broken = await Assert.ThrowsAsync<IOException>(() => reading.WaitAsync(s_patience));
        Assert.Contains(words, broken.Message, StringComparison.Ordinal);
        Assert.Equal([2, (byte)alert], await AlertAsync(world.Peer, receiving));
        await Assert.ThrowsAsync<IOException>(() => world.Session.Transport.WriteAsync(new byte[1], CancellationToken.None).AsTask());
    }

    [Theory]
    [InlineData(42, "bad certificate")]
    [InlineData(44, "certificate revoked")]
    [InlineData(116, "certificate required")]
    [InlineData(200, "alert 200")]
    public async Task An_alert_ends_the_connection_in_OpenSSLs_words(byte alert, string words)
    {
        await using var world = await ConnectAsync(isServer: true, suite: null);
        using var sending = world.Peer.Sending();
        var record = RecordCipherTests.Seal(sending, [1, alert], ContentType.Alert);
        await Task.Run(() => world.Peer.SendRaw(record));
        var broken = await Assert.ThrowsAsync<IOException>(() => ReadAsync(world.Session, 1, 1).WaitAsync(s_patience));
        Assert.Contains(words, broken.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_connection_that_stops_without_close_notify_is_broken()
    {
        await using var world = await ConnectAsync(isServer: true, suite: null);
        world.Pair.Far.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        var broken = await Assert.ThrowsAsync<IOException>(() => ReadAsync(world.Session, 1, 1).WaitAsync(s_patience));
        Assert.Contains("without close_notify", broken.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Padded_empty_and_dribbled_records_are_taken()
    {
        await using var world = await ConnectAsync(isServer: true, suite: null);
        using var sending = world.Peer.Sending();
        byte[] inner = [.. "padded"u8, (byte)ContentType.ApplicationData, .. new byte[99]];
        byte[] records =
        [
            .. RecordCipherTests.Seal(sending, [], ContentType.ApplicationData),
            .. RecordCipherTests.Seal(sending, inner, type: 0),
            .. RecordCipherTests.Seal(sending, [2, (byte)TlsAlert.UserCanceled], ContentType.Alert),
            .. RecordCipherTests.Seal(sending, " through"u8.ToArray(), ContentType.ApplicationData),
        ];
        var reading = ReadAsync(world.Session, "padded through".Length, 5);
        await Task.Run(() =>
        {
            foreach (var one in records)
            {
                world.Peer.SendRaw([one]);
            }
        });
        Assert.Equal("padded through"u8.ToArray(), await reading.WaitAsync(s_patience));
    }

    [Fact]
    public async Task However_often_a_peer_asks_for_a_new_key_it_gets_one_before_the_next_payload()
    {
        await using var world = await ConnectAsync(isServer: true, suite: null);
        using var sending = world.Peer.Sending();
        using var receiving = world.Peer.Receiving();
        byte[] records = [.. NewKey(sending), .. NewKey(sending), .. NewKey(sending), .. RecordCipherTests.Seal(sending, "question"u8.ToArray(), ContentType.ApplicationData)];
        await Task.Run(() => world.Peer.SendRaw(records));
        Assert.Equal("question"u8.ToArray(), await ReadAsync(world.Session, 8, 8).WaitAsync(s_patience));
        await world.Session.Transport.WriteAsync("answer"u8.ToArray(), CancellationToken.None);
        await world.Session.Transport.EndWritesAsync(CancellationToken.None);

        Assert.Equal((ContentType.Handshake, "1800000100"), await NextAsync(world.Peer, receiving));
        receiving.Update();
        Assert.Equal((ContentType.ApplicationData, Convert.ToHexStringLower("answer"u8)), await NextAsync(world.Peer, receiving));
        Assert.Equal((ContentType.Alert, "0100"), await NextAsync(world.Peer, receiving));
        Assert.Empty(await Task.Run(world.Peer.ReceiveRecord));
    }

    [Fact]
    public async Task A_peer_that_asks_for_a_new_key_after_this_side_has_ended_is_heard_to_its_own_end()
    {
        await using var world = await ConnectAsync(isServer: true, suite: null);
        using var sending = world.Peer.Sending();
        await world.Session.Transport.EndWritesAsync(CancellationToken.None);
        await world.Session.Transport.EndWritesAsync(CancellationToken.None);
        byte[] records = [.. NewKey(sending), .. RecordCipherTests.Seal(sending, "the rest"u8.ToArray(), ContentType.ApplicationData)];
        await Task.Run(() => world.Peer.SendRaw(records));
        Assert.Equal("the rest"u8.ToArray(), await ReadAsync(world.Session, 8, 8).WaitAsync(s_patience));
        await Assert.ThrowsAsync<IOException>(() => world.Session.Transport.WriteAsync(new byte[1], CancellationToken.None).AsTask());
    }

    [Fact]
    public async Task A_peer_that_asked_for_short_records_gets_short_records()
    {
        const int MaxFragment = 512;
        await using var world = await ConnectAsync(isServer: true, suite: null, isShort: true);
        using var receiving = world.Peer.Receiving();
        await world.Session.Transport.WriteAsync(new byte[4000], CancellationToken.None);
        for (var total = 0; total < 4000;)
        {
            var (type, content) = await NextAsync(world.Peer, receiving);
            Assert.True(content.Length / 2 <= MaxFragment);
            total += type == ContentType.ApplicationData ? content.Length / 2 : 0;
        }
    }

    [Fact]
    public async Task Random_bytes_after_the_handshake_end_it_and_nothing_else()
    {
        var random = new Random(5);
        for (var round = 0; round < 30; round++)
        {
            await using var world = await ConnectAsync(isServer: true, suite: null);
            var bytes = Bytes(random, 40_000);
            if (round % 2 == 0)
            {
                (bytes[0], bytes[1], bytes[2], bytes[3]) = (23, 3, 3, 0);
            }

            await Task.Run(() => world.Peer.SendRaw(bytes));
            world.Pair.Far.Shutdown(System.Net.Sockets.SocketShutdown.Send);
            await Assert.ThrowsAsync<IOException>(() => ReadAsync(world.Session, 1, 100).WaitAsync(s_patience));
        }
    }

    [Theory]
    [InlineData("whole", true)]
    [InlineData("in two records", true)]
    [InlineData("after a new key", false)]
    [InlineData("after an empty record", false)]
    [InlineData("after payload", false)]
    public async Task A_client_keeps_tickets_that_come_before_anything_else(string how, bool isKept)
    {
        await using var world = await ConnectAsync(isServer: false, suite: null);
        using var sending = world.Peer.Sending();
        byte[] records = how switch
        {
            "whole" => RecordCipherTests.Seal(sending, s_ticket, ContentType.Handshake),
            "in two records" => [.. RecordCipherTests.Seal(sending, s_ticket[..9], ContentType.Handshake), .. RecordCipherTests.Seal(sending, s_ticket[9..], ContentType.Handshake)],
            "after a new key" => [.. NewKey(sending), .. RecordCipherTests.Seal(sending, s_ticket, ContentType.Handshake)],
            "after an empty record" => [.. RecordCipherTests.Seal(sending, [], ContentType.ApplicationData), .. RecordCipherTests.Seal(sending, s_ticket, ContentType.Handshake)],
            _ => [.. RecordCipherTests.Seal(sending, "first"u8.ToArray(), ContentType.ApplicationData), .. RecordCipherTests.Seal(sending, s_ticket, ContentType.Handshake)],
        };
        records = [.. records, .. RecordCipherTests.Seal(sending, "payload"u8.ToArray(), ContentType.ApplicationData)];
        await Task.Run(() => world.Peer.SendRaw(records));

        var payload = how == "after payload" ? "firstpayload"u8.ToArray() : "payload"u8.ToArray();
        Assert.Equal(payload, await ReadAsync(world.Session, payload.Length, 100).WaitAsync(s_patience));
        Assert.Equal(isKept, IsSessionKept());
    }

    [Fact]
    public async Task A_servers_ticket_leaves_with_its_first_record()
    {
        await using var world = await ConnectAsync(isServer: true, suite: null);
        Assert.Equal(0, world.Pair.Far.Available);
        await world.Session.Transport.WriteAsync("first"u8.ToArray(), CancellationToken.None);

        using var receiving = world.Peer.Receiving();
        List<(ContentType, byte[])> records = [];
        while (world.Pair.Far.Available > 0)
        {
            var (isGenuine, type) = RecordCipherTests.Open(receiving, world.Peer.ReceiveRecord(), out var content);
            Assert.True(isGenuine);
            records.Add((type, content));
        }

        Assert.Equal(2, records.Count);
        Assert.Equal((ContentType.Handshake, s_ticket[0]), (records[0].Item1, records[0].Item2[0]));
        Assert.Equal(ContentType.ApplicationData, records[1].Item1);
        Assert.Equal("first"u8.ToArray(), records[1].Item2);
    }

    [Fact]
    public async Task A_clients_last_message_leaves_though_it_has_nothing_to_say()
    {
        await using var pair = await LoopPair.ConnectAsync();
        using var peer = new LibraryPeer(pair.Far, isServer: true, _orders);
        var handshake = Task.Run(peer.Handshake);
        var judgement = LibraryPeer.Believed(_orders);
        var outcome = await TlsEngine.ConnectAsync(pair.Near, new TlsClientSetup(_client, "orders", [], Destination, _ => judgement), CancellationToken.None);
        await Task.Yield();

        // The loop has come to the end of its turn. Left alone the kernel would wait a fifth of a second.
        await pair.Near.Loop.EnterAsync();
        var unsent = CountUnsent(pair.Near.Descriptor);
        await Task.Yield();
        Assert.Null(await handshake.WaitAsync(s_patience));
        Assert.Equal(0, unsent);
        await Assert.IsType<TlsOutcome.Established>(outcome).Session.Transport.DisposeAsync();
    }

    [Fact]
    public async Task A_server_chooses_AES_128_of_what_a_client_offers()
    {
        await using var world = await ConnectAsync(isServer: true, "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256");
        Assert.Equal("TLS_AES_128_GCM_SHA256", world.Session.CipherSuite);
    }

    [Fact]
    public async Task A_ticket_that_is_none_ends_the_connection()
    {
        await using var world = await ConnectAsync(isServer: false, suite: null);
        using var sending = world.Peer.Sending();
        using var receiving = world.Peer.Receiving();
        var record = RecordCipherTests.Seal(sending, [4, 0, 0, 3, 1, 2, 3], ContentType.Handshake);
        await Task.Run(() => world.Peer.SendRaw(record));
        await Assert.ThrowsAsync<IOException>(() => ReadAsync(world.Session, 1, 1).WaitAsync(s_patience));
        Assert.Equal([2, (byte)TlsAlert.DecodeError], await AlertAsync(world.Peer, receiving));
        Assert.False(IsSessionKept());
    }

    private bool IsSessionKept()
    {
        var ssl = _client.Context.NewConnection();
        _client.Sessions.Resume(ssl, Destination);
        var isKept = LibSsl.Session(ssl) != 0;
        LibSsl.Free(ssl);
        return isKept;
    }

    private static byte[] NewKey(RecordCipher sending)
    {
        var change = RecordCipherTests.Seal(sending, [24, 0, 0, 1, 1], ContentType.Handshake);
        sending.Update();
        return change;
    }

    private static byte[] HostileBytes(string what, RecordCipher sending) => what switch
    {
        "touched" => Touched(RecordCipherTests.Seal(sending, new byte[100], ContentType.ApplicationData)),
        "plaintext alert" => [21, 3, 3, 0, 2, 2, 40],
        "change cipher spec" => [20, 3, 3, 0, 1, 1],
        "too long by its header" => [23, 3, 3, 0x41, 0x01],
        "too much payload" => RecordCipherTests.Seal(sending, new byte[16_385], ContentType.ApplicationData),
        "nothing but padding" => RecordCipherTests.Seal(sending, new byte[50], type: 0),
        "unknown content type" => RecordCipherTests.Seal(sending, new byte[50], (ContentType)24),
        "ticket to a server" => RecordCipherTests.Seal(sending, [4, 0, 0, 1, 0], ContentType.Handshake),
        "client hello" => RecordCipherTests.Seal(sending, [1, 0, 0, 1, 0], ContentType.Handshake),
        "empty handshake" => RecordCipherTests.Seal(sending, [], ContentType.Handshake),
        "key update that means nothing" => RecordCipherTests.Seal(sending, [24, 0, 0, 1, 2], ContentType.Handshake),
        "key update of wrong length" => RecordCipherTests.Seal(sending, [24, 0, 0, 2, 0, 0], ContentType.Handshake),
        "key update with more behind it" => RecordCipherTests.Seal(sending, [24, 0, 0, 1, 0, 24], ContentType.Handshake),
        "payload within a message" =>
        [
            .. RecordCipherTests.Seal(sending, [24, 0], ContentType.Handshake),
            .. RecordCipherTests.Seal(sending, [1], ContentType.ApplicationData),
        ],
        "alert within a message" =>
        [
            .. RecordCipherTests.Seal(sending, [24, 0], ContentType.Handshake),
            .. RecordCipherTests.Seal(sending, [1, 0], ContentType.Alert),
        ],
        "too much padding" => RecordCipherTests.Seal(sending, new byte[16_385], type: 0),
        "33 empty records" => [.. Enumerable.Range(0, 33).SelectMany(_ => RecordCipherTests.Seal(sending, [], ContentType.ApplicationData))],
        "33 new keys" => [.. Enumerable.Range(0, 33).SelectMany(_ => NewKey(sending))],
        "33 warnings" => [.. Enumerable.Range(0, 33).SelectMany(_ => RecordCipherTests.Seal(sending, [1, (byte)TlsAlert.UserCanceled], ContentType.Alert))],
        "empty alert" => RecordCipherTests.Seal(sending, [], ContentType.Alert),
        "alert of one byte" => RecordCipherTests.Seal(sending, [1], ContentType.Alert),
        "alert of four bytes" => RecordCipherTests.Seal(sending, [1, 0, 1, 0], ContentType.Alert),
        _ => throw new ArgumentOutOfRangeException(nameof(what), what, null),
    };

    private static byte[] Touched(byte[] record)
    {
        record[^1] ^= 1;
        return record;
    }

    private static async Task<byte[]> AlertAsync(LibraryPeer peer, RecordCipher receiving)
    {
        var (type, content) = await NextAsync(peer, receiving);
        Assert.Equal(ContentType.Alert, type);
        return Convert.FromHexString(content);
    }

    /// <summary>The next record from a side whose tickets do not count.</summary>
    private static Task<(ContentType Type, string Content)> NextAsync(LibraryPeer peer, RecordCipher receiving) => Task.Run(() =>
    {
        while (true)
        {
            var (isGenuine, type) = RecordCipherTests.Open(receiving, peer.ReceiveRecord(), out var content);
            Assert.True(isGenuine);
            if (type != ContentType.Handshake || content[0] != s_ticket[0])
            {
                return (type, Convert.ToHexStringLower(content));
            }
        }
    });

    private static byte[] Bytes(Random random, int most)
    {
        var bytes = new byte[random.Next(1, most)];
        random.NextBytes(bytes);
        return bytes;
    }

    private static async Task<byte[]> ReadAsync(TlsSession session, int count, int step)
    {
        var bytes = new byte[count];
        for (var at = 0; at < count;)
        {
            var read = await session.Transport.ReadAsync(bytes.AsMemory(at, Math.Min(step, count - at)), CancellationToken.None);
            Assert.True(read > 0);
            at += read;
        }

        return bytes;
    }

    /// <summary>Bytes that the kernel has not sent once.</summary>
    private static int CountUnsent(int socket)
    {
        const nuint OutQueueNotSent = 0x894B; // SIOCOUTQNSD of linux/sockios.h
        Assert.Equal(0, Control(socket, OutQueueNotSent, out var count));
        return count;
    }

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int Control(int socket, nuint request, out int count);

    private async Task<World> ConnectAsync(bool isServer, string? suite, int maxVersion = LibSsl.Tls13, bool isShort = false)
    {
        var pair = await LoopPair.ConnectAsync();
        var other = isServer ? _web : _orders;
        var peer = new LibraryPeer(pair.Far, !isServer, other, suite, maxVersion, isShort);
        var handshake = Task.Run(peer.Handshake);
        var judgement = LibraryPeer.Believed(other);
        var outcome = isServer
            ? await TlsEngine.AcceptAsync(pair.Near, default, new TlsServerSetup(_server, null, _ => judgement, TimeProvider.System, []), CancellationToken.None)
            : await TlsEngine.ConnectAsync(pair.Near, new TlsClientSetup(_client, "orders", [], Destination, _ => judgement), CancellationToken.None);
        await Task.Yield();
        Assert.Null(await handshake.WaitAsync(s_patience));
        return new World(pair, peer, Assert.IsType<TlsOutcome.Established>(outcome).Session);
    }

    private sealed record World(LoopPair Pair, LibraryPeer Peer, TlsSession Session) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Session.Transport.DisposeAsync();
            await Pair.DisposeAsync();
            Peer.Dispose();
        }
    }
}
