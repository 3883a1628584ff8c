using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Signet.Hosting;
using Signet.Hosting.Distribution;
using Signet.Hosting.Files;
using Signet.Identity.Spiffe;
using Signet.Policy;

namespace Signet.Server.ControlPlane;

/// <summary>What the server says about the mesh at one moment. Immutable.</summary>
/// <param name="Snapshot">What proxies are told.</param>
/// <param name="Desired">What it was made of.</param>
internal sealed record MeshState(MeshSnapshot Snapshot, DesiredMesh Desired);

/// <summary>
/// Follows the folders of the mesh, and a cluster, and keeps the last good snapshot: a namespace with a mistake stays as it was, and one in what concerns everybody
/// changes nothing. Thread-safe; dispose to stop.
/// </summary>
internal sealed class MeshSource : IAsyncDisposable
{
    private const int MaxProblems = 5;

    /// <summary>So often mistakes are set aside that only show once others are.</summary>
    private const int MaxRounds = 4;

    private const string NoPolicy = "there is no policy at all, and then nobody would be refused anything; if that is meant, write a PeerAuthentication that says so";

    private readonly TrustDomain _trustDomain;
    private readonly TimeProvider _time;
    private readonly ILogger<MeshSource> _log;
    private readonly Lock _gate = new();
    private readonly List<FileSetWatch> _watches = [];
    private readonly string _place;
    private readonly KubernetesMesh? _cluster;
    private ImmutableArray<WatchedFile> _files = [];
    private ImmutableArray<WatchedFile> _settings = [];
    private ImmutableArray<WatchedFile> _others = [];
    private ImmutableArray<PolicyText> _inForce = [];
    private MeshState? _current;
    private string _problem = "";

    /// <param name="config">Where it lies.</param>
    /// <param name="otherFolder">A folder of desired entries, whose pods count too; null for none.</param>
    /// <param name="trustDomain">The mesh's own.</param>
    /// <param name="time">The clock.</param>
    /// <param name="chance">Numbers from 0 to 1, for pauses.</param>
    /// <param name="log">Where it logs.</param>
    /// <exception cref="PlaceException">A folder or file cannot be read.</exception>
    public MeshSource(MeshConfig config, string? otherFolder, TrustDomain trustDomain, TimeProvider time, Func<double> chance, ILogger<MeshSource> log)
    {
        (_trustDomain, _time, _log) = (trustDomain, time, log);
        _place = string.Join(" and ", new[] { config.Folder, config.Cluster?.Server.ToString() }.OfType<string>());
        using var whole = _gate.EnterScope();
        _files = config.Folder is { } folder ? Watch(FileSet.Folder(folder), files => Take(() => _files = files)) : [];
        _settings = config.SettingsFile is { } file ? Watch(FileSet.Of(file), files => Take(() => _settings = files)) : [];
        _others = otherFolder is not null && otherFolder != config.Folder ? Watch(FileSet.Folder(otherFolder), files => Take(() => _others = files)) : [];
        _cluster = config.Cluster is { } cluster ? KubernetesMesh.Start(cluster, () => Take(() => { }), time, chance, log) : null;
        Take(() => { });
    }

    /// <summary>The last good state; null before the first.</summary>
    public MeshState? Current => Volatile.Read(ref _current);

    /// <summary>Why what is wanted now is not in force; empty when it is.</summary>
    public string Problem => _watches.Select(watch => watch.Problem).FirstOrDefault(problem => problem is not null)
        ?? (_cluster?.Problem is { Length: > 0 } problem ? problem : Volatile.Read(ref _problem));

    /// <summary>Raised after either has changed.</summary>
    public ChangeSignal Changes { get; } = new();

    /// <summary>What is had of the cluster; null when none is followed.</summary>
    public KubernetesMesh? Cluster => _cluster;

    public async ValueTask DisposeAsync()
    {
        await (_cluster?.DisposeAsync() ?? ValueTask.CompletedTask).ConfigureAwait(false);
        foreach (var watch in _watches)
        {
            await watch.DisposeAsync().ConfigureAwait(false);
        }
    }

    private ImmutableArray<WatchedFile> Watch(FileSet files, Action<ImmutableArray<WatchedFile>> take)
    {
        var watch = FileSetWatch.Start(files, take, _time, _log);
        _watches.Add(watch);
        return watch.Current;
    }

    private void Take(Action change)
    {
        lock (_gate)
        {
            change();
            if (_cluster is { Texts.IsDefault: true })
            {
                // Nothing counts before all of it does: it says of itself what it waits for.
                Changes.Raise();
                return;
            }

            ImmutableArray<PolicyText> texts = [.. _files.Select(TextOf), .. _cluster?.Texts ?? []];
            var desired = Read_NeedsLock(texts);
            if (desired.Problems.IsEmpty && desired.HasPolicies)
            {
                Accept_NeedsLock(desired, texts);
                Tell_NeedsLock("");
            }
            else if (SetAside_NeedsLock(texts, desired) is var (rest, hold))
            {
                Accept_NeedsLock(rest, hold.Texts);
                Tell_NeedsLock($"{Shown(desired.Problems)}; {Kept(hold)}", hold);
            }
            else
            {
                Tell_NeedsLock(desired.Problems.IsEmpty ? NoPolicy : Shown(desired.Problems));
            }
        }

        Changes.Raise();
    }

    private DesiredMesh Read_NeedsLock(IReadOnlyList<PolicyText> texts) => DesiredMesh.Read(texts, [.. _others.Select(TextOf)], _settings.Select(TextOf).FirstOrDefault(), _trustDomain);

    /// <summary>What can be in force in spite of mistakes; null when it is what was.</summary>
    private (DesiredMesh Mesh, MeshHold Hold)? SetAside_NeedsLock(ImmutableArray<PolicyText> texts, DesiredMesh desired)
    {
        var broken = new HashSet<string>(StringComparer.Ordinal);
        for (var round = 0; round < MaxRounds && _current is not null && desired.Problems.Count(problem => broken.Add(problem.File)) > 0; round++)
        {
            if (MeshHold.Of(texts, _inForce, broken, desired.RootNamespace) is not { } hold)
            {
                return null;
            }

            desired = Read_NeedsLock(hold.Texts);
            if (desired.Problems.IsEmpty)
            {
                return desired.HasPolicies ? (desired, hold) : null;
            }
        }

        return null;
    }

    private static string Shown(ImmutableArray<MeshProblem> problems) =>
        string.Join("; ", problems.Take(MaxProblems)) + (problems.Length > MaxProblems ? $"; and {problems.Length - MaxProblems} more" : "");

    private static string Kept(MeshHold hold) => hold.Namespaces.Count == 0
        ? "until then what it says stays as it was, and the rest is in force"
        : $"until then policies in namespace {string.Join(", ", hold.Namespaces.Order(StringComparer.Ordinal))} stay as they were, and the rest is in force";

    private void Tell_NeedsLock(string problem, MeshHold? hold = null)
    {
        var isNews = problem != _problem;
        Volatile.Write(ref _problem, problem);
        if (problem.Length > 0 && isNews && hold is not null)
        {
            _log.MeshHeldBack(_place, problem);
        }
        else if (problem.Length > 0 && isNews)
        {
            _log.MeshRefused(_place, problem);
        }
    }

    private void Accept_NeedsLock(DesiredMesh desired, ImmutableArray<PolicyText> texts)
    {
        _inForce = texts;
        var before = _current;
        var documents = Shared(desired.Documents, before?.Snapshot.Documents);
        var isSame = before is not null && before.Snapshot.Documents.Count == documents.Count && documents.All(pair => before.Snapshot.Documents.GetValueOrDefault(pair.Key) == pair.Value);

        // Grows across restarts too, because it never falls behind the clock.
        var snapshot = isSame ? before!.Snapshot : new MeshSnapshot(Math.Max((before?.Snapshot.Revision ?? 0) + 1, (ulong)_time.GetUtcNow().ToUnixTimeMilliseconds()), documents);
        Volatile.Write(ref _current, new MeshState(snapshot, desired));
        if (!isSame)
        {
            _log.MeshTaken(snapshot.Revision, snapshot.Documents.Count, _place);
            foreach (var doubt in desired.Doubts)
            {
                _log.MeshDoubtful(doubt);
            }
        }
    }

    // What is the same is the same object, so that comparing costs nothing later.
    private static ImmutableDictionary<string, MeshDocument> Shared(ImmutableDictionary<string, MeshDocument> now, ImmutableDictionary<string, MeshDocument>? before) => before is null
        ? now
        : now.ToImmutableDictionary(pair => pair.Key, pair => before.TryGetValue(pair.Key, out var old) && old == pair.Value ? old : pair.Value, StringComparer.Ordinal);

    private static PolicyText TextOf(WatchedFile file) => new(file.Path, file.Text);
}
