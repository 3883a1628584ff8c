using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Signet.Proxy.Http2;
using Signet.Proxy.Http2.Hpack;

namespace Signet.FunctionalTests.Proxy;

/// <summary>
/// One end of an HTTP/2 connection, frame by frame: it can break every rule. Windows are opened only when data is read, and everything
/// that it awaits has a deadline.
/// </summary>
internal sealed class Http2Wire : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private readonly Stream _stream;
    private readonly HpackDecoder _hpack = new();
    private readonly List<(FrameHeader Header, byte[] Payload, IReadOnlyList<KeyValuePair<string, string>> Fields)> _unread = [];

    private Http2Wire(Stream stream) => _stream = stream;

    /// <summary>In plaintext, with the preface and empty settings sent unless the test wants to begin otherwise.</summary>
    public static async Task<Http2Wire> PlainAsync(IPEndPoint to, bool greets = true)
    {
        var socket = new Socket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(to);
        var wire = new Http2Wire(new NetworkStream(socket, ownsSocket: true));
        if (greets)
        {
            await wire.BytesAsync(FrameHeader.Preface.ToArray());
            await wire.FrameAsync(FrameType.Settings, FrameFlags.None, 0, []);
        }

        return wire;
    }

    /// <summary>A server's end of a connection that was accepted, with the preface taken and empty settings sent unless the test wants to begin otherwise.</summary>
    public static async Task<Http2Wire> ServerAsync(Stream stream, bool greets = true)
    {
        await stream.ReadExactlyAsync(new byte[FrameHeader.Preface.Length]).AsTask().WaitAsync(Deadline);
        var wire = new Http2Wire(stream);
        if (greets)
        {
            await wire.FrameAsync(FrameType.Settings, FrameFlags.None, 0, []);
        }

        return wire;
    }

    public async Task BytesAsync(params byte[] bytes) => await _stream.WriteAsync(bytes).AsTask().WaitAsync(Deadline);

    public Task FrameAsync(FrameType type, FrameFlags flags, int streamId, byte[] payload) => BytesAsync(Frame(type, flags, streamId, payload));

    public static byte[] Frame(FrameType type, FrameFlags flags, int streamId, byte[] payload)
    {
        var bytes = new byte[FrameHeader.Size + payload.Length];
        new FrameHeader(payload.Length, type, flags, streamId).Write(bytes);
        payload.CopyTo(bytes, FrameHeader.Size);
        return bytes;
    }

    /// <summary>HEADERS with each field as it is given, literally and without an index.</summary>
    public Task RequestAsync(int streamId, bool endStream, params (string Name, string Value)[] fields) =>
        FrameAsync(FrameType.Headers, FrameFlags.EndHeaders | (endStream ? FrameFlags.EndStream : 0), streamId, [.. fields.SelectMany(field => Literal(field.Name, field.Value))]);

    public Task DataAsync(int streamId, byte[] payload, bool endStream = false) => FrameAsync(FrameType.Data, endStream ? FrameFlags.EndStream : 0, streamId, payload);

    public Task ResetAsync(int streamId, Http2Error code)
    {
        var payload = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(payload, (uint)code);
        return FrameAsync(FrameType.ResetStream, FrameFlags.None, streamId, payload);
    }

    /// <summary>The next head or trailers of whatever stream, its fields in order.</summary>
    public async Task<(int StreamId, bool IsEnd, IReadOnlyList<KeyValuePair<string, string>> Fields)> AnyHeadAsync()
    {
        var (header, _, fields) = await NextAsync(frame => frame.Type == FrameType.Headers);
        return (header.StreamId, header.Has(FrameFlags.EndStream), fields);
    }

    /// <summary>The next frame, whatever it is.</summary>
    public Task<(FrameHeader Header, byte[] Payload, IReadOnlyList<KeyValuePair<string, string>> Fields)> AnyAsync() => NextAsync(_ => true);

    /// <summary>The next frame of a type.</summary>
    public async Task<(FrameHeader Header, byte[] Payload)> FrameAsync(FrameType type)
    {
        var (header, payload, _) = await NextAsync(frame => frame.Type == type);
        return (header, payload);
    }

    /// <summary>The other side has ended the connection, whatever it said before.</summary>
    public async Task EndAsync()
    {
        try
        {
            while (true)
            {
                await NextAsync(_ => false);
            }
        }
        catch (IOException)
        {
            // That is the end.
        }
    }

    /// <summary>The next head or trailers of a stream.</summary>
    public async Task<Dictionary<string, string>> HeadAsync(int streamId) =>
        (await NextAsync(frame => frame.Type == FrameType.Headers && frame.StreamId == streamId)).Fields.GroupBy(field => field.Key).ToDictionary(same => same.Key, same => string.Join(", ", same.Select(field => field.Value)));

    /// <summary>The next piece of a stream's data; as much again may then be sent.</summary>
    public async Task<byte[]> ReadDataAsync(int streamId)
    {
        var (_, payload, _) = await NextAsync(frame => frame.Type == FrameType.Data && frame.StreamId == streamId && frame.Length > 0);
        var increment = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(increment, payload.Length);
        await FrameAsync(FrameType.WindowUpdate, FrameFlags.None, 0, increment);
        await FrameAsync(FrameType.WindowUpdate, FrameFlags.None, streamId, increment);
        return payload;
    }

    /// <summary>The code with which the other side resets a stream.</summary>
    public async Task<Http2Error> ResetAsync(int streamId) =>
        (Http2Error)BinaryPrimitives.ReadUInt32BigEndian((await NextAsync(frame => frame.Type == FrameType.ResetStream && frame.StreamId == streamId)).Payload);

    /// <summary>The code with which the other side goes away.</summary>
    public async Task<Http2Error> GoAwayAsync() => (Http2Error)BinaryPrimitives.ReadUInt32BigEndian((await NextAsync(frame => frame.Type == FrameType.GoAway)).Payload.AsSpan(4));

    public static byte[] Literal(string name, string value) => [0, .. Text(name), .. Text(value)];

    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    private static byte[] Text(string text)
    {
        var writer = new System.Buffers.ArrayBufferWriter<byte>();
        HpackInteger.Write(writer, 0, 7, text.Length);
        return [.. writer.WrittenSpan, .. Encoding.Latin1.GetBytes(text)];
    }

    private async Task<(FrameHeader Header, byte[] Payload, IReadOnlyList<KeyValuePair<string, string>> Fields)> NextAsync(Func<FrameHeader, bool> isWanted)
    {
        while (true)
        {
            var found = _unread.FindIndex(frame => isWanted(frame.Header));
            if (found >= 0)
            {
                var frame = _unread[found];
                _unread.RemoveAt(found);
                return frame;
            }

            var head = new byte[FrameHeader.Size];
            await _stream.ReadExactlyAsync(head).AsTask().WaitAsync(Deadline);
            FrameHeader.TryRead(head, out var header);
            var payload = new byte[header.Length];
            await _stream.ReadExactlyAsync(payload).AsTask().WaitAsync(Deadline);
            var section = new FieldSection(1 << 20, 1000);
            if (header.Type == FrameType.Headers)
            {
                Assert.Equal(HpackProblem.None, _hpack.TryDecode(payload, section));
            }
            else if (header.Type == FrameType.Settings && !header.Has(FrameFlags.Ack))
            {
                await FrameAsync(FrameType.Settings, FrameFlags.Ack, 0, []);
            }

            _unread.Add((header, payload, section.Fields));
        }
    }
}
