using Signet.Proxy.Authorization;
using Signet.Proxy.Connections;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Upstreams;
using Signet.Proxy.Tls;

namespace Signet.Proxy.L7;

/// <summary>What differs between requests from peers to the own application and requests from it to a service.</summary>
internal interface IHttpRole : IDisposable
{
    UpstreamPool Pool { get; }

    /// <summary>A record that says everything about the connection and nothing yet about a request.</summary>
    AccessRecord NewRecord();

    /// <summary>Decides about a request, by exactly the fields that would be forwarded, and notes the verdict in the record.</summary>
    /// <returns>Leave to forward, and the request line and fields to forward; or what the client gets instead.</returns>
    ValueTask<Ruling> JudgeAsync(RequestHead head, List<KeyValuePair<string, string>> fields, AccessRecord record);

    /// <summary>The same for a stream beside others, with a life of its own. Dispose of it when the stream is over.</summary>
    IHttpRole ForStream(LiveConnection stream);

    /// <summary>The request of a stream goes to this server, for as long as it is believed; null is the own application.</summary>
    void Reached(TlsSession? server);

    /// <summary>Lets a connection that is about to stop being HTTP be asked again about its last request; null asks no more.</summary>
    void KeepAsking(TlsSession? upstream, bool isTunnel);
}

/// <param name="Clearance">Leave to forward.</param>
/// <param name="Path">The path as it was judged, with the query as it came.</param>
/// <param name="Fields">The header fields as they were judged, and those that the proxy adds.</param>
/// <param name="ToDownstream">Changes to the fields of the response.</param>
internal readonly record struct Forwarding(Clearance Clearance, string Path, List<KeyValuePair<string, string>> Fields, IReadOnlyList<FieldChange> ToDownstream);
