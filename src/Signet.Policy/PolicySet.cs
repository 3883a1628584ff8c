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

    private PolicySet(ImmutableSortedDictionary<string, PolicyFile> files, MeshSettings mesh)
    {
        (_files, Mesh) = (files, mesh);
        foreach (var one in files.Values.SelectMany(file => file.Objects))
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

    /// <summary>Reads policies. Never throws; what can't be understood is told and denies what it covers.</summary>
    public static PolicyLoad Load(IEnumerable<PolicyText> texts, MeshSettings mesh)
    {
        var files = ImmutableSortedDictionary.CreateBuilder<string, PolicyFile>(StringComparer.Ordinal);
        foreach (var text in texts)
        {
            files[text.Name] = PolicyFile.Read(text, mesh);
        }

        return Loaded(new PolicySet(files.ToImmutable(), mesh));
    }

    /// <summary>A set in which one text is new or different; the others are not read again.</summary>
    public PolicyLoad Replace(PolicyText text) => Loaded(new PolicySet(_files.SetItem(text.Name, PolicyFile.Read(text, Mesh)), Mesh));

    /// <summary>A set without a text.</summary>
    public PolicyLoad Remove(string name) => Loaded(new PolicySet(_files.Remove(name), Mesh));

    /// <summary>Everything that the policies say about a workload, compiled; keep it until the set or the workload changes.</summary>
    public WorkloadPolicy ForWorkload(Workload workload)
    {
        var scope = InScope(workload).ToList();
        var peers = new PeerAuthenticationScope(scope.OfType<PeerAuthentication>().Where(one => one.Unreadable is null), workload, Mesh.RootNamespace);
        var policies = scope.OfType<AuthorizationPolicy>().Where(one => one is { Unreadable: null, HasTargetRefs: false }).ToList();
        policies.Sort(PolicyObject.ByName);
        return new WorkloadPolicy(Mesh, peers, policies, scope.FirstOrDefault(one => one.Unreadable is not null));
    }

    private IEnumerable<PolicyObject> InScope(Workload workload)
    {
        IEnumerable<PolicyObject> own = _byNamespace.GetValueOrDefault(workload.Namespace) ?? [];
        IEnumerable<PolicyObject> root = workload.Namespace == Mesh.RootNamespace ? [] : _byNamespace.GetValueOrDefault(Mesh.RootNamespace) ?? [];
        return _everywhere.Concat(own.Concat(root).Where(one => workload.HasLabels(one.Selector)).OrderBy(one => one, Comparer<PolicyObject>.Create(PolicyObject.ByName)));
    }

    private static PolicyLoad Loaded(PolicySet set) => new(set, [.. set._files.Values.SelectMany(file => file.Problems)]);
}
