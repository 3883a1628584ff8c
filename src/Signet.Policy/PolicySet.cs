using System.Collections.Immutable;
using Signet.Policy.Engine;
using Signet.Policy.Objects;
using Signet.Policy.Reading;

namespace Signet.Policy;

/// <summary>
/// All policies of a mesh, read and checked. Immutable, thread-safe: a change makes a new set that shares everything else, so applying one
/// changed text does not read the others again.
/// </summary>
public sealed class PolicySet
{
    private readonly ImmutableSortedDictionary<string, PolicyFile> _files;
    private readonly Dictionary<string, List<PolicyObject>> _byNamespace = new(StringComparer.Ordinal);
    private readonly List<PolicyObject> _everywhere = [];
    private readonly List<PolicyProblem> _declaredTwice = [];

    private PolicySet(ImmutableSortedDictionary<string, PolicyFile> files, MeshSettings mesh)
    {
        (_files, Mesh) = (files, mesh);
        foreach (var one in DistinctObjects())
        {
            if (one is UnreadableText)
            {
                _everywhere.Add(one);
            }
            else if (_byNamespace.TryGetValue(one.Namespace, out var list))
            {
                list.Add(one);
            }
            else
            {
                _byNamespace.Add(one.Namespace, [one]);
            }
        }
    }

    public MeshSettings Mesh { get; }

    /// <summary>Everything that was read, in no promised order.</summary>
    public IEnumerable<PolicyObject> Objects => _everywhere.Concat(_byNamespace.Values.SelectMany(list => list));

    /// <summary>Reads policies. What can't be understood is told and denies what it covers; it never throws.</summary>
    /// <exception cref="ArgumentException">Two texts have the same name.</exception>
    public static PolicyLoad Load(IEnumerable<PolicyText> texts, MeshSettings mesh)
    {
        var files = ImmutableSortedDictionary.CreateBuilder<string, PolicyFile>(StringComparer.Ordinal);
        foreach (var text in texts)
        {
            files.Add(text.Name, PolicyFile.Read(text, mesh));
        }

        return Loaded(new PolicySet(files.ToImmutable(), mesh));
    }

    /// <summary>A set in which some texts are new or different and others are gone; those that stay are not read again.</summary>
    /// <param name="changed">The new or different texts; of two with the same name the last counts.</param>
    /// <param name="removed">The names of texts that are gone; unknown ones are passed over.</param>
    public PolicyLoad Update(IEnumerable<PolicyText> changed, IEnumerable<string> removed)
    {
        var files = _files.ToBuilder();
        files.RemoveRange(removed);
        foreach (var text in changed)
        {
            files[text.Name] = PolicyFile.Read(text, Mesh);
        }

        return Loaded(new PolicySet(files.ToImmutable(), Mesh));
    }

    /// <summary>Everything that the policies say about a workload, compiled; keep it until the set or the workload changes.</summary>
    public WorkloadPolicy ForWorkload(Workload workload)
    {
        var scope = InScope(workload).ToList();
        var peers = PeersOf(workload, scope);
        var tokens = scope.OfType<RequestAuthentication>().Where(one => one is { Unreadable: null, HasTargetRefs: false }).SelectMany(one => one.Rules).ToList();
        var policies = scope.OfType<AuthorizationPolicy>().Where(one => one is { Unreadable: null, HasTargetRefs: false }).ToList();
        policies.Sort(PolicyObject.ByName);
        return new WorkloadPolicy(Mesh, peers, policies, tokens, scope.FirstOrDefault(one => one.Unreadable is not null));
    }

    /// <summary>What a workload's port does about mutual TLS, without compiling the rest.</summary>
    public PortMtls MtlsFor(Workload workload, int workloadPort) => PeersOf(workload, InScope(workload)).For(workloadPort);

    /// <summary>What a client does about TLS on a connection, and which DestinationRule says so.</summary>
    public ClientTls ClientTls(ClientTlsQuery query)
    {
        if (_everywhere.Count > 0)
        {
            var problem = $"{_everywhere[0].File} can't be understood and might cover the host: {_everywhere[0].Unreadable}";
            return new ClientTls(ClientTlsMode.IstioMutual, null, problem, null, problem);
        }

        return DestinationRules.Resolve(query, Mesh, RulesIn);
    }

    /// <summary>How a client spreads, limits and repeats what it sends to a service, and which DestinationRule says so.</summary>
    public ClientTraffic ClientTraffic(ClientTlsQuery query) => DestinationRules.ResolveTraffic(query, Mesh, RulesIn);

    private IEnumerable<DestinationRule> RulesIn(string ns) => _byNamespace.GetValueOrDefault(ns)?.OfType<DestinationRule>() ?? [];

    private PeerAuthenticationScope PeersOf(Workload workload, IEnumerable<PolicyObject> scope) =>
        new(scope.OfType<PeerAuthentication>().Where(one => one.Unreadable is null), workload, Mesh.RootNamespace);

    private IEnumerable<PolicyObject> InScope(Workload workload)
    {
        IEnumerable<PolicyObject> own = _byNamespace.GetValueOrDefault(workload.Namespace) ?? [];
        IEnumerable<PolicyObject> root = workload.Namespace == Mesh.RootNamespace ? [] : _byNamespace.GetValueOrDefault(Mesh.RootNamespace) ?? [];
        return _everywhere.Concat(own.Concat(root).Where(one => one is not DestinationRule && workload.HasLabels(one.Selector)).OrderBy(one => one, Comparer<PolicyObject>.Create(PolicyObject.ByName)));
    }

    // Which of two objects with one name is meant can't be known: neither is applied, both deny what they cover.
    private IEnumerable<PolicyObject> DistinctObjects()
    {
        var seen = new Dictionary<(string, string, string), PolicyObject>();
        var twice = new HashSet<(string, string, string)>();
        foreach (var one in _files.Values.SelectMany(file => file.Objects).Where(one => one is not UnreadableText))
        {
            var key = (one.Kind, one.Namespace, one.Name);
            if (!seen.TryAdd(key, one))
            {
                twice.Add(key);
                var first = seen[key];
                _declaredTwice.Add(new PolicyProblem(
                    one.File, one.Line, PolicyCodes.DeclaredTwice, PolicySeverity.Error, $"{one.Kind} {one.Id} is declared twice, first at {first.File}:{first.Line}", "rename or remove one of them"));
            }
        }

        foreach (var one in _files.Values.SelectMany(file => file.Objects))
        {
            yield return one is not UnreadableText && twice.Contains((one.Kind, one.Namespace, one.Name)) ? one with { Unreadable = "it is declared twice" } : one;
        }
    }

    private static PolicyLoad Loaded(PolicySet set) => new(set, [.. set._files.Values.SelectMany(file => file.Problems), .. set._declaredTwice]);
}
