using Signet.Proxy.Http2;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Http2;

/// <summary>Both roles, connected to each other.</summary>
internal sealed class Http2Pair : IAsyncDisposable
{
    public Http2Pair(Func<Http2Stream, Task> serve, Func<Http2Options, Http2Options>? server = null, Func<Http2Options, Http2Options>? client = null, bool isInline = true)
    {
        (ClientTransport, ServerTransport) = MemoryTransport.Pair(isInline: isInline);
        var options = new Http2Options { Time = Time };
        Server = Http2Connection.AsServer(ServerTransport, server?.Invoke(options) ?? options, serve);
        Client = Http2Connection.AsClient(ClientTransport, client?.Invoke(options) ?? options);
        ServerEnd = Server.RunAsync(CancellationToken.None);
        ClientEnd = Client.RunAsync(CancellationToken.None);
    }

    public ManualTimeProvider Time { get; } = new();

    public MemoryTransport ClientTransport { get; }

    public MemoryTransport ServerTransport { get; }

    public Http2Connection Client { get; }

    public Http2Connection Server { get; }

    public Task<Http2End> ClientEnd { get; }

    public Task<Http2End> ServerEnd { get; }

    public Http2Stream Open(Http2RequestHead head, bool endStream = false)
    {
        Assert.True(Client.TryOpen(head, endStream, out var stream, out var refusal), refusal.ToString());
        return stream!;
    }

    public Http2Stream Connect(string authority = "10.0.0.9:8080") => Open(Http2RequestHead.Connect(authority, []));

    public static Http2RequestHead Get(string path = "/", params (string Name, string Value)[] fields) =>
        new("GET", "orders:8080", "https", path, [.. fields.Select(field => new KeyValuePair<string, string>(field.Name, field.Value))]);

    public static Http2RequestHead Post(params (string Name, string Value)[] fields) => Get("/", fields) with { Method = "POST" };

    /// <summary>Sends back what arrives.</summary>
    public static async Task EchoAsync(Http2Stream stream)
    {
        stream.WriteHead(new Http2ResponseHead(200, []), endStream: false);
        var buffer = new byte[20_000];
        while (await stream.ReadAsync(buffer, CancellationToken.None) is > 0 and var read)
        {
            await stream.WriteAsync(buffer.AsMemory(0, read), CancellationToken.None);
        }

        await stream.EndWritesAsync(CancellationToken.None);
    }

    /// <summary>Takes nothing and says nothing until the stream breaks.</summary>
    public static async Task HoldAsync(Http2Stream stream) => await stream.ReadHeadAsync(CancellationToken.None);

    public static async Task<byte[]> ReadAllAsync(Http2Stream stream)
    {
        var all = new MemoryStream();
        var buffer = new byte[10_000];
        while (await stream.ReadAsync(buffer, CancellationToken.None) is > 0 and var read)
        {
            all.Write(buffer, 0, read);
        }

        return all.ToArray();
    }

    public static byte[] Bytes(int count, int seed = 1)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        await Server.DisposeAsync();
        await ClientEnd;
        await ServerEnd;
    }
}
