using System.Diagnostics.CodeAnalysis;
using Signet.Hosting.Configuration;
using Signet.Policy;
using Signet.Policy.Objects;
using Signet.Proxy.Config;
using Signet.Proxy.Mesh;
using Signet.Proxy.Upstreams.Balancing;
using Signet.Proxy.Upstreams.Health;
using Signet.Proxy.Upstreams.Limits;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// A service while the proxy runs: its endpoints, which of them are well, what is under way and how much may be. Everything that is decided is
/// decided by pure functions; this remembers. Thread-safe.
/// </summary>
internal sealed class Upstream
{
    /// <summary>Where active checks alone say who is well, all are used when fewer than half are; as in Envoy.</summary>
    private const int PanicPercent = 50;

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly ulong _seed;
    private readonly OutboundConfig _service;
    private readonly LinkedList<TaskCompletionSource> _waiting = [];
    private IReadOnlyList<UpstreamEndpoint> _endpoints;
    private ClientTraffic _traffic = ClientTraffic.Default;
    private uint _turn = uint.MaxValue;
    private uint _choices;
    private int _connections;
    private int _pending;
    private int _requests;
    private int _retries;
    private long _retried;
    private long _lastLook;

    /// <param name="service">What a person wrote.</param>
    /// <param name="time">The clock.</param>
    /// <param name="seed">Spreads what chance decides among proxies.</param>
    public Upstream(OutboundConfig service, TimeProvider time, ulong seed)
    {
        (_service, _time, _seed, _lastLook) = (service, time, seed, time.GetTimestamp());
        _endpoints = [.. service.Endpoints.Select(address => new UpstreamEndpoint(this, address))];
    }

    public string Name => _service.Name;

    public OutboundConfig Service => _service;

    /// <summary>Those of this moment. Changed under the lock only.</summary>
    public IReadOnlyList<UpstreamEndpoint> Endpoints => Volatile.Read(ref _endpoints);

    /// <summary>What the policies in force say; an endpoint that was left out stays so under another rule that leaves out at all.</summary>
    public ClientTraffic Traffic
    {
        get => Volatile.Read(ref _traffic);
        set => Volatile.Write(ref _traffic, value);
    }

    /// <summary>Retries since the start.</summary>
    public long Retried => Interlocked.Read(ref _retried);

    /// <summary>Where its endpoints are from now on, when the agent is to say so; those that stay keep what is known of them.</summary>
    public void Locate(ServicePlaces places)
    {
        if (!_service.IsLocated)
        {
            return;
        }

        lock (_gate)
        {
            var known = Endpoints.ToDictionary(endpoint => endpoint.Address);
            Volatile.Write(ref _endpoints, [.. places.Find(_service.Host, _service.Port).Select(address => known.GetValueOrDefault(address) ?? new UpstreamEndpoint(this, address))]);
        }
    }

    /// <summary>Chooses an endpoint for one request or connection among those that are well and were not tried yet.</summary>
    /// <param name="isRequest">Whether it is an HTTP request, which may be one too many.</param>
    /// <param name="tried">Those that are not asked again; null: none.</param>
    /// <param name="use">The choice; the caller ends it.</param>
    /// <param name="failure">Why there is none: nobody is well, or all were tried (null).</param>
    public bool TryChoose(bool isRequest, HashSet<UpstreamEndpoint>? tried, [NotNullWhen(true)] out EndpointUse? use, out DialOutcome.Failed? failure)
    {
        (use, failure) = (null, null);
        lock (_gate)
        {
            if (isRequest && Traffic.Pool.MaxRequests is { } most && Volatile.Read(ref _requests) >= most)
            {
                failure = Overloaded($"{most} requests are under way (http2MaxRequests)");
                return false;
            }

            if (Endpoints.Count == 0)
            {
                failure = new(RefusalReason.UpstreamUnhealthy, $"the agent knows no endpoint of {_service.Host}:{_service.Port}", null);
                return false;
            }

            var isPanic = IsPanic_NeedsLock;
            if (!isPanic && CountWell_NeedsLock() == 0)
            {
                failure = new(RefusalReason.UpstreamUnhealthy, $"no endpoint of {_service.Host} is well: {string.Join("; ", Endpoints.Select(Complaint_NeedsLock))}", null);
                return false;
            }

            Span<int> candidates = Endpoints.Count <= 64 ? stackalloc int[Endpoints.Count] : new int[Endpoints.Count];
            Span<int> loads = Endpoints.Count <= 64 ? stackalloc int[Endpoints.Count] : new int[Endpoints.Count];
            var (count, isFirst) = (0, true);
            for (var i = 0; i < Endpoints.Count; i++)
            {
                if (tried?.Contains(Endpoints[i]) == true)
                {
                    isFirst = false;
                }
                else if (isPanic || IsWell_NeedsLock(Endpoints[i]))
                {
                    (candidates[count], loads[count]) = (i, Endpoints[i].Active);
                    count++;
                }
            }

            if (count == 0)
            {
                return false;
            }

            // Only first attempts take a turn: otherwise one that fails would shift the turns of all others.
            unchecked
            {
                _choices++;
                _turn += isFirst ? 1u : 0;
            }

            var chosen = Picker.Pick(_traffic.Balancing, loads[..count], _turn, Picker.Chance(_seed, _choices));
            use = new EndpointUse(Endpoints[candidates[chosen]]);
            return true;
        }
    }

    /// <summary>Whether somebody who was not tried yet could be asked.</summary>
    public bool HasOther(IReadOnlySet<UpstreamEndpoint> tried)
    {
        lock (_gate)
        {
            var isPanic = IsPanic_NeedsLock;
            return Endpoints.Any(endpoint => (isPanic || IsWell_NeedsLock(endpoint)) && !tried.Contains(endpoint));
        }
    }

    /// <summary>Notes an answer.</summary>
    public void Report(UpstreamEndpoint endpoint, int status)
    {
        endpoint.CountAnswer(status);
        Note(endpoint, OutlierRule.Of(status));
    }

    /// <summary>Notes a connection that came about and is all that will be known.</summary>
    public void ReportGood(UpstreamEndpoint endpoint) => Note(endpoint, EndpointResult.Good);

    /// <summary>Notes that there was no connection, no session or no answer.</summary>
    public void ReportFailure(UpstreamEndpoint endpoint, string detail)
    {
        endpoint.CountFailure();
        lock (_gate)
        {
            endpoint.LastFailure = (detail, _time.GetUtcNow());
        }

        Note(endpoint, EndpointResult.LocalFailure);
    }

    /// <summary>Notes an active check.</summary>
    public void ReportCheck(UpstreamEndpoint endpoint, CheckEnd end, string detail)
    {
        lock (_gate)
        {
            endpoint.Health = HealthRule.Next(endpoint.Health, end, _service.HealthCheck!);
            if (end != CheckEnd.Passed)
            {
                endpoint.LastFailure = (detail, _time.GetUtcNow());
            }
        }
    }

    /// <summary>Looks around when the interval is over: who was away long enough comes back.</summary>
    public void Sweep()
    {
        lock (_gate)
        {
            var now = _time.GetTimestamp();
            if (Traffic.Outliers is not { } settings)
            {
                foreach (var endpoint in Endpoints)
                {
                    endpoint.Ejection = default;
                }
            }
            else if (_time.GetElapsedTime(_lastLook, now) >= settings.Interval)
            {
                _lastLook = now;
                foreach (var endpoint in Endpoints)
                {
                    endpoint.Ejection = endpoint.Ejection.AtInterval(settings, now, _time.TimestampFrequency);
                }
            }
        }
    }

    /// <summary>A place for one more connection, which <see cref="CloseConnection"/> gives back.</summary>
    /// <param name="isNeeded">Whether it must be had even beyond the limit; it counts all the same.</param>
    public bool TryOpenConnection(bool isNeeded = false)
    {
        lock (_gate)
        {
            if (!isNeeded && Traffic.Pool.MaxConnections is { } most && _connections >= most)
            {
                return false;
            }

            _connections++;
            return true;
        }
    }

    public void CloseConnection()
    {
        lock (_gate)
        {
            _connections--;
        }

        Wake();
    }

    /// <summary>What a connection that is one too many gets.</summary>
    public DialOutcome.Failed TooManyConnections() => Overloaded($"{Traffic.Pool.MaxConnections} connections are open (maxConnections)");

    /// <summary>A request begins to wait for a connection.</summary>
    /// <returns>Why it must not.</returns>
    public DialOutcome.Failed? BeginWaiting()
    {
        lock (_gate)
        {
            if (Traffic.Pool.MaxPendingRequests is { } most && _pending >= most)
            {
                return Overloaded($"{most} requests wait for a connection (http1MaxPendingRequests)");
            }

            _pending++;
            return null;
        }
    }

    public void EndWaiting()
    {
        lock (_gate)
        {
            _pending--;
        }
    }

    /// <summary>Waits until a connection was closed or is unused. Others may be faster.</summary>
    public async Task WaitForConnectionAsync(CancellationToken cancellationToken)
    {
        var turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        LinkedListNode<TaskCompletionSource> place;
        lock (_gate)
        {
            // It may have become possible between looking and asking.
            if (Traffic.Pool.MaxConnections is not { } most || _connections < most)
            {
                return;
            }

            place = _waiting.AddLast(turn);
        }

        try
        {
            await turn.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            bool isLate;
            lock (_gate)
            {
                isLate = place.List is null;
                if (!isLate)
                {
                    _waiting.Remove(place);
                }
            }

            // It was woken and no longer wants it: the next one does.
            if (isLate)
            {
                Wake();
            }

            throw;
        }
    }

    /// <summary>A connection is free: whoever has waited longest looks again.</summary>
    public void Wake()
    {
        TaskCompletionSource? first;
        lock (_gate)
        {
            first = _waiting.First?.Value;
            if (first is not null)
            {
                _waiting.RemoveFirst();
            }
        }

        first?.SetResult();
    }

    /// <summary>A place for one more retry, which <see cref="EndRetry"/> gives back.</summary>
    public bool TryBeginRetry()
    {
        lock (_gate)
        {
            var traffic = Traffic;
            if (_retries >= RetryRule.Budget(traffic.Retries, traffic.Pool.MaxRetries, Volatile.Read(ref _requests)))
            {
                return false;
            }

            _retries++;
            CountRetry();
            return true;
        }
    }

    /// <summary>Something is tried once more, in whatever way.</summary>
    public void CountRetry() => Interlocked.Increment(ref _retried);

    public void EndRetry()
    {
        lock (_gate)
        {
            _retries--;
        }
    }

    public void CountRequest(int by) => Interlocked.Add(ref _requests, by);

    /// <summary>How it is at this moment.</summary>
    public UpstreamState State()
    {
        lock (_gate)
        {
            var (utc, now) = (_time.GetUtcNow(), _time.GetTimestamp());
            return new UpstreamState
            {
                Service = Name,
                Host = _service.Host,
                Port = _service.Port,
                Rule = Traffic.From,
                Balancing = Traffic.Balancing,
                Connections = _connections,
                Waiting = _pending,
                Active = Volatile.Read(ref _requests),
                Retries = _retries,
                Retried = Retried,
                IsPanicking = IsPanic_NeedsLock,
                Endpoints = [.. Endpoints.Select(endpoint => new UpstreamEndpointState
                {
                    Endpoint = endpoint.Name,
                    IsWell = IsWell_NeedsLock(endpoint),
                    Health = endpoint.Health.Health.ToString().ToLowerInvariant(),
                    EjectedUntil = endpoint.Ejection.Until is { } until && Traffic.Outliers is not null ? utc + _time.GetElapsedTime(now, Math.Max(now, until)) : null,
                    EjectedFor = endpoint.Ejection.IsOut && Traffic.Outliers is not null ? endpoint.Ejection.Cause.ToString() : null,
                    Connections = endpoint.Connections,
                    Active = endpoint.Active,
                    Connected = endpoint.Connected,
                    Failed = endpoint.Failed,
                    Ejected = endpoint.Ejected,
                    Answers = [endpoint.Answers(2), endpoint.Answers(3), endpoint.Answers(4), endpoint.Answers(5)],
                    LastFailure = endpoint.LastFailure?.Text,
                    LastFailureAt = endpoint.LastFailure?.At,
                })],
            };
        }
    }

    private bool IsPanic_NeedsLock => OutlierRule.IsPanic(CountWell_NeedsLock(), Endpoints.Count, MinHealthPercent);

    private int MinHealthPercent => Traffic.Outliers?.MinHealthPercent ?? (_service.HealthCheck is null ? 0 : PanicPercent);

    private void Note(UpstreamEndpoint endpoint, EndpointResult result)
    {
        if (Traffic.Outliers is not { } settings)
        {
            return;
        }

        lock (_gate)
        {
            var before = endpoint.Ejection;
            var mayEject = OutlierRule.MayEject(settings, Endpoints.Count, Endpoints.Count(one => one.Ejection.IsOut));
            endpoint.Ejection = before.After(settings, result, mayEject, _time.GetTimestamp(), _time.TimestampFrequency);
            if (endpoint.Ejection.IsOut && !before.IsOut)
            {
                endpoint.CountEjection();
            }
        }
    }

    private int CountWell_NeedsLock()
    {
        var well = 0;
        for (var i = 0; i < Endpoints.Count; i++)
        {
            well += IsWell_NeedsLock(Endpoints[i]) ? 1 : 0;
        }

        return well;
    }

    private bool IsWell_NeedsLock(UpstreamEndpoint endpoint) =>
        !(endpoint.Ejection.IsOut && Traffic.Outliers is not null) && endpoint.Health.Health != EndpointHealth.Unhealthy;

    private string Complaint_NeedsLock(UpstreamEndpoint endpoint) => endpoint switch
    {
        { Health.Health: EndpointHealth.Unhealthy } => $"{endpoint.Name} fails its checks",
        { Ejection: { Until: { } until, Cause: var cause } } => $"{endpoint.Name} is left out for {DurationText.Format(TimeSpan.FromSeconds(Math.Ceiling(_time.GetElapsedTime(_time.GetTimestamp(), Math.Max(until, _time.GetTimestamp())).TotalSeconds)))} more ({cause})",
        _ => endpoint.Name,
    };

    private DialOutcome.Failed Overloaded(string what) => new(RefusalReason.UpstreamOverloaded, $"{_service.Host}: {what}", null);
}
