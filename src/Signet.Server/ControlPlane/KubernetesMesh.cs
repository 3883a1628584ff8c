using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Signet.Hosting;
using Signet.Hosting.Http;
using Signet.Policy;
using Signet.Server.Attestation;

namespace Signet.Server.ControlPlane;

/// <summary>What a Kubernetes cluster says about the mesh: its policies, services and pods, followed by listing and watching each kind. Thread-safe; dispose to stop.</summary>
internal sealed class KubernetesMesh : IAsyncDisposable
{
    private const string NotYet = "not all kinds of the cluster have been listed yet";

    /// <summary>Changes that come together are taken together.</summary>
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(200);

    /// <summary>A page of a list, and one event, are no longer; a watch of each kind is open beside a list.</summary>
    private static readonly JsonApiLimits Limits = new(MaxBytes: 32 * 1024 * 1024, AtOnce: 2 * KubernetesKind.All.Length, TimeSpan.FromSeconds(30));

    private readonly KubernetesApi _api;
    private readonly ImmutableArray<KubernetesList> _lists;
    private readonly ChangeSignal _changes = new();
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private ImmutableArray<PolicyText> _texts;

    private KubernetesMesh(K8sClusterConfig config, Action taken, TimeProvider time, Func<double> chance, ILogger log)
    {
        _api = new KubernetesApi(config, time, Limits);
        _lists = [.. KubernetesKind.All.Select(kind => new KubernetesList(_api, kind, _changes.Raise, time, chance, log))];
        _running = Task.WhenAll([SpeakAsync(taken, time), .. _lists.Select(list => list.RunAsync(_stop.Token))]);
    }

    /// <summary>All objects, in the order of their names; default before each kind was listed.</summary>
    public ImmutableArray<PolicyText> Texts
    {
        get
        {
            lock (_gate)
            {
                return _texts;
            }
        }
    }

    /// <summary>Why the cluster is not followed now; empty when it is.</summary>
    public string Problem => _lists.Select(list => list.Problem).FirstOrDefault(problem => problem.Length > 0) ?? (Texts.IsDefault ? NotYet : "");

    /// <summary>Begins to follow.</summary>
    /// <param name="config">Where the cluster is.</param>
    /// <param name="taken">Called after something has changed, by one thread at a time.</param>
    /// <param name="time">The clock.</param>
    /// <param name="chance">Numbers from 0 to 1.</param>
    /// <param name="log">Where it logs.</param>
    public static KubernetesMesh Start(K8sClusterConfig config, Action taken, TimeProvider time, Func<double> chance, ILogger log) => new(config, taken, time, chance, log);

    public IEnumerable<Measurement<int>> CountObjects() => _lists.Select(list => new Measurement<int>(list.Known?.Count ?? 0, new KeyValuePair<string, object?>("kind", list.Kind.Name)));

    public IEnumerable<Measurement<long>> CountLists() => _lists.Select(list => new Measurement<long>(list.Lists, new KeyValuePair<string, object?>("kind", list.Kind.Name)));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _api.Dispose();
        _stop.Dispose();
    }

    private async Task SpeakAsync(Action taken, TimeProvider time)
    {
        for (var seen = 0L; ;)
        {
            await _changes.WaitAsync(seen, _stop.Token).ConfigureAwait(false);
            await Task.Delay(Gather, time, _stop.Token).ConfigureAwait(false);
            seen = _changes.Version;
            if (_lists.All(list => list.Known is not null))
            {
                var texts = _lists.SelectMany(list => list.Known!.Values.OrderBy(text => text.Name, StringComparer.Ordinal)).ToImmutableArray();
                lock (_gate)
                {
                    _texts = texts;
                }
            }

            taken();
        }
    }
}
