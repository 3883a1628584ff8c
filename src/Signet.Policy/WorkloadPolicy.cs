using Signet.Policy.Engine;
using Signet.Policy.Objects;

namespace Signet.Policy;

/// <summary>
/// Everything that policies say about one workload, compiled. The one place where a decision is made, for L4, L7, gateway and command
/// line. Immutable, thread-safe; a decision does not allocate.
/// </summary>
public sealed class WorkloadPolicy
{
    private readonly MeshSettings _mesh;
    private readonly PeerAuthenticationScope _peers;
    private readonly RuleTable _http;
    private readonly RuleTable _tcp;
    private readonly Verdict? _unreadable;
    private readonly Dictionary<string, string> _needsMtls;

    internal WorkloadPolicy(MeshSettings mesh, PeerAuthenticationScope peers, IReadOnlyList<AuthorizationPolicy> policies, IReadOnlyList<JwtRule> jwtRules, PolicyObject? unreadable)
    {
        (_mesh, _peers) = (mesh, peers);
        Policies = policies;
        JwtRules = [.. jwtRules.OrderBy(rule => rule.Issuer, StringComparer.Ordinal)];
        _http = new RuleTable(policies, Protocol.Http, mesh);
        _tcp = new RuleTable(policies, Protocol.Tcp, mesh);
        _needsMtls = peers.Sources.ToDictionary(id => id, id => $"denied: {id} asks for mutual TLS and the peer has none", StringComparer.Ordinal);
        if (unreadable is not null)
        {
            var stage = unreadable is PeerAuthentication ? Stage.PeerAuthentication : Stage.Deny;
            var named = unreadable.Name.Length == 0 ? null : unreadable.Id;
            _unreadable = new Verdict(stage, named, null, $"denied: {named ?? unreadable.File} can't be understood and covers the workload: {unreadable.Unreadable}", Findings.None);
        }
    }

    /// <summary>The AuthorizationPolicies that cover the workload, by namespace and name.</summary>
    public IReadOnlyList<AuthorizationPolicy> Policies { get; }

    /// <summary>The issuers whose tokens the workload believes, by issuer; see <see cref="Jwt.TokenVerifier"/>.</summary>
    public IReadOnlyList<JwtRule> JwtRules { get; }

    /// <summary>What the workload's port does about mutual TLS, and which object says so.</summary>
    public PortMtls MtlsFor(int workloadPort) => _peers.For(workloadPort);

    /// <summary>
    /// Decides about a connection (<see cref="Protocol.Tcp"/>) or a request. A pure function of the policies and the facts; it only
    /// uses the facts' buffers.
    /// </summary>
    public Decision Decide(RequestFacts facts)
    {
        var port = MtlsFor(facts.DestinationPort);
        facts.PrepareConnection(port.Mode);
        if (_unreadable is { } unreadable)
        {
            return new Decision(unreadable, null);
        }

        if (port.Mode == MtlsMode.Strict && !facts.MutualTls)
        {
            return new Decision(new Verdict(Stage.PeerAuthentication, port.From, null, _needsMtls[port.From!], Findings.None), null);
        }

        if (facts.Protocol == Protocol.Tcp)
        {
            return _tcp.Decide(facts);
        }

        return facts.PrepareRequest(_mesh.PathNormalization) is { } problem
            ? new Decision(new Verdict(Stage.Request, null, null, problem, Findings.None), null)
            : _http.Decide(facts);
    }
}
