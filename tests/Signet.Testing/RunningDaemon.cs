using Signet.Hosting.Daemons;

namespace Signet.Testing;

/// <summary>The parts of a role, started in order as <see cref="DaemonHost"/> does, and stopped in reverse when the test is done with them.</summary>
public sealed class RunningDaemon : IAsyncDisposable
{
    private readonly IReadOnlyList<IDaemonPart> _parts;
    private readonly IAsyncDisposable _host;

    private RunningDaemon(IReadOnlyList<IDaemonPart> parts, IAsyncDisposable host) => (_parts, _host) = (parts, host);

    public static async Task<RunningDaemon> StartAsync(IReadOnlyList<IDaemonPart> parts, IAsyncDisposable host)
    {
        foreach (var part in parts)
        {
            await part.StartAsync(CancellationToken.None);
        }

        return new RunningDaemon(parts, host);
    }

    public async ValueTask DisposeAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        foreach (var part in _parts.Reverse())
        {
            await part.StopAsync(patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await _host.DisposeAsync();
    }
}
