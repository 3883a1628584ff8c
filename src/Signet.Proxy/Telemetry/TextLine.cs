using Signet.Proxy.Connections;

namespace Signet.Proxy.Telemetry;

/// <summary>One line per record for people.</summary>
internal sealed class TextLine : IAccessFormat
{
    public void Write(LineBuffer to, AccessRecord record)
    {
        to.Add(record.Ended);
        to.Add(record.Direction == Direction.Inbound ? " inbound "u8 : " outbound "u8);
        to.AddEscaped(record.Listener);
        to.Add(" "u8);
        to.AddEscaped(record.Protocol ?? "-");
        to.Add(" "u8);
        WritePeer(to, record.SourcePeer);
        to.Add(record.Source);
        to.Add(" -> "u8);
        to.AddEscaped(record.DestinationHost ?? record.DestinationWorkload?.ServiceAccount ?? "-");
        to.Add(":"u8);
        to.Add(record.DestinationPort);
        if (record.Upstream is not null)
        {
            to.Add(" via "u8);
            WritePeer(to, record.DestinationPeer);
            to.AddEscaped(record.Upstream);
        }

        to.Add(" tls="u8);
        to.AddEscaped(record.TlsVersion ?? "none");
        to.Add(record.IsResumed ? "(resumed)"u8 : ""u8);
        if (record.Method is not null)
        {
            WriteRequest(to, record);
        }

        to.Add(record.IsDenied ? " verdict=deny stage="u8 : " verdict=allow stage="u8);
        to.AddEscaped(record.Stage);
        to.Add(" policy="u8);
        to.AddEscaped(record.Verdict?.Policy ?? "-");
        to.Add(" rule="u8);
        AddNumber(to, record.Verdict?.Rule);
        to.Add(" flag="u8);
        to.AddEscaped(record.Refusal?.ToString() ?? "-");
        to.Add(" in="u8);
        to.Add(record.BytesReceived);
        to.Add(" out="u8);
        to.Add(record.BytesSent);
        to.Add(" ms="u8);
        to.AddMilliseconds(record.Duration);
        to.Add(" reason=\""u8);
        to.AddEscaped(record.Reason);
        to.Add("\"\n"u8);
    }

    private static void WritePeer(LineBuffer to, Tls.Peer? peer)
    {
        to.AddEscaped(peer is { Id: { } id } ? AccessRecord.PrincipalOf(id) : peer?.Host ?? "-");
        to.Add("@"u8);
    }

    private static void WriteRequest(LineBuffer to, AccessRecord record)
    {
        to.Add(" \""u8);
        to.AddEscaped(record.Method);
        to.Add(" "u8);
        to.AddEscaped(record.Path);
        to.Add("\" host="u8);
        to.AddEscaped(record.Host);
        to.Add(" id="u8);
        to.AddEscaped(record.RequestId);
        to.Add(" code="u8);
        AddNumber(to, record.Code);
        if (record.GrpcStatus is { } grpc)
        {
            to.Add(" grpc="u8);
            to.Add(grpc);
        }
    }

    private static void AddNumber(LineBuffer to, int? number)
    {
        if (number is { } value)
        {
            to.Add(value);
        }
        else
        {
            to.Add("-"u8);
        }
    }
}
