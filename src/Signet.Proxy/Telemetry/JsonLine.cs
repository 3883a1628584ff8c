using System.Net;
using Signet.Policy;
using Signet.Proxy.Connections;
using Signet.Proxy.Tls;

namespace Signet.Proxy.Telemetry;

/// <summary>
/// One JSON object per record. The names are documented in docs/reference/access-log.md and stay as they are. Requests of one connection have most
/// of their line in common; it is remembered for as many connections as there is room for.
/// </summary>
internal sealed class JsonLine : IAccessFormat
{
    private const int Remembered = 256;

    private readonly ConnectionText[] _connections = new ConnectionText[Remembered];
    private readonly LineBuffer _labels = new();
    private Workload? _labelled;

    public void Write(LineBuffer to, AccessRecord record)
    {
        to.Add("{\"time\":\""u8);
        to.Add(record.Ended);
        ref var known = ref _connections[(uint)record.Source.GetHashCode() % Remembered];
        var connection = new Connection(record);
        if (known.Connection == connection)
        {
            to.Add(known.Text);
        }
        else
        {
            var start = to.Length;
            WriteConnection(to, record);
            known = new ConnectionText(connection, to.Span[start..].ToArray());
        }

        if (record.Method is not null)
        {
            WriteRequest(to, record);
        }

        to.Add(",\"response\":{\"code\":"u8);
        AddNumber(to, record.Code);
        to.Add(",\"flag\":"u8);
        to.AddJson(record.Refusal?.ToString());
        if (record.GrpcStatus is { } grpc)
        {
            to.Add(",\"grpcStatus\":"u8);
            to.Add(grpc);
        }

        to.Add(record.IsDenied ? "},\"verdict\":\"deny\",\"stage\":"u8 : "},\"verdict\":\"allow\",\"stage\":"u8);
        to.AddJson(record.Stage);
        to.Add(",\"policy\":"u8);
        to.AddJson(record.Verdict?.Policy);
        to.Add(",\"rule\":"u8);
        AddNumber(to, record.Verdict?.Rule);
        to.Add(",\"reason\":"u8);
        to.AddJson(record.Reason);
        if (record.Verdict is { Findings: { Audit.Count: > 0 } or { DryRun.Count: > 0 } } verdict)
        {
            WriteFindings(to, verdict.Findings);
        }

        to.Add(",\"bytes\":{\"in\":"u8);
        to.Add(record.BytesReceived);
        to.Add(",\"out\":"u8);
        to.Add(record.BytesSent);
        to.Add("},\"durationMs\":"u8);
        to.AddMilliseconds(record.Duration);
        to.Add("}\n"u8);
    }

    private void WriteConnection(LineBuffer to, AccessRecord record)
    {
        to.Add(record.Direction == Direction.Inbound ? "\",\"direction\":\"inbound\",\"listener\":"u8 : "\",\"direction\":\"outbound\",\"listener\":"u8);
        to.AddJson(record.Listener);
        to.Add(",\"protocol\":"u8);
        to.AddJson(record.Protocol);
        WriteSource(to, record);
        WriteDestination(to, record);
        WriteTls(to, record);
    }

    private static void WriteSource(LineBuffer to, AccessRecord record)
    {
        to.Add(",\"source\":{\"ip\":\""u8);
        to.Add(record.Source.Address);
        to.Add("\",\"port\":"u8);
        to.Add(record.Source.Port);
        if (record.RemoteIp is { } remote)
        {
            to.Add(",\"remoteIp\":\""u8);
            to.Add(remote);
            to.Add("\""u8);
        }

        WritePeer(to, record.SourcePeer);
        to.Add("}"u8);
    }

    private void WriteDestination(LineBuffer to, AccessRecord record)
    {
        to.Add(",\"destination\":{\"host\":"u8);
        to.AddJson(record.DestinationHost);
        to.Add(",\"port\":"u8);
        to.Add(record.DestinationPort);
        if (record.DestinationIp is { } ip)
        {
            to.Add(",\"ip\":\""u8);
            to.Add(ip);
            to.Add("\""u8);
        }
        else
        {
            to.Add(",\"ip\":null"u8);
        }

        to.Add(LabelsOf(record.DestinationWorkload));
        WritePeer(to, record.DestinationPeer);
        to.Add(",\"serverName\":"u8);
        to.AddJson(record.DestinationPeer?.Host);
        to.Add(",\"upstream\":"u8);
        to.AddJson(record.Upstream);
        to.Add("}"u8);
    }

    private static void WritePeer(LineBuffer to, Peer? peer)
    {
        if (peer is null)
        {
            to.Add(",\"principal\":null,\"serial\":null"u8);
            return;
        }

        to.Add(",\"principal\":"u8);
        if (peer.Id is { } id)
        {
            to.AddJson(AccessRecord.PrincipalOf(id));
        }
        else
        {
            to.Add("null"u8);
        }

        to.Add(",\"serial\":\""u8);
        to.AddEscaped(peer.Leaf.SerialHex);
        to.Add("\""u8);
    }

    /// <summary>A proxy stands beside one workload, so this is the same for every line.</summary>
    private ReadOnlySpan<byte> LabelsOf(Workload? workload)
    {
        if (_labels.Length > 0 && ReferenceEquals(workload, _labelled))
        {
            return _labels.Span;
        }

        _labelled = workload;
        _labels.Clear();
        _labels.Add(",\"namespace\":"u8);
        _labels.AddJson(workload?.Namespace);
        _labels.Add(",\"labels\":{"u8);
        var isFirst = true;
        foreach (var (name, value) in workload?.Labels.OrderBy(label => label.Key, StringComparer.Ordinal) ?? Enumerable.Empty<KeyValuePair<string, string>>())
        {
            _labels.Add(isFirst ? ""u8 : ","u8);
            _labels.AddJson(name);
            _labels.Add(":"u8);
            _labels.AddJson(value);
            isFirst = false;
        }

        _labels.Add("},\"workload\":"u8);
        _labels.AddJson(workload?.ServiceAccount);
        return _labels.Span;
    }

    private static void WriteTls(LineBuffer to, AccessRecord record)
    {
        if (record.TlsVersion is null && record.Sni is null && record.Alpn is null)
        {
            to.Add(",\"tls\":{\"version\":null,\"cipher\":null,\"sni\":null,\"alpn\":null,\"mutual\":false,\"resumed\":false}"u8);
            return;
        }

        to.Add(",\"tls\":{\"version\":"u8);
        to.AddJson(record.TlsVersion);
        to.Add(",\"cipher\":"u8);
        to.AddJson(record.TlsCipher);
        to.Add(",\"sni\":"u8);
        to.AddJson(record.Sni);
        to.Add(",\"alpn\":"u8);
        to.AddJson(record.Alpn);
        to.Add(record.IsMutual ? ",\"mutual\":true,\"resumed\":"u8 : ",\"mutual\":false,\"resumed\":"u8);
        to.Add(record.IsResumed ? "true}"u8 : "false}"u8);
    }

    private static void WriteRequest(LineBuffer to, AccessRecord record)
    {
        to.Add(",\"request\":{\"id\":"u8);
        to.AddJson(record.RequestId);
        to.Add(",\"version\":"u8);
        to.AddJson(record.Version);
        to.Add(",\"method\":"u8);
        to.AddJson(record.Method);
        to.Add(",\"host\":"u8);
        to.AddJson(record.Host);
        to.Add(",\"path\":"u8);
        to.AddJson(record.Path);
        to.Add("}"u8);
    }

    private static void WriteFindings(LineBuffer to, Findings findings)
    {
        to.Add(",\"audit\":["u8);
        for (var i = 0; i < findings.Audit.Count; i++)
        {
            to.Add(i == 0 ? ""u8 : ","u8);
            to.AddJson(findings.Audit[i]);
        }

        to.Add("],\"dryRun\":["u8);
        for (var i = 0; i < findings.DryRun.Count; i++)
        {
            var finding = findings.DryRun[i];
            to.Add(i == 0 ? "{\"policy\":"u8 : ",{\"policy\":"u8);
            to.AddJson(finding.Policy);
            to.Add(",\"action\":"u8);
            to.AddJson(finding.Action.Word());
            to.Add(",\"rule\":"u8);
            to.Add(finding.Rule);
            to.Add("}"u8);
        }

        to.Add("]"u8);
    }

    private static void AddNumber(LineBuffer to, int? number)
    {
        if (number is { } value)
        {
            to.Add(value);
        }
        else
        {
            to.Add("null"u8);
        }
    }

    /// <summary>All that <see cref="WriteConnection"/> looks at.</summary>
    private readonly record struct Connection(
        Direction Direction, string Listener, string? Protocol, IPEndPoint? Source, IPAddress? RemoteIp, Peer? SourcePeer, string? Host, int Port, IPAddress? Ip, Workload? Workload, Peer? DestinationPeer,
        string? Upstream, string? TlsVersion, string? TlsCipher, string? Sni, string? Alpn, bool IsMutual, bool IsResumed)
    {
        public Connection(AccessRecord record)
            : this(
                record.Direction, record.Listener, record.Protocol, record.Source, record.RemoteIp, record.SourcePeer, record.DestinationHost, record.DestinationPort, record.DestinationIp, record.DestinationWorkload,
                record.DestinationPeer, record.Upstream, record.TlsVersion, record.TlsCipher, record.Sni, record.Alpn, record.IsMutual, record.IsResumed)
        {
        }
    }

    private readonly record struct ConnectionText(Connection Connection, byte[] Text);
}
