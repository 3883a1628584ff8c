using System.Net;
using Signet.Hosting.Configuration;
using Signet.Proxy.Upstreams.Health;

namespace Signet.Proxy.Upstreams;

/// <summary>One endpoint of a service while the proxy runs: what is under way there and how it has been doing. Its service guards it.</summary>
internal sealed class UpstreamEndpoint(Upstream owner, EndPoint address)
{
    /// <summary>Answers of class 1xx are none; 2xx to 5xx count.</summary>
    private readonly long[] _answers = new long[4];
    private int _active;
    private int _connections;
    private long _connected;
    private long _failed;
    private long _ejected;

    public Upstream Owner => owner;

    public EndPoint Address => address;

    /// <summary>For logs and metrics.</summary>
    public string Name { get; } = EndPointText.Format(address);

    /// <summary>Requests and relayed connections under way, those being connected included.</summary>
    public int Active => Volatile.Read(ref _active);

    public int Connections => Volatile.Read(ref _connections);

    /// <summary>Connections that came about since the start.</summary>
    public long Connected => Interlocked.Read(ref _connected);

    /// <summary>Connections and requests that failed since the start, without an answer.</summary>
    public long Failed => Interlocked.Read(ref _failed);

    /// <summary>How often it was left out since the start.</summary>
    public long Ejected => Interlocked.Read(ref _ejected);

    /// <summary>Answers of a class since the start.</summary>
    /// <param name="hundreds">2 to 5.</param>
    public long Answers(int hundreds) => Interlocked.Read(ref _answers[hundreds - 2]);

    /// <summary>Guarded by the service.</summary>
    public Ejection Ejection { get; set; }

    /// <summary>Guarded by the service.</summary>
    public HealthState Health { get; set; }

    /// <summary>The last failure in words, and when it was. Guarded by the service.</summary>
    public (string Text, DateTimeOffset At)? LastFailure { get; set; }

    public void CountActive(int by) => Interlocked.Add(ref _active, by);

    public void CountConnection(int by)
    {
        Interlocked.Add(ref _connections, by);
        if (by > 0)
        {
            Interlocked.Increment(ref _connected);
        }
    }

    public void CountAnswer(int status)
    {
        if (status is >= 200 and < 600)
        {
            Interlocked.Increment(ref _answers[(status / 100) - 2]);
        }
    }

    public void CountFailure() => Interlocked.Increment(ref _failed);

    public void CountEjection() => Interlocked.Increment(ref _ejected);
}

/// <summary>One request or relayed connection at an endpoint, from the moment it was chosen. Ends once.</summary>
internal sealed class EndpointUse : IDisposable
{
    private int _hasEnded;

    public EndpointUse(UpstreamEndpoint endpoint)
    {
        Endpoint = endpoint;
        endpoint.CountActive(1);
        endpoint.Owner.CountRequest(1);
    }

    public UpstreamEndpoint Endpoint { get; }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _hasEnded, 1) == 0)
        {
            Endpoint.CountActive(-1);
            Endpoint.Owner.CountRequest(-1);
        }
    }
}
