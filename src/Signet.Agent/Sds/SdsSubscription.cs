using Signet.Rpc.Wire.Envoy.Discovery;

namespace Signet.Agent.Sds;

/// <summary>What a request on a state-of-the-world stream meant.</summary>
internal enum SdsEvent
{
    /// <summary>It answers a response that was superseded; nothing follows.</summary>
    Stale,

    /// <summary>The newest response was taken over.</summary>
    Accepted,

    /// <summary>The newest response was refused; the client keeps what it had.</summary>
    Rejected,

    /// <summary>The client wants other resources than before, and an answer at once.</summary>
    Subscribed,
}

/// <summary>
/// One client's stream under the xDS state-of-the-world protocol: an acknowledgement echoes the nonce, a rejection carries an error, a
/// request without a nonce or with other names is a subscription. No I/O; not thread-safe.
/// </summary>
internal sealed class SdsSubscription
{
    public const string TypeUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    public const int MaxNames = 256;

    private bool _subscribed;
    private string _nonce = "";
    private long _version;

    /// <summary>The names asked for; empty stands for everything the client may have.</summary>
    public IReadOnlyList<string> Names { get; private set; } = [];

    /// <summary>Whether the client has subscribed at all.</summary>
    public bool IsOpen => _subscribed;

    public SdsEvent Take(DiscoveryRequest request)
    {
        if (request.ResponseNonce.Length > 0 && request.ResponseNonce != _nonce)
        {
            return SdsEvent.Stale;
        }

        if (request.ErrorDetail is not null)
        {
            return SdsEvent.Rejected;
        }

        if (_subscribed && SameNames(request.ResourceNames))
        {
            return request.ResponseNonce.Length > 0 ? SdsEvent.Accepted : SdsEvent.Subscribed;
        }

        _subscribed = true;
        Names = [.. request.ResourceNames.Distinct(StringComparer.Ordinal)];
        return SdsEvent.Subscribed;
    }

    /// <summary>Stamps a response with the next version and nonce.</summary>
    public DiscoveryResponse Stamp(DiscoveryResponse response)
    {
        _nonce = Guid.NewGuid().ToString("N");
        response.Nonce = _nonce;
        response.VersionInfo = (++_version).ToString(System.Globalization.CultureInfo.InvariantCulture);
        response.TypeUrl = TypeUrl;
        return response;
    }

    private bool SameNames(IEnumerable<string> names) => Names.ToHashSet(StringComparer.Ordinal).SetEquals(names);
}
