using System.Runtime.CompilerServices;
using Signet.Proxy.Connections;

namespace Signet.Proxy.L7;

/// <summary>What happens to every request, whatever its version: decide, exchange, log.</summary>
internal static class HttpRequests
{
    /// <summary>One request from decision to log line. True when another may follow on the connection.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public static async ValueTask<bool> ServeAsync(ProxyCore core, LiveConnection live, IClientMessages client, IHttpRole role, RequestHead head)
    {
        live.CloseWhenIdleFor(core.Config.Timeouts.StreamIdle);
        var started = core.Time.GetTimestamp();
        var record = role.NewRecord();
        var fields = ForwardedHeaders.EndToEnd(head.Headers);
        (record.Method, record.Host, record.Path, record.Version) = (head.Method, head.Host, head.Path, WordOf(head.Version));
        record.RequestId = RequestId.Take(fields);
        record.RequestFields = core.Config.AccessLog.WantsFields ? head.Headers : null;
        try
        {
            var ruling = await role.JudgeAsync(head, fields, record).ConfigureAwait(false);
            await live.Loop.EnterAsync();
            if (ruling.Forwarding is { } forwarding)
            {
                using var exchange = new HttpExchange(core, live, client, role, head, forwarding, record);
                ExchangeEnd end;
                do
                {
                    end = await exchange.TryAsync().ConfigureAwait(false);
                }
                while (end == ExchangeEnd.Retry);

                return end == ExchangeEnd.Reusable;
            }

            // The body of a refused request is not read: in HTTP/1 the connection ends instead.
            var close = head.Body.Kind != BodyKind.None || !client.MayGoOn;
            await OwnResponse.WriteAsync(client, record, ruling.Reply ?? OwnResponse.Plain(record.Refusal!.Value), close, live.Token).ConfigureAwait(false);
            return !close;
        }
        catch (IOException e)
        {
            if (record.Refusal is null)
            {
                record.Refuse(RefusalReason.ClientLeft, e.Message);
            }

            return false;
        }
        catch (OperationCanceledException) when (live.Closed is { } closed)
        {
            record.Refuse(closed.Reason, closed.Detail);
            await client.CloseAsync(record).ConfigureAwait(false);
            return false;
        }
        finally
        {
            record.Duration = core.Time.GetElapsedTime(started);
            core.AccessLog.Write(record);
        }
    }

    private static string WordOf(ProtocolVersion version) => version switch
    {
        ProtocolVersion.Http10 => "1.0",
        ProtocolVersion.Http11 => "1.1",
        _ => "2",
    };
}
