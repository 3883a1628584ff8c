using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Distribution;
using Signet.Hosting.Files;
using Signet.Policy;
using Signet.Policy.Inputs;
using Signet.Proxy.Config;
using Signet.Proxy.Mesh;

namespace Signet.Proxy;

/// <summary>
/// Keeps the proxy's model in step with the policies, of a folder or from the agent, and the trust domain; what changes is read alone. What cannot be understood in a folder
/// denies what it covers; the agent is answered that it was refused. A folder that cannot be read and an agent that is gone leave the last good policies. Thread-safe; dispose to
/// stop.
/// </summary>
internal sealed class PolicyState : IAsyncDisposable
{
    private readonly ProxyCore _core;
    private readonly Lock _gate = new();
    private readonly FileSetWatch? _watch;
    private readonly AgentFeed? _feed;
    private readonly FileSetWatch? _meshWatch;
    private ImmutableArray<WatchedFile> _files;
    private PolicySet? _set;
    private ImmutableArray<WatchedFile> _filesOfSet = [];
    private MeshSettings _mesh = MeshSettings.Default;
    private string? _meshProblem;
    private AgentDocuments? _documents;
    private ulong _revision;

    /// <exception cref="PlaceException">The folder or the mesh settings cannot be read or understood.</exception>
    public PolicyState(ProxyCore core)
    {
        _core = core;
        if (core.Config.MeshFile is { } path)
        {
            var files = FileSet.Of(path);
            var first = files.Read();
            if (!TryReadMesh(first, out _mesh, out var problem))
            {
                throw new PlaceException("file", path, $"holds mesh settings that cannot be understood: {problem}");
            }

            _meshWatch = FileSetWatch.Start(files, TakeMesh, core.Time, core.Logger);
        }

        if (core.Config.PolicyFolder is { } folder)
        {
            _watch = FileSetWatch.Start(FileSet.Folder(folder), Take, core.Time, core.Logger);
            Take(_watch.Current);
        }
        else if (core.Config.Identity is IdentityConfig.Socket socket)
        {
            _feed = new AgentFeed(socket.Address, core.Config.Workload, TakeFromAgent, core.Time, core.Chance);
        }
    }

    /// <summary>Called after the model has changed. Set once, before the first connection.</summary>
    public Action Changed { get; set; } = () => { };

    /// <summary>Why the policies or the mesh settings could not be taken last time; null when they could.</summary>
    public string? Problem => _feed?.Problem ?? _watch?.Problem ?? _meshWatch?.Problem ?? Volatile.Read(ref _meshProblem);

    /// <summary>The trust domain may have become known, or changed.</summary>
    public void IdentityChanged()
    {
        lock (_gate)
        {
            if (_core.Model?.TrustDomain == TrustDomain || !Compile_NeedsLock())
            {
                return;
            }
        }

        Changed();
    }

    public async ValueTask DisposeAsync()
    {
        await (_feed?.DisposeAsync() ?? ValueTask.CompletedTask).ConfigureAwait(false);
        await (_watch?.DisposeAsync() ?? ValueTask.CompletedTask).ConfigureAwait(false);
        if (_meshWatch is not null)
        {
            await _meshWatch.DisposeAsync().ConfigureAwait(false);
        }
    }

    private Identity.Spiffe.TrustDomain? TrustDomain => _core.Config.TrustDomain ?? _core.Identity.Current?.Id.TrustDomain;

    private void Take(ImmutableArray<WatchedFile> files)
    {
        lock (_gate)
        {
            _files = files;
            if (!Compile_NeedsLock())
            {
                return;
            }
        }

        Changed();
    }

    /// <summary>All of it or nothing.</summary>
    /// <returns>Why not; null when it is in force, or will be with the first SVID.</returns>
    private string? TakeFromAgent(MeshSnapshot snapshot)
    {
        lock (_gate)
        {
            if (!AgentDocuments.TryRead(snapshot, _documents, out var documents, out var problem))
            {
                return Refused(snapshot, problem);
            }

            var (before, trustDomain) = ((_files, _mesh, _revision), TrustDomain);
            (_files, _mesh, _revision) = (documents!.Policies, documents.Settings, snapshot.Revision);
            var load = Read_NeedsLock(trustDomain is null ? _mesh : _mesh with { TrustDomain = trustDomain.Name });
            if (load.HasErrors)
            {
                (_files, _mesh, _revision) = before;
                return Refused(snapshot, string.Join("; ", load.Problems.Where(one => one.Severity == PolicySeverity.Error)));
            }

            _documents = documents;
            _core.Upstreams.Locate(documents.Places);
            if (!Compile_NeedsLock(trustDomain is null ? null : load))
            {
                return null;
            }
        }

        Changed();
        return null;
    }

    private string Refused(MeshSnapshot snapshot, string problem)
    {
        Log.MeshRefused(_core.Logger, snapshot.Revision, problem);
        return problem;
    }

    private void TakeMesh(ImmutableArray<WatchedFile> files)
    {
        lock (_gate)
        {
            if (!TryReadMesh(files, out var mesh, out var problem))
            {
                Volatile.Write(ref _meshProblem, problem);
                Log.MeshSettingsNotUnderstood(_core.Logger, problem);
                return;
            }

            Volatile.Write(ref _meshProblem, null);
            _mesh = mesh;
            if (!Compile_NeedsLock())
            {
                return;
            }
        }

        Changed();
    }

    private static bool TryReadMesh(ImmutableArray<WatchedFile> files, out MeshSettings mesh, out string problem)
    {
        var input = MeshFile.Read(new PolicyText(files[0].Name, files[0].Text));
        var isGood = input.TryGet(out var read);
        mesh = read ?? MeshSettings.Default;
        problem = isGood ? "" : string.Join("; ", input.Problems.Where(one => one.Severity == PolicySeverity.Error));
        return isGood;
    }

    /// <summary>False while the trust domain or the policies are unknown: nothing is let in then.</summary>
    /// <param name="read">What was read already, knowing the trust domain; null reads it.</param>
    private bool Compile_NeedsLock(PolicyLoad? read = null)
    {
        if (TrustDomain is not { } trustDomain || _files.IsDefault)
        {
            return false;
        }

        var load = read ?? Read_NeedsLock(_mesh with { TrustDomain = trustDomain.Name });
        (_set, _filesOfSet) = (load.Set, _files);
        var model = new ProxyModel(trustDomain, load.Set, load.Set.ForWorkload(_core.Config.Workload), load.Problems) { Revision = _revision };
        _core.TokenKeys.Follow(model.Policy.JwtRules);
        _core.Model = model;
        Log.PolicyLoaded(_core.Logger, load.Set.Objects.Count(), _core.Config.PolicyFolder ?? $"the agent, revision {_revision}");
        foreach (var problem in load.Problems)
        {
            if (problem.Severity == PolicySeverity.Error)
            {
                Log.PolicyNotUnderstood(_core.Logger, problem.ToString());
            }
            else
            {
                Log.PolicyDoubtful(_core.Logger, problem.ToString());
            }
        }

        return true;
    }

    /// <summary>Reads the files that are not those of the set; all of them when the mesh settings, which decide what a policy means, are others.</summary>
    private PolicyLoad Read_NeedsLock(MeshSettings mesh)
    {
        if (_set is null || _set.Mesh != mesh)
        {
            return PolicySet.Load(_files.Select(TextOf), mesh);
        }

        var known = _filesOfSet.ToDictionary(file => file.Name, StringComparer.Ordinal);
        var changed = _files.Where(file => !known.TryGetValue(file.Name, out var before) || before != file).Select(TextOf);
        return _set.Update(changed, known.Keys.Except(_files.Select(file => file.Name), StringComparer.Ordinal));
    }

    private static PolicyText TextOf(WatchedFile file) => new(file.Name, file.Text);
}
