using Grpc.Core;
using Signet.Rpc.Wire.Envoy.Core;
using Signet.Rpc.Wire.Envoy.Discovery;

namespace Signet.Agent.Sds;

/// <summary>
/// The xDS state-of-the-world protocol: an acknowledgement echoes the nonce, a rejection carries an error, a request without a nonce or with other names
/// is a subscription. A name without a secret is left out of the response, which never goes out empty: Envoy would refuse that. Not thread-safe.
/// </summary>
internal sealed class StateOfTheWorld : ISdsDialogue<DiscoveryRequest, DiscoveryResponse>
{
    private HashSet<string> _names = new(StringComparer.Ordinal);
    private string _nonce = "";
    private string _version = "";
    private Dictionary<string, string> _told = new(StringComparer.Ordinal);

    public bool IsOpen { get; private set; }

    public bool Owes { get; private set; }

    public bool IsSettled { get; private set; } = true;

    public bool IsWildcard { get; private set; }

    public IReadOnlyCollection<string> Names => _names;

    public string ProblemOf(DiscoveryRequest request) => SdsRules.ProblemOf(request.TypeUrl, request.ResourceNames);

    public Node? NodeOf(DiscoveryRequest request) => request.Node;

    public SdsReading Take(DiscoveryRequest request)
    {
        // A nonce from before this stream means nothing on it.
        var answers = request.ResponseNonce.Length > 0 && _nonce.Length > 0;
        if (answers && request.ResponseNonce != _nonce)
        {
            return new SdsReading(SdsEvent.Stale);
        }

        var subscribed = Subscribe(request.ResourceNames) ? SdsEvent.Subscribed : SdsEvent.Stale;
        if (answers)
        {
            // An answer counts once.
            if (IsSettled)
            {
                return new SdsReading(subscribed);
            }

            IsSettled = true;
            return request.ErrorDetail is { } error
                ? new SdsReading(subscribed | SdsEvent.Rejected, SdsRules.Complaint(error))
                : new SdsReading(subscribed | SdsEvent.Accepted);
        }

        // Some clients acknowledge by the version alone. Taken for a question, that would be answered and acknowledged without end.
        if (subscribed == SdsEvent.Stale && !Owes && _version.Length > 0 && request.VersionInfo == _version)
        {
            IsSettled = true;
            return new SdsReading(SdsEvent.Accepted);
        }

        Owes = true;
        return new SdsReading(SdsEvent.Subscribed);
    }

    public SdsReply<DiscoveryResponse>? Reply(IReadOnlyList<NamedAnswer> answers)
    {
        var response = new DiscoveryResponse { TypeUrl = SdsRules.TypeUrl };
        var (told, size) = (new Dictionary<string, string>(StringComparer.Ordinal), 0);
        foreach (var (name, answer) in answers)
        {
            switch (answer)
            {
                case SecretAnswer.Found found:
                    var packed = SdsRules.Pack(found);
                    size += SdsRules.SizeOf(packed);
                    if (size > SdsRules.MaxResponseBytes)
                    {
                        response.ResourceErrors.Add(SdsRules.ErrorOf(name, StatusCode.ResourceExhausted, "the response is full; ask for fewer names on one stream"));
                        break;
                    }

                    response.Resources.Add(packed);
                    told[name] = found.Version;
                    break;
                case SecretAnswer.Missing(var code, var reason):
                    response.ResourceErrors.Add(SdsRules.ErrorOf(name, code, reason));
                    break;
            }
        }

        // A name less is nothing to be told.
        var isNew = Owes || told.Any(one => _told.GetValueOrDefault(one.Key) != one.Value);
        Owes = false;
        if (!isNew || response.Resources.Count == 0)
        {
            return null;
        }

        var version = SecretCatalog.VersionOf(string.Join('\n', told.Select(one => $"{one.Key}\n{one.Value}").Order(StringComparer.Ordinal)));
        _told = told;
        (_nonce, _version, IsSettled) = (SdsRules.NewNonce(), version, false);
        (response.Nonce, response.VersionInfo) = (_nonce, _version);
        return new SdsReply<DiscoveryResponse>(response, _version);
    }

    /// <returns>Whether something is wanted that was not wanted before.</returns>
    private bool Subscribe(IReadOnlyCollection<string> names)
    {
        var wanted = names.Where(name => name != SdsRules.Wildcard).ToHashSet(StringComparer.Ordinal);

        // No names: everything, unless there were names before; then it is the end of the subscription.
        var wildcard = names.Contains(SdsRules.Wildcard) || (names.Count == 0 && (!IsOpen || IsWildcard));
        var more = !IsOpen || (wildcard && !IsWildcard) || wanted.Any(name => !_names.Contains(name));
        (_names, IsWildcard, IsOpen) = (wanted, wildcard, true);
        Owes |= more;
        return more;
    }
}
