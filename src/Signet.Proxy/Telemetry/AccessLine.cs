using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Proxy.Config;
using Signet.Proxy.Connections;

namespace Signet.Proxy.Telemetry;

/// <summary>Turns a record into one line. The names are documented in docs/reference/access-log.md and stay as they are. Pure.</summary>
internal static class AccessLine
{
    private const int MaxPath = 2048;

    // A log is not a web page: '+' and quotes need no \u escapes; line breaks and control characters still get them.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Adds the line to what will be written.</summary>
    public static void Write(IBufferWriter<byte> to, AccessRecord record, AccessLogFormat format)
    {
        if (format == AccessLogFormat.Json)
        {
            WriteJson(to, record);
        }
        else
        {
            Encoding.UTF8.GetBytes(Text(record), to);
        }

        to.Write("\n"u8);
    }

    private static void WriteJson(IBufferWriter<byte> to, AccessRecord record)
    {
        using (var json = new Utf8JsonWriter(to, Options))
        {
            json.WriteStartObject();
            json.WriteString("time", Time(record));
            json.WriteString("direction", ProxyMetrics.Name(record.Direction));
            json.WriteString("listener", record.Listener);
            json.WriteString("protocol", record.Protocol);
            WriteSource(json, record);
            WriteDestination(json, record);
            WriteTls(json, record);
            if (record.Method is not null)
            {
                WriteRequest(json, record);
            }

            json.WriteStartObject("response");
            WriteNumber(json, "code", record.Code);
            json.WriteString("flag", record.Refusal?.ToString());
            json.WriteEndObject();
            json.WriteString("verdict", Verdict(record));
            json.WriteString("stage", StageOf(record));
            json.WriteString("policy", record.Verdict?.Policy);
            WriteNumber(json, "rule", record.Verdict?.Rule);
            json.WriteString("reason", Reason(record));
            if (record.Verdict is { Findings: { Audit.Count: > 0 } or { DryRun.Count: > 0 } } verdict)
            {
                WriteFindings(json, verdict.Findings);
            }

            json.WriteStartObject("bytes");
            json.WriteNumber("in", record.BytesReceived);
            json.WriteNumber("out", record.BytesSent);
            json.WriteEndObject();
            json.WriteNumber("durationMs", Math.Round(record.Duration.TotalMilliseconds, 3));
            json.WriteEndObject();
        }
    }

    private static void WriteSource(Utf8JsonWriter json, AccessRecord record)
    {
        json.WriteStartObject("source");
        json.WriteString("ip", record.Source.Address.ToString());
        json.WriteNumber("port", record.Source.Port);
        if (record.RemoteIp is { } remote)
        {
            json.WriteString("remoteIp", remote.ToString());
        }

        json.WriteString("principal", record.SourcePeer?.Id?.Principal);
        json.WriteString("serial", record.SourcePeer?.Leaf.SerialHex);
        json.WriteEndObject();
    }

    private static void WriteDestination(Utf8JsonWriter json, AccessRecord record)
    {
        json.WriteStartObject("destination");
        json.WriteString("host", record.DestinationHost);
        json.WriteNumber("port", record.DestinationPort);
        json.WriteString("ip", record.DestinationIp?.ToString());
        json.WriteString("namespace", record.DestinationWorkload?.Namespace);
        json.WriteStartObject("labels");
        foreach (var (name, value) in record.DestinationWorkload?.Labels.OrderBy(label => label.Key, StringComparer.Ordinal) ?? Enumerable.Empty<KeyValuePair<string, string>>())
        {
            json.WriteString(name, value);
        }

        json.WriteEndObject();
        json.WriteString("workload", record.DestinationWorkload?.ServiceAccount);
        json.WriteString("principal", record.DestinationPeer?.Id?.Principal);
        json.WriteString("serverName", record.DestinationPeer?.Host);
        json.WriteString("serial", record.DestinationPeer?.Leaf.SerialHex);
        json.WriteString("upstream", record.Upstream);
        json.WriteEndObject();
    }

    private static void WriteTls(Utf8JsonWriter json, AccessRecord record)
    {
        json.WriteStartObject("tls");
        json.WriteString("version", record.TlsVersion);
        json.WriteString("cipher", record.TlsCipher);
        json.WriteString("sni", record.Sni);
        json.WriteString("alpn", record.Alpn);
        json.WriteBoolean("mutual", record.IsMutual);
        json.WriteBoolean("resumed", record.IsResumed);
        json.WriteEndObject();
    }

    private static void WriteRequest(Utf8JsonWriter json, AccessRecord record)
    {
        json.WriteStartObject("request");
        json.WriteString("id", record.RequestId);
        json.WriteString("method", record.Method);
        json.WriteString("host", record.Host);
        json.WriteString("path", record.Path is { Length: > MaxPath } path ? path[..MaxPath] : record.Path);
        json.WriteEndObject();
    }

    private static void WriteFindings(Utf8JsonWriter json, Findings findings)
    {
        json.WriteStartArray("audit");
        foreach (var policy in findings.Audit)
        {
            json.WriteStringValue(policy);
        }

        json.WriteEndArray();
        json.WriteStartArray("dryRun");
        foreach (var finding in findings.DryRun)
        {
            json.WriteStartObject();
            json.WriteString("policy", finding.Policy);
            json.WriteString("action", finding.Action.Word());
            json.WriteNumber("rule", finding.Rule);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteNumber(Utf8JsonWriter json, string name, int? number)
    {
        if (number is { } value)
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteNull(name);
        }
    }

    private static string Text(AccessRecord record)
    {
        var line = new StringBuilder(256);
        line.Append(CultureInfo.InvariantCulture, $"{Time(record)} {ProxyMetrics.Name(record.Direction)} {record.Listener} {record.Protocol ?? "-"}");
        line.Append(CultureInfo.InvariantCulture, $" {record.SourcePeer?.Id?.Principal ?? "-"}@{record.Source} -> {record.DestinationHost ?? record.DestinationWorkload?.ServiceAccount ?? "-"}:{record.DestinationPort}");
        if (record.Upstream is not null)
        {
            line.Append(CultureInfo.InvariantCulture, $" via {record.DestinationPeer?.Id?.Principal ?? record.DestinationPeer?.Host ?? "-"}@{record.Upstream}");
        }

        line.Append(CultureInfo.InvariantCulture, $" tls={record.TlsVersion ?? "none"}{(record.IsResumed ? "(resumed)" : "")}");
        if (record.Method is not null)
        {
            line.Append(CultureInfo.InvariantCulture, $" \"{record.Method} {Printable.Of(record.Path)}\" host={Printable.Of(record.Host)} id={record.RequestId} code={record.Code?.ToString(CultureInfo.InvariantCulture) ?? "-"}");
        }

        line.Append(CultureInfo.InvariantCulture, $" verdict={Verdict(record)} stage={StageOf(record)} policy={record.Verdict?.Policy ?? "-"} rule={record.Verdict?.Rule?.ToString(CultureInfo.InvariantCulture) ?? "-"}");
        line.Append(CultureInfo.InvariantCulture, $" flag={record.Refusal?.ToString() ?? "-"} in={record.BytesReceived} out={record.BytesSent} ms={record.Duration.TotalMilliseconds:0.###} reason=\"{OneLine(Reason(record))}\"");
        return line.ToString();
    }

    /// <summary>When it ended.</summary>
    private static string Time(AccessRecord record) => (record.Began + record.Duration).UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);

    /// <summary>Whether the proxy let it happen; what went wrong elsewhere is no denial.</summary>
    private static string Verdict(AccessRecord record) =>
        record.Refusal is null || Refusals.StageOf(record.Refusal.Value) == "upstream" || Refusals.StageOf(record.Refusal.Value) == "connection" ? "allow" : "deny";

    private static string StageOf(AccessRecord record) =>
        record.Refusal is { } refusal and not (RefusalReason.PolicyDenied or RefusalReason.PolicyChanged) ? Refusals.StageOf(refusal)
        : record.Verdict is { } verdict ? verdict.Stage.Word()
        : record.Direction == Direction.Outbound ? "outbound" : "default";

    private static string Reason(AccessRecord record) => record.Detail ?? record.Verdict?.Reason ?? "";

    private static string OneLine(string text) =>
        text.AsSpan().ContainsAnyInRange('\0', '\x1f') || text.Contains('"', StringComparison.Ordinal) ? Printable.Of(text.Replace('"', '\'')) : text;
}
