using System.Collections.Concurrent;
using System.Globalization;
using Signet.Hosting.Telemetry;
using Signet.Proxy.Connections;

namespace Signet.Proxy.Telemetry;

/// <summary>
/// Requests, errors and durations by who asked whom. Peers, services and policies are many and may become more, so beyond
/// <see cref="MaxSeries"/> combinations they are all called <c>other</c>. Counting a known combination allocates nothing. Thread-safe.
/// </summary>
internal sealed class TrafficMetrics
{
    /// <summary>How many combinations of peer, service, policy and answer are told apart.</summary>
    public const int MaxSeries = 1000;

    private const string Other = "other";
    private const string Unknown = "unknown";

    private static readonly double[] Bounds = [.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10];

    private readonly ConcurrentDictionary<Key, Series> _series = new();
    private int _count;

    /// <summary>Counts what a finished record says, if it is about a request or a TCP connection.</summary>
    public void Count(AccessRecord record)
    {
        var isRequest = record.Method is not null;
        if (!isRequest && record.Protocol != "tcp")
        {
            return;
        }

        var peer = record.Direction == Direction.Inbound ? record.SourcePeer : record.DestinationPeer;
        var key = new Key(
            record.Direction, isRequest, peer?.Id?.Uri ?? Unknown, record.DestinationHost ?? "", record.DestinationPort, record.GrpcStatus is null ? record.Protocol ?? Unknown : "grpc", record.Verdict?.Policy ?? "none", record.Code ?? 0, GrpcOf(record),
            record.IsDenied, record.TlsVersion ?? "none", record.TlsVersion is null ? "none" : record.IsResumed ? "resumed" : "full");
        if (!_series.TryGetValue(key, out var series))
        {
            series = Add(key);
        }

        series.Add(record);
    }

    /// <summary>Everything that was counted.</summary>
    /// <param name="self">This proxy's own SPIFFE ID; null while there is none.</param>
    public IEnumerable<MetricReading> Read(string? self)
    {
        var all = _series.ToArray();
        var requests = all.Where(pair => pair.Key.IsRequest).ToArray();
        yield return new MetricReading(
            "signet_proxy_requests_total", "HTTP requests that have ended.", null,
            [.. requests.Select(pair => new MetricPoint([.. Ends(pair.Key, self), .. Answer(pair.Key), .. Tls(pair.Key)], pair.Value.Count))]);
        yield return new MetricReading(
            "signet_proxy_request_duration_seconds", "How long HTTP requests took, from head to last byte.", Bounds,
            [.. requests.GroupBy(pair => (pair.Key.Direction, pair.Key.Peer, pair.Key.Host, pair.Key.Port, pair.Key.Protocol, Class: ClassOf(pair.Key.Code))).Select(Durations)]);
        yield return new MetricReading(
            "signet_proxy_tcp_connections_total", "TCP connections that have ended.", null,
            [.. all.Where(pair => !pair.Key.IsRequest).Select(pair => new MetricPoint([.. Ends(pair.Key, self), .. Decision(pair.Key), .. Tls(pair.Key)], pair.Value.Count))]);
        yield return new MetricReading(
            "signet_proxy_bytes_total", "Payload moved; way is \"received\" from or \"sent\" to whoever opened the connection.", null,
            [.. all.GroupBy(pair => (pair.Key.Direction, pair.Key.Peer, pair.Key.Host, pair.Key.Port, pair.Key.Protocol)).SelectMany(Bytes)]);

        MetricPoint Durations(IEnumerable<KeyValuePair<Key, Series>> same)
        {
            var (buckets, exemplars, seconds) = (new long[Bounds.Length + 1], new MetricExemplar?[Bounds.Length + 1], 0.0);
            foreach (var (_, series) in same)
            {
                seconds += series.Sum(buckets, exemplars);
            }

            var key = same.First().Key;
            return new MetricPoint([.. Ends(key, self), new("code", ClassOf(key.Code))], seconds, buckets, exemplars);
        }

        IEnumerable<MetricPoint> Bytes(IEnumerable<KeyValuePair<Key, Series>> same)
        {
            var ends = Ends(same.First().Key, self);
            yield return new MetricPoint([.. ends, new("way", "received")], same.Sum(pair => pair.Value.BytesIn));
            yield return new MetricPoint([.. ends, new("way", "sent")], same.Sum(pair => pair.Value.BytesOut));
        }
    }

    /// <summary>The sums over everybody.</summary>
    public (long Requests, long Denied, long BytesIn, long BytesOut) Totals()
    {
        var (requests, denied, bytesIn, bytesOut) = (0L, 0L, 0L, 0L);
        foreach (var (key, series) in _series)
        {
            requests += key.IsRequest ? series.Count : 0;
            denied += key.IsDenied ? series.Count : 0;
            bytesIn += series.BytesIn;
            bytesOut += series.BytesOut;
        }

        return (requests, denied, bytesIn, bytesOut);
    }

    private Series Add(Key key)
    {
        if (Interlocked.Increment(ref _count) > MaxSeries)
        {
            // What is left of the key has few values, all of them the code's own.
            Interlocked.Decrement(ref _count);
            return _series.GetOrAdd(key with { Peer = Other, Host = Other, Policy = Other, Port = 0, Code = -(key.Code / 100) }, _ => new Series());
        }

        var fresh = new Series();
        var series = _series.GetOrAdd(key, fresh);
        if (series != fresh)
        {
            Interlocked.Decrement(ref _count);
        }

        return series;
    }

    private static KeyValuePair<string, object?>[] Ends(Key key, string? self)
    {
        var (source, destination) = key.Direction == Direction.Inbound ? (key.Peer, self ?? Unknown) : (self ?? Unknown, key.Peer);
        return
        [
            new("direction", ProxyMetrics.Name(key.Direction)), new("source_principal", source), new("destination_principal", destination),
            new("destination_service", key.Host), new("destination_port", key.Port == 0 ? Other : key.Port.ToString(CultureInfo.InvariantCulture)), new("protocol", key.Protocol),
        ];
    }

    private static KeyValuePair<string, object?>[] Decision(Key key) => [new("policy", key.Policy), new("verdict", key.IsDenied ? "deny" : "allow")];

    private static KeyValuePair<string, object?>[] Answer(Key key) =>
        [.. Decision(key), new("code", key.Code > 0 ? key.Code.ToString(CultureInfo.InvariantCulture) : ClassOf(key.Code)), new("grpc_status", key.GrpcStatus < 0 ? "" : key.GrpcStatus.ToString(CultureInfo.InvariantCulture))];

    private static KeyValuePair<string, object?>[] Tls(Key key) => [new("tls_version", key.TlsVersion), new("tls_session", key.Session)];

    /// <summary>Below 0 for what is no call by gRPC; what gRPC does not know is UNKNOWN (2), as its clients take it.</summary>
    private static int GrpcOf(AccessRecord record) => record.GrpcStatus switch
    {
        null => -1,
        <= 16 and var known => known,
        _ => 2,
    };

    /// <summary><c>2xx</c>; <c>none</c> where there was no answer.</summary>
    private static string ClassOf(int code) => (code < 0 ? -code : code / 100) switch
    {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "none",
    };

    /// <param name="Direction">Which side of the mesh.</param>
    /// <param name="IsRequest">Otherwise a TCP connection.</param>
    /// <param name="Peer">The other side's SPIFFE ID.</param>
    /// <param name="Host">Outbound: the service; inbound empty, since the port says it.</param>
    /// <param name="Port">The service's or workload's port.</param>
    /// <param name="Protocol">What was spoken.</param>
    /// <param name="Policy">What decided.</param>
    /// <param name="Code">The status; 0 for none, and below 0 the first digit of many.</param>
    /// <param name="GrpcStatus">The status of a call by gRPC; below 0 for none.</param>
    /// <param name="IsDenied">What was decided.</param>
    /// <param name="TlsVersion">What was agreed on.</param>
    /// <param name="Session">Whether the handshake was a full one.</param>
    private readonly record struct Key(
        Direction Direction, bool IsRequest, string Peer, string Host, int Port, string Protocol, string Policy, int Code, int GrpcStatus, bool IsDenied, string TlsVersion, string Session)
    {
        /// <summary>Over the parts that differ most.</summary>
        public override int GetHashCode() => HashCode.Combine(Peer, Host.Length, Policy, Code, GrpcStatus, Port, Direction);
    }

    private sealed class Series
    {
        private readonly long[] _buckets = new long[Bounds.Length + 1];
        private readonly MetricExemplar?[] _exemplars = new MetricExemplar?[Bounds.Length + 1];
        private long _count;
        private long _ticks;
        private long _bytesIn;
        private long _bytesOut;

        public long Count => Interlocked.Read(ref _count);

        public long BytesIn => Interlocked.Read(ref _bytesIn);

        public long BytesOut => Interlocked.Read(ref _bytesOut);

        public void Add(AccessRecord record)
        {
            Interlocked.Increment(ref _count);
            Interlocked.Add(ref _ticks, record.Duration.Ticks);
            Interlocked.Add(ref _bytesIn, record.BytesReceived);
            Interlocked.Add(ref _bytesOut, record.BytesSent);
            var seconds = record.Duration.TotalSeconds;
            var found = Array.BinarySearch(Bounds, seconds);
            var bucket = found < 0 ? ~found : found;
            Interlocked.Increment(ref _buckets[bucket]);
            if (record.Trace is { IsSampled: true } trace)
            {
                // The last one: whoever looks wants a trace that is still kept.
                Volatile.Write(ref _exemplars[bucket], new MetricExemplar(trace.TraceId, seconds, record.Ended));
            }
        }

        /// <summary>Adds the buckets up, each with its latest exemplar, and answers with the seconds.</summary>
        public double Sum(long[] buckets, MetricExemplar?[] exemplars)
        {
            for (var i = 0; i < buckets.Length; i++)
            {
                buckets[i] += Interlocked.Read(ref _buckets[i]);
                if (Volatile.Read(ref _exemplars[i]) is { } exemplar && !(exemplars[i]?.At >= exemplar.At))
                {
                    exemplars[i] = exemplar;
                }
            }

            return TimeSpan.FromTicks(Interlocked.Read(ref _ticks)).TotalSeconds;
        }
    }
}
