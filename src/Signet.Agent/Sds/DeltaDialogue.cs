using Signet.Rpc.Wire.Envoy.Core;
using Signet.Rpc.Wire.Envoy.Discovery;

namespace Signet.Agent.Sds;

/// <summary>
/// The incremental xDS protocol: requests add and take away names, responses say what differs from what the client has. A name without a secret is reported
/// as removed, once; Envoy takes note of that and goes on waiting. Not thread-safe.
/// </summary>
internal sealed class DeltaDialogue : ISdsDialogue<DeltaDiscoveryRequest, DeltaDiscoveryResponse>
{
    /// <summary>Stands for the version of what the client knows to be absent.</summary>
    private const string Absent = "";

    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _told = new(StringComparer.Ordinal);
    private string _nonce = "";

    public bool IsOpen { get; private set; }

    public bool Owes { get; private set; }

    public bool IsSettled { get; private set; } = true;

    public bool IsWildcard { get; private set; }

    public IReadOnlyCollection<string> Names => _names;

    public string ProblemOf(DeltaDiscoveryRequest request) =>
        SdsRules.ProblemOf(request.TypeUrl, request.ResourceNamesSubscribe) is { Length: > 0 } problem ? problem
        : request.ResourceNamesUnsubscribe.Count > SdsRules.MaxNames || request.InitialResourceVersions.Count > SdsRules.MaxNames
            ? $"more than {SdsRules.MaxNames} names in one request"
        : _names.Count + request.ResourceNamesSubscribe.Count(name => !_names.Contains(name)) > SdsRules.MaxNames ? $"more than {SdsRules.MaxNames} names on one stream"
        : "";

    public Node? NodeOf(DeltaDiscoveryRequest request) => request.Node;

    public SdsReading Take(DeltaDiscoveryRequest request)
    {
        // 1. What it wants counts whatever it answers: each request says only what is different.
        var subscribed = Subscribe(request) ? SdsEvent.Subscribed : SdsEvent.Stale;

        // 2. Whether it took the newest response over. An answer counts once.
        if (IsSettled || request.ResponseNonce.Length == 0 || request.ResponseNonce != _nonce)
        {
            return new SdsReading(subscribed);
        }

        IsSettled = true;
        return request.ErrorDetail is { } error
            ? new SdsReading(subscribed | SdsEvent.Rejected, SdsRules.Complaint(error))
            : new SdsReading(subscribed | SdsEvent.Accepted);
    }

    public SdsReply<DeltaDiscoveryResponse>? Reply(IReadOnlyList<NamedAnswer> answers)
    {
        var response = new DeltaDiscoveryResponse { TypeUrl = SdsRules.TypeUrl };
        var (size, full) = (0, false);
        foreach (var (name, answer) in answers)
        {
            switch (answer)
            {
                case SecretAnswer.Found found when _told.GetValueOrDefault(name) != found.Version:
                    var packed = SdsRules.Pack(found);
                    size += SdsRules.SizeOf(packed);
                    full |= size > SdsRules.MaxResponseBytes && response.Resources.Count > 0;
                    if (!full)
                    {
                        response.Resources.Add(new Resource { Name = name, Version = found.Version, Resource_ = packed });
                        _told[name] = found.Version;
                    }

                    break;
                case SecretAnswer.Missing(var code, var reason) when _told.GetValueOrDefault(name) != Absent:
                    response.RemovedResources.Add(name);
                    response.ResourceErrors.Add(SdsRules.ErrorOf(name, code, reason));
                    _told[name] = Absent;
                    break;
            }
        }

        // Of everything, something is no more.
        foreach (var gone in _told.Where(told => !_names.Contains(told.Key) && answers.All(answer => answer.Name != told.Key)).Select(told => told.Key).ToList())
        {
            response.RemovedResources.Add(gone);
            _told.Remove(gone);
        }

        // What did not fit goes with the next response, once this one is answered.
        Owes = false;
        if (response.Resources.Count == 0 && response.RemovedResources.Count == 0)
        {
            return null;
        }

        (_nonce, IsSettled) = (SdsRules.NewNonce(), false);
        response.Nonce = _nonce;
        response.SystemVersionInfo = SecretCatalog.VersionOf(string.Join('\n', _told.Select(told => $"{told.Key}\n{told.Value}").Order(StringComparer.Ordinal)));
        return new SdsReply<DeltaDiscoveryResponse>(response, response.SystemVersionInfo);
    }

    /// <returns>Whether something is wanted that has to be told.</returns>
    private bool Subscribe(DeltaDiscoveryRequest request)
    {
        var wasWildcard = IsWildcard;
        if (!IsOpen)
        {
            // No names at first: everything. What the client has from before need not be told again.
            IsWildcard = request.ResourceNamesSubscribe.Count == 0;
            foreach (var (name, version) in request.InitialResourceVersions)
            {
                _told[name] = version;
            }
        }

        var more = !IsOpen;
        foreach (var name in request.ResourceNamesSubscribe)
        {
            if (name == SdsRules.Wildcard)
            {
                IsWildcard = true;
                more = true;
                continue;
            }

            // Asked for again, it is told again.
            if (IsOpen)
            {
                _told.Remove(name);
            }

            _names.Add(name);
            more = true;
        }

        foreach (var name in request.ResourceNamesUnsubscribe)
        {
            IsWildcard &= name != SdsRules.Wildcard;
            _names.Remove(name);
            _told.Remove(name);
        }

        if (wasWildcard && !IsWildcard)
        {
            foreach (var name in _told.Keys.Where(name => !_names.Contains(name)).ToList())
            {
                _told.Remove(name);
            }
        }

        IsOpen = true;
        Owes |= more;
        return more;
    }
}
