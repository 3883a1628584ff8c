using Microsoft.Extensions.Logging;
using Signet.Client;
using Signet.Hosting.Admin;
using Signet.Hosting.Daemons;
using Signet.Hosting.Telemetry;

namespace Signet.Helper;

/// <summary>A helper, put together and not yet started. Whoever builds it disposes it.</summary>
public sealed class HelperHost : IAsyncDisposable
{
    private static readonly TimeSpan OncePatience = TimeSpan.FromSeconds(30);

    private readonly IReadOnlyList<IAsyncDisposable> _owned;
    private readonly WorkloadApiClient _client;
    private readonly MetricsCollector _collector = new();
    private readonly TaskCompletionSource _once = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private HelperHost(HelperConfig config, bool once, TimeProvider time, Func<double> chance, ILoggerFactory logs)
    {
        _client = new WorkloadApiClient(config.Socket, time);
        var (identity, tokens, keys) = (new X509Source(config.Socket, config.Identity, time), new JwtSource(_client, time, chance), new JwtBundleSource(config.Socket, time));
        var keeper = new FileKeeper(config, identity, tokens, keys, Readiness, time, logs.CreateLogger("Signet.Helper"));
        var loop = new BackgroundPart("files", once ? cancellationToken => OnceAsync(keeper, cancellationToken) : keeper.RunAsync);
        var admin = config.Metrics is { } listen
            ? new AdminEndpoint(listen, "metrics", [PrometheusText.Route(_collector), AdminRoute.Live, AdminRoute.Ready(Readiness)], logs)
            : null;
        Parts = admin is null ? [loop] : [admin, loop];
        _owned = admin is null ? [loop, tokens, keys, identity] : [loop, admin, tokens, keys, identity];
        Done = once ? _once.Task : null;
    }

    /// <summary>What to start, in this order.</summary>
    public IReadOnlyList<IDaemonPart> Parts { get; }

    public ReadinessBoard Readiness { get; } = new(FileKeeper.ReadinessName);

    /// <summary>Completes when the files have been written once and others were told; null when the helper goes on.</summary>
    public Task? Done { get; }

    /// <summary>Begins to ask the agent; nothing is written yet.</summary>
    /// <param name="config">What to write.</param>
    /// <param name="once">Whether to end after the first time; the part fails when that takes longer than 30 s.</param>
    /// <param name="time">The clock.</param>
    /// <param name="chance">Numbers in [0, 1).</param>
    /// <param name="logs">Where it logs.</param>
    public static HelperHost Build(HelperConfig config, bool once, TimeProvider time, Func<double> chance, ILoggerFactory logs) => new(config, once, time, chance, logs);

    public async ValueTask DisposeAsync()
    {
        foreach (var owned in _owned)
        {
            await owned.DisposeAsync().ConfigureAwait(false);
        }

        _client.Dispose();
        _collector.Dispose();
    }

    private async Task OnceAsync(FileKeeper keeper, CancellationToken cancellationToken)
    {
        await keeper.RunOnceAsync(OncePatience, cancellationToken).ConfigureAwait(false);
        _once.TrySetResult();

        // The daemon ends because it is done, not because a part ended.
        await new TaskCompletionSource().Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }
}
