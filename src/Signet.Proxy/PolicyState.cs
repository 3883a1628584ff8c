using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Files;
using Signet.Policy;

namespace Signet.Proxy;

/// <summary>
/// Keeps the proxy's model in step with the policy folder and the trust domain. What cannot be understood denies what it covers; a folder
/// that cannot be read keeps the last good policies. Thread-safe; dispose to stop.
/// </summary>
internal sealed class PolicyState : IAsyncDisposable
{
    private readonly ProxyCore _core;
    private readonly Lock _gate = new();
    private readonly FileSetWatch _watch;
    private ImmutableArray<WatchedFile> _files;

    /// <exception cref="PlaceException">The folder cannot be read.</exception>
    public PolicyState(ProxyCore core)
    {
        _core = core;
        var folder = FileSet.Folder(core.Config.PolicyFolder);
        _watch = FileSetWatch.Start(folder, Take, core.Time, core.Logger);
        Take(_watch.Current);
    }

    /// <summary>Called after the model has changed. Set once, before the first connection.</summary>
    public Action Changed { get; set; } = () => { };

    /// <summary>Why the folder could not be read last time; null when it could.</summary>
    public string? Problem => _watch.Problem;

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

    public ValueTask DisposeAsync() => _watch.DisposeAsync();

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

    /// <summary>False while the trust domain is unknown: nothing is let in then.</summary>
    private bool Compile_NeedsLock()
    {
        if (TrustDomain is not { } trustDomain)
        {
            return false;
        }

        var load = PolicySet.Load(_files.Select(file => new PolicyText(file.Name, file.Text)), new MeshSettings { TrustDomain = trustDomain.Name });
        _core.Model = new ProxyModel(trustDomain, load.Set, load.Set.ForWorkload(_core.Config.Workload), load.Problems);
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
}
