using Grpc.Core;
using Signet.Client.Wire;
using Signet.Rpc;
using Signet.Rpc.Wire.Spiffe;

namespace Signet.Client;

/// <summary>
/// Keeps a workload's X.509 identity fresh from the Workload API: one stream, held open, reopened with a growing pause when it breaks.
/// A broken stream keeps what was received; a withdrawn identity is dropped at once. Thread-safe; dispose to stop.
/// </summary>
public sealed class X509Source : IX509Source, IAsyncDisposable
{
    private static readonly TimeSpan PauseStep = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PauseCap = TimeSpan.FromSeconds(30);

    private readonly SourceState _state = new();
    private readonly WorkloadApiAddress _address;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _watch;

    /// <summary>Begins to watch at once.</summary>
    public X509Source(WorkloadApiAddress address, TimeProvider time)
    {
        _address = address;
        _time = time;
        _watch = WatchAsync(_stop.Token);
    }

    public X509Context? Current => _state.Current;

    public string? Problem => _state.Problem;

    public Task<X509Context> WaitAsync(CancellationToken cancellationToken) => _state.WaitAsync(cancellationToken);

    public IDisposable OnChange(Action changed) => _state.OnChange(changed);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _watch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        using var channel = WorkloadApi.Connect(_address, _time);
        var client = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel);
        var pause = TimeSpan.Zero;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                using var call = client.FetchX509SVID(new X509SVIDRequest(), WorkloadApi.Options(cancellationToken));
                await foreach (var response in call.ResponseStream.ReadAllAsync(cancellationToken).ConfigureAwait(false))
                {
                    if (X509ContextWire.TryRead(response, out var context, out var problem))
                    {
                        _state.Publish(context);
                        pause = TimeSpan.Zero;
                    }
                    else
                    {
                        _state.Fail($"{_address}: {problem}");
                    }
                }

                _state.Fail($"{_address}: the stream ended");
            }
            catch (RpcException e) when (e.StatusCode == StatusCode.PermissionDenied)
            {
                _state.Withdraw($"{_address}: {e.Status.Detail}");
            }
            catch (RpcException e)
            {
                _state.Fail($"{_address}: {e.StatusCode}: {e.Status.Detail}");
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                _state.Fail($"{_address}: {e.Message}");
            }

            pause = pause + PauseStep < PauseCap ? pause + PauseStep : PauseCap;
            await Task.Delay(pause, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
