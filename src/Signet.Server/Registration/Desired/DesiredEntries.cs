using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Server.Registration.Desired;

/// <summary>Where the wanted entries belong.</summary>
/// <param name="TrustDomain">The server's trust domain.</param>
/// <param name="Cluster">The Kubernetes cluster whose pods the files describe; part of their nodes' IDs.</param>
public sealed record DesiredScope(TrustDomain TrustDomain, string Cluster)
{
    public const string DefaultCluster = "default";

    /// <summary>Why a cluster can't be called so; null when it can.</summary>
    public static string? ClusterProblem(TrustDomain trustDomain, string cluster) =>
        SpiffeId.TryParse($"{trustDomain.IdString}/{cluster}", out var id, out _) && id.Path.LastIndexOf('/') == 0 && id.HasPath
            ? null
            : $"\"{Printable.Of(cluster)}\" is not a name of letters, digits, '.', '-' and '_'";

    /// <summary>What a Kubernetes cluster calls itself in service names.</summary>
    internal const string ClusterDomain = "cluster.local";
}

/// <summary>The entries that files want, and what is wrong with the files. Immutable.</summary>
/// <param name="Entries">Each with an identity, parent and selectors of its own; not to be used when there is a problem.</param>
/// <param name="Problems">Everything that is wrong, in the order of the files.</param>
/// <param name="Skipped">Pods that get no identity though they were selected, and why.</param>
public sealed record DesiredEntries(IReadOnlyList<RegistrationEntry> Entries, IReadOnlyList<ConfigProblem> Problems, IReadOnlyList<string> Skipped)
{
    /// <summary>The largest file, in UTF-8 bytes.</summary>
    public const int MaxFileBytes = 64 * 1024 * 1024;

    private const int MaxNodes = 10_000_000;

    /// <summary>
    /// Reads documents of YAML or JSON: <c>entries:</c> as configuration writes them or as SPIRE's <c>-data</c> files do, and Kubernetes objects
    /// (<c>ClusterStaticEntry</c>, <c>ClusterSPIFFEID</c>, with the pods, nodes and namespaces that it speaks of), alone or in lists.
    /// </summary>
    /// <param name="files">Names and contents.</param>
    /// <param name="scope">Where the entries belong.</param>
    public static DesiredEntries Read(IEnumerable<(string Name, string Text)> files, DesiredScope scope)
    {
        var reader = new Reader(scope);
        foreach (var (name, text) in files)
        {
            reader.File(name, text);
        }

        return reader.Done();
    }

    private sealed class Reader(DesiredScope scope)
    {
        private readonly List<(RegistrationEntry Entry, ConfigSection Place, string File)> _found = [];
        private readonly List<(ClusterSpiffeId Id, string File)> _templates = [];
        private readonly List<KubernetesObject> _objects = [];
        private readonly List<ConfigProblem> _problems = [];

        public void File(string name, string text)
        {
            var (roots, problems) = ConfigDocument.ParseAll(name, text, MaxFileBytes, MaxNodes);
            foreach (var root in roots)
            {
                Document(root, name);
            }

            _problems.AddRange(problems.Found);
        }

        public DesiredEntries Done()
        {
            var skipped = new List<string>();
            var places = new Dictionary<RegistrationEntry, string>(EntryMeaning.Same);
            var entries = new List<RegistrationEntry>();
            foreach (var (entry, place, file) in _found)
            {
                if (places.TryAdd(entry, $"{file}:{place.Line}"))
                {
                    entries.Add(entry);
                }
                else
                {
                    _problems.Add(new ConfigProblem(file, place.Line, place.Path, $"an entry for {entry.SpiffeId} with this parent and these selectors stands at {places[entry]} too; keep one of them"));
                }
            }

            // Several templates may give one pod the same identity; the first counts, as with the cluster's own controller.
            var ids = _templates.Select(one => one.Id).ToArray();
            entries.AddRange(ClusterSpiffeId.Render(ids, _objects, scope, skipped).Where(entry => places.TryAdd(entry, "")));
            return new DesiredEntries(entries, _problems, skipped);
        }

        private void Document(ConfigSection root, string file)
        {
            if (root.Shape("kind") == ConfigShape.Absent)
            {
                foreach (var section in root.Sections("entries"))
                {
                    Add(EntrySections.Read(section), section, file);
                }

                if (root.Shape("entries") == ConfigShape.Absent)
                {
                    root.Problem("entries", "is missing; write entries: and a list, or a Kubernetes object with apiVersion and kind");
                }

                root.Finish();
                return;
            }

            var kind = root.RequiredText("kind");
            root.Ignore("apiVersion", "metadata", "status");
            switch (kind)
            {
                case "List" or "PodList" or "NodeList" or "NamespaceList" or "ClusterStaticEntryList" or "ClusterSPIFFEIDList":
                    foreach (var item in root.Sections("items"))
                    {
                        Document(item, file);
                    }

                    return;
                case "Pod" or "Node" or "Namespace":
                    _objects.Add(KubernetesObject.Read(root, kind));
                    return;
                case "ClusterStaticEntry":
                    Add(EntrySections.ReadStatic(root.Section("spec")), root, file);
                    root.Finish();
                    return;
                case "ClusterSPIFFEID":
                    if (ClusterSpiffeId.Read(root) is { } template)
                    {
                        _templates.Add((template, file));
                    }

                    root.Finish();
                    return;
                default:
                    root.Problem("kind", $"\"{Printable.Of(kind)}\" is not a kind that makes entries; known are ClusterStaticEntry and ClusterSPIFFEID, with Pod, Node and Namespace for it");
                    return;
            }
        }

        private void Add(RegistrationEntry? entry, ConfigSection place, string file)
        {
            if (entry is not null)
            {
                _found.Add((entry, place, file));
            }
        }
    }
}
