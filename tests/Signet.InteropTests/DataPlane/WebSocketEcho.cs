using System.Net.WebSockets;
using Microsoft.AspNetCore.Http;

namespace Signet.InteropTests.DataPlane;

/// <summary>The same as peers/ws_server.py by ASP.NET Core.</summary>
internal static class WebSocketEcho
{
    private static readonly List<string> Closed = [];

    public static async Task ServeAsync(HttpContext context)
    {
        var wanted = context.WebSockets.WebSocketRequestedProtocols;
        using var socket = await context.WebSockets.AcceptWebSocketAsync(wanted.Contains("chat") ? "chat" : null);
        if (context.Request.Path == "/close")
        {
            await socket.CloseAsync((WebSocketCloseStatus)int.Parse(context.Request.Query["code"].Single()!), context.Request.Query["reason"], context.RequestAborted);
            return;
        }

        if (context.Request.Path == "/closed")
        {
            string all;
            lock (Closed)
            {
                all = string.Join(' ', Closed);
            }

            await socket.SendAsync(System.Text.Encoding.UTF8.GetBytes(all), WebSocketMessageType.Text, true, context.RequestAborted);
            await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, context.RequestAborted);
            return;
        }

        var end = await EchoAsync(socket, context.RequestAborted);
        lock (Closed)
        {
            Closed.Add(end);
        }
    }

    private static async Task<string> EchoAsync(WebSocket socket, CancellationToken cancellationToken)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (true)
            {
                var got = await socket.ReceiveAsync(buffer, cancellationToken);
                if (got.MessageType == WebSocketMessageType.Close)
                {
                    await socket.CloseAsync(got.CloseStatus!.Value, got.CloseStatusDescription, cancellationToken);
                    return $"{(int)got.CloseStatus}:{got.CloseStatusDescription}";
                }

                await socket.SendAsync(buffer.AsMemory(0, got.Count), got.MessageType, got.EndOfMessage, cancellationToken);
            }
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException)
        {
            return "1006:";
        }
    }
}
