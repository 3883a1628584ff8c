using System.Net.Sockets;
using System.Text;

namespace Signet.InteropTests.DataPlane;

/// <summary>HTTP/1.1 without any mercy: nothing is asked twice, and an end that was not announced is a failure.</summary>
internal sealed class HttpConnection(Socket socket) : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly Reader _reader = new(new NetworkStream(socket, ownsSocket: true));

    /// <summary>Asks for the body to come back.</summary>
    /// <returns>Whether another request may follow.</returns>
    /// <exception cref="InvalidDataException">The answer is not the one that is due.</exception>
    public async Task<bool> AskAsync(string? body)
    {
        var request = body is null ? "GET / HTTP/1.1\r\nHost: orders\r\n\r\n" : $"POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: {body.Length}\r\n\r\n{body}";
        await _reader.Stream.WriteAsync(Encoding.ASCII.GetBytes(request));
        if (await _reader.MessageAsync().WaitAsync(Deadline) is not var (head, answer))
        {
            throw new InvalidDataException("the connection ended instead of an answer");
        }

        return head.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal) && answer == (body ?? "nothing")
            ? !head.Contains("connection: close", StringComparison.OrdinalIgnoreCase)
            : throw new InvalidDataException($"an answer that is not due: {head}{answer}");
    }

    /// <summary>The other side: an application that sends back what it gets.</summary>
    public static async Task ServeAsync(NetworkStream stream)
    {
        var reader = new Reader(stream);
        while (await reader.MessageAsync() is var (_, body))
        {
            var answer = body.Length > 0 ? body : "nothing";
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {answer.Length}\r\n\r\n{answer}"));
        }
    }

    public ValueTask DisposeAsync() => _reader.Stream.DisposeAsync();

    private sealed class Reader(NetworkStream stream)
    {
        private readonly byte[] _buffer = new byte[32 * 1024];
        private int _count;

        public NetworkStream Stream => stream;

        /// <summary>Null at the end between two messages.</summary>
        public async Task<(string Head, string Body)?> MessageAsync()
        {
            int end;
            while ((end = _buffer.AsSpan(0, _count).IndexOf("\r\n\r\n"u8)) < 0)
            {
                if (!await MoreAsync())
                {
                    return _count == 0 ? null : throw new InvalidDataException("the connection ended within a head");
                }
            }

            var head = Encoding.ASCII.GetString(_buffer, 0, end + 4);
            var length = head.Split("\r\n").Where(line => line.StartsWith("content-length:", StringComparison.OrdinalIgnoreCase)).Select(line => int.Parse(line[15..])).SingleOrDefault();
            while (_count < head.Length + length)
            {
                if (!await MoreAsync())
                {
                    throw new InvalidDataException("the connection ended within a body");
                }
            }

            var body = Encoding.ASCII.GetString(_buffer, head.Length, length);
            _count -= head.Length + length;
            _buffer.AsSpan(head.Length + length, _count).CopyTo(_buffer);
            return (head, body);
        }

        private async Task<bool> MoreAsync()
        {
            var read = await stream.ReadAsync(_buffer.AsMemory(_count));
            _count += read;
            return read > 0;
        }
    }
}
