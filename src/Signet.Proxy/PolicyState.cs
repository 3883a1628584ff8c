using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Files;
using Signet.Policy;
using Signet.Policy.Inputs;

namespace Signet.Proxy;

/// <summary>
/// Keeps the proxy's model in step with the policy folder and the trust domain; a file that changes is read alone. What cannot be understood denies what it covers; a folder
/// that cannot be read keeps the last good policies. Thread-safe; dispose to stop.
/// </summary>
internal sealed class PolicyState : IAsyncDisposable
{
    private readonly ProxyCore _core;
    private readonly Lock _gate = new();
    private readonly FileSetWatch _watch;
    private readonly FileSetWatch? _meshWatch;
    private ImmutableArray<WatchedFile> _files;
    private PolicySet? _set;
    private ImmutableArray<WatchedFile> _filesOfSet = [];
    private MeshSettings _mesh = MeshSettings.Default;
    private string? _meshProblem;

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

        var folder = FileSet.Folder(core.Config.PolicyFolder);
        _watch = FileSetWatch.Start(folder, Take, core.Time, core.Logger);
        Take(_watch.Current);
    }

    /// <summary>Called after the model has changed. Set once, before the first connection.</summary>
    public Action Changed { get; set; } = () => { };

    /// <summary>Why the folder or the mesh settings could not be taken last time; null when they could.</summary>
    public string? Problem => _watch.Problem ?? _meshWatch?.Problem ?? Volatile.Read(ref _meshProblem);

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
        await _watch.DisposeAsync().ConfigureAwait(false);
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
            if (_files.IsDefault || !Compile_NeedsLock())
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

    /// <summary>False while the trust domain is unknown: nothing is let in then.</summary>
    private bool Compile_NeedsLock()
    {
        if (TrustDomain is not { } trustDomain)
        {
            return false;
        }

        var load = Read_NeedsLock(_mesh with { TrustDomain = trustDomain.Name });
        (_set, _filesOfSet) = (load.Set, _files);
        var model = new ProxyModel(trustDomain, load.Set, load.Set.ForWorkload(_core.Config.Workload), load.Problems);
        _core.TokenKeys.Follow(model.Policy.JwtRules);
        _core.Model = model;
        Log.PolicyLoaded(_core.Logger, load.Set.Objects.Count(), _core.Config.PolicyFolder);
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
