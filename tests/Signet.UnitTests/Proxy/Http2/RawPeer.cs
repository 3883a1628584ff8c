using System.Buffers.Binary;
using Signet.Proxy.Http2;
using Signet.Proxy.Http2.Hpack;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Http2;

/// <summary>The other side of a connection, frame by frame: it can break every rule. What it got is decoded as it comes.</summary>
internal sealed class RawPeer : IAsyncDisposable
{
    private readonly MemoryTransport _transport;
    private readonly HpackDecoder _hpack = new();
    private readonly FrameWriter _writer = new();
    private byte[] _bytes = [];
    private int _skip;

    private RawPeer(MemoryTransport transport, Http2Connection connection, ManualTimeProvider time)
    {
        (_transport, Connection, Time) = (transport, connection, time);
        End = connection.RunAsync(CancellationToken.None);
    }

    public Http2Connection Connection { get; }

    public ManualTimeProvider Time { get; }

    public Task<Http2End> End { get; }

    public MemoryTransport Transport => _transport;

    /// <summary>A server to attack.</summary>
    public static async Task<RawPeer> OfServerAsync(Func<Http2Stream, Task>? serve = null, Func<Http2Options, Http2Options>? options = null, bool greet = true)
    {
        var (near, far) = MemoryTransport.Pair(1 << 20);
        var time = new ManualTimeProvider();
        var connection = Http2Connection.AsServer(far, With(time, options), serve ?? Http2Pair.HoldAsync);
        var peer = new RawPeer(near, connection, time);
        if (greet)
        {
            await peer.SendAsync(writer =>
            {
                writer.Preface();
                writer.Settings([]);
                writer.SettingsAck();
            });
            await peer.ExpectGreetingAsync();
        }

        return peer;
    }

    /// <summary>A client to attack.</summary>
    public static async Task<RawPeer> OfClientAsync(Func<Http2Options, Http2Options>? options = null, bool greet = true)
    {
        var (far, near) = MemoryTransport.Pair(1 << 20);
        var time = new ManualTimeProvider();
        var peer = new RawPeer(near, Http2Connection.AsClient(far, With(time, options)), time) { _skip = FrameHeader.Preface.Length };
        if (greet)
        {
            await peer.SendAsync(writer =>
            {
                writer.Settings([]);
                writer.SettingsAck();
            });
            await peer.ExpectGreetingAsync();
        }

        return peer;
    }

    public async Task SendAsync(Action<FrameWriter> write)
    {
        write(_writer);
        var bytes = _writer.Take(out var length);
        await _transport.WriteAsync(bytes.AsMemory(0, length), CancellationToken.None);
    }

    public async Task SendBytesAsync(params byte[] bytes) => await _transport.WriteAsync(bytes, CancellationToken.None);

    public Task SendFrameAsync(FrameType type, FrameFlags flags, int streamId, byte[] payload)
    {
        var bytes = new byte[FrameHeader.Size + payload.Length];
        new FrameHeader(payload.Length, type, flags, streamId).Write(bytes);
        payload.CopyTo(bytes, FrameHeader.Size);
        return SendBytesAsync(bytes);
    }

    public Task SendHeadersAsync(int streamId, bool endStream, params (string Name, string Value)[] fields) => SendFrameAsync(
        FrameType.Headers, FrameFlags.EndHeaders | (endStream ? FrameFlags.EndStream : 0), streamId,
        [.. fields.SelectMany(field => HpackBytes.Literal(field.Name, field.Value))]);

    public Task SendRequestAsync(int streamId, bool endStream = true, string method = "GET") =>
        SendHeadersAsync(streamId, endStream, (":method", method), (":scheme", "https"), (":authority", "orders:8080"), (":path", "/"));

    public Task SendConnectAsync(int streamId, string authority = "10.0.0.9:8080") =>
        SendHeadersAsync(streamId, false, (":method", "CONNECT"), (":authority", authority));

    /// <summary>The next frame; null when the connection has ended.</summary>
    public async Task<Frame?> ReadAsync()
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (true)
        {
            if (_skip > 0 && _bytes.Length >= _skip)
            {
                (_bytes, _skip) = (_bytes[_skip..], 0);
            }

            if (_skip == 0 && FrameHeader.TryRead(_bytes, out var header) && _bytes.Length >= FrameHeader.Size + header.Length)
            {
                var payload = _bytes[FrameHeader.Size..(FrameHeader.Size + header.Length)];
                _bytes = _bytes[(FrameHeader.Size + header.Length)..];
                var section = new FieldSection(1 << 20, 1000);
                if (header.Type == FrameType.Headers)
                {
                    Assert.True(header.Has(FrameFlags.EndHeaders));
                    Assert.Equal(HpackProblem.None, _hpack.TryDecode(payload, section));
                }

                return new Frame(header, payload, [.. section.Fields.Select(field => (field.Key, field.Value))]);
            }

            var buffer = new byte[64 * 1024];
            int read;
            try
            {
                read = await _transport.ReadAsync(buffer, deadline.Token);
            }
            catch (IOException)
            {
                return null;
            }

            if (read == 0)
            {
                return null;
            }

            _bytes = [.. _bytes, .. buffer[..read]];
        }
    }

    /// <summary>The next frame of a type; others are skipped.</summary>
    public async Task<Frame> ReadAsync(FrameType type)
    {
        while (await ReadAsync() is { } frame)
        {
            if (frame.Header.Type == type)
            {
                return frame;
            }
        }

        throw new Xunit.Sdk.XunitException($"the connection ended before {type} came");
    }

    /// <summary>The connection says this code in GOAWAY and ends.</summary>
    public async Task ExpectGoAwayAsync(Http2Error code)
    {
        Assert.Equal(code, (await ReadAsync(FrameType.GoAway)).LastCode);
        await DisposeAsync();
        var end = await End;
        Assert.False(end.IsOrderly);
        Assert.Equal(code, end.Code);
    }

    public async Task ExpectResetAsync(int streamId, Http2Error code)
    {
        var frame = await ReadAsync(FrameType.ResetStream);
        Assert.Equal((streamId, code), (frame.Header.StreamId, frame.Code));
    }

    /// <summary>The connection still answers, and everything before is handled.</summary>
    public async Task ExpectAliveAsync()
    {
        await SendAsync(writer => writer.Ping(77, isAck: false));
        Frame frame;
        do
        {
            frame = await ReadAsync(FrameType.Ping);
        }
        while (!frame.Header.Has(FrameFlags.Ack));
    }

    private async Task ExpectGreetingAsync()
    {
        while (!(await ReadAsync(FrameType.Settings)).Header.Has(FrameFlags.Ack))
        {
        }
    }

    public async ValueTask DisposeAsync() => await _transport.DisposeAsync();

    private static Http2Options With(TimeProvider time, Func<Http2Options, Http2Options>? change)
    {
        var options = new Http2Options { Time = time };
        return change is null ? options : change(options);
    }

    internal sealed record Frame(FrameHeader Header, byte[] Payload, (string Name, string Value)[] Fields)
    {
        /// <summary>Of RST_STREAM.</summary>
        public Http2Error Code => (Http2Error)BinaryPrimitives.ReadUInt32BigEndian(Payload);

        /// <summary>Of GOAWAY.</summary>
        public Http2Error LastCode => (Http2Error)BinaryPrimitives.ReadUInt32BigEndian(Payload.AsSpan(4));

        /// <summary>Of WINDOW_UPDATE, or the last stream of GOAWAY.</summary>
        public int Number => BinaryPrimitives.ReadInt32BigEndian(Payload);
    }
}
