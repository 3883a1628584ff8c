using Signet.Proxy.Connections;
using Signet.Proxy.Tls;

namespace Signet.Proxy.Telemetry;

/// <summary>A value that a template can name. Exactly one of the three ways to get it is there.</summary>
/// <param name="Name">Between percent signs; Envoy's, where Envoy has one.</param>
/// <param name="Text">Text, which may come from a peer; null is absent.</param>
/// <param name="Number">A number; null is absent.</param>
/// <param name="Written">Writes letters, digits and <c>-.:[]</c> only; false is absent.</param>
internal sealed record AccessOperator(
    string Name, Func<AccessRecord, string?>? Text = null, Func<AccessRecord, long?>? Number = null, Func<LineBuffer, AccessRecord, bool>? Written = null);

/// <summary>The values that templates can name; docs/reference/access-log.md says what each is.</summary>
internal static class AccessOperators
{
    public static IReadOnlyDictionary<string, AccessOperator> All { get; } = ((IEnumerable<AccessOperator>)
    [
        new("START_TIME", Written: (to, record) => Put(to, record.Began)),
        new("END_TIME", Written: (to, record) => Put(to, record.Ended)),
        new("DURATION", Number: record => (long)record.Duration.TotalMilliseconds),
        new("DURATION_US", Number: record => (long)record.Duration.TotalMicroseconds),
        new("BYTES_RECEIVED", Number: record => record.BytesReceived),
        new("BYTES_SENT", Number: record => record.BytesSent),
        new("PROTOCOL", record => record.HttpVersion ?? record.Protocol),
        new("RESPONSE_CODE", Number: record => record.Code),
        new("GRPC_STATUS_NUMBER", Number: record => record.GrpcStatus),
        new("RESPONSE_FLAGS", record => record.Refusal?.ToString()),
        new("RESPONSE_CODE_DETAILS", record => record.Reason is { Length: > 0 } reason ? reason : null),
        new("STREAM_ID", record => record.RequestId),
        new("TRACE_ID", record => record.Trace?.TraceId),

        new("DOWNSTREAM_REMOTE_ADDRESS", Written: (to, record) => Put(to, record.RemoteIp is null ? record.Source : new(record.RemoteIp, record.Source.Port))),
        new("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Written: (to, record) => Put(to, record.RemoteIp ?? record.Source.Address)),
        new("DOWNSTREAM_DIRECT_REMOTE_ADDRESS", Written: (to, record) => Put(to, record.Source)),
        new("DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", Written: (to, record) => Put(to, record.Source.Address)),
        new("DOWNSTREAM_DIRECT_REMOTE_PORT", Number: record => record.Source.Port),
        new("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Written: (to, record) => Put(to, record.DestinationIp)),
        new("DOWNSTREAM_LOCAL_PORT", Number: record => record.DestinationPort),
        .. Peers("DOWNSTREAM", record => record.SourcePeer),
        .. Tls("DOWNSTREAM", Direction.Inbound),
        new("REQUESTED_SERVER_NAME", record => record.Sni),

        new("UPSTREAM_HOST", record => record.Upstream),
        new("UPSTREAM_CLUSTER", record => record.DestinationHost),
        .. Peers("UPSTREAM", record => record.DestinationPeer),
        .. Tls("UPSTREAM", Direction.Outbound),

        new("DIRECTION", record => ProxyMetrics.Name(record.Direction)),
        new("LISTENER", record => record.Listener),
        new("DESTINATION_PORT", Number: record => record.DestinationPort),
        new("VERDICT", record => record.IsDenied ? "deny" : "allow"),
        new("STAGE", record => record.Stage),
        new("POLICY", record => record.Verdict?.Policy),
        new("RULE", Number: record => record.Verdict?.Rule),
        new("TLS_SESSION", record => record.TlsVersion is null ? null : record.IsResumed ? "resumed" : "full"),
    ]).ToDictionary(known => known.Name, StringComparer.Ordinal);

    /// <summary>A field of the request: <c>%REQ(NAME)%</c>.</summary>
    public static AccessOperator Request(string name) => name switch
    {
        ":METHOD" => new(name, record => record.Method),
        ":AUTHORITY" => new(name, record => record.Host),
        ":PATH" => new(name, record => record.Path),
        _ when name.Equals(L7.ForwardedHeaders.RequestId, StringComparison.OrdinalIgnoreCase) => new(name, record => record.RequestId),
        _ => new(name, record => Field(record.RequestFields, name)),
    };

    /// <summary>A field of the response: <c>%RESP(NAME)%</c>.</summary>
    public static AccessOperator Response(string name) => new(name, record => Field(record.ResponseFields, name));

    private static IEnumerable<AccessOperator> Peers(string side, Func<AccessRecord, Peer?> peer)
    {
        yield return new($"{side}_PEER_URI_SAN", record => peer(record)?.Id?.Uri);
        yield return new($"{side}_PEER_SUBJECT", record => peer(record)?.Leaf.Subject);
        yield return new($"{side}_PEER_ISSUER", record => peer(record)?.Leaf.Issuer);
        yield return new($"{side}_PEER_SERIAL", record => peer(record)?.Leaf.SerialHex);
        yield return new($"{side}_PEER_FINGERPRINT_256", record => peer(record)?.Leaf.Fingerprint);
        yield return new($"{side}_PEER_CERT_V_START", Written: (to, record) => peer(record) is { Leaf: var leaf } && Put(to, leaf.NotBefore));
        yield return new($"{side}_PEER_CERT_V_END", Written: (to, record) => peer(record) is { Leaf: var leaf } && Put(to, leaf.NotAfter));
    }

    /// <summary>A record has one handshake: with the client of an inbound connection, with the server of an outbound one.</summary>
    private static IEnumerable<AccessOperator> Tls(string side, Direction direction)
    {
        yield return new($"{side}_TLS_VERSION", record => record.Direction == direction ? record.TlsVersion : null);
        yield return new($"{side}_TLS_CIPHER", record => record.Direction == direction ? record.TlsCipher : null);
        yield return new($"{side}_ALPN", record => record.Direction == direction ? record.Alpn : null);
    }

    private static string? Field(IReadOnlyList<KeyValuePair<string, string>>? fields, string name)
    {
        for (var i = 0; i < fields?.Count; i++)
        {
            if (fields[i].Key.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return fields[i].Value;
            }
        }

        return null;
    }

    private static bool Put(LineBuffer to, DateTimeOffset time)
    {
        to.Add(time);
        return true;
    }

    private static bool Put(LineBuffer to, System.Net.IPEndPoint endPoint)
    {
        to.Add(endPoint);
        return true;
    }

    private static bool Put(LineBuffer to, System.Net.IPAddress? address)
    {
        if (address is null)
        {
            return false;
        }

        to.Add(address);
        return true;
    }
}
