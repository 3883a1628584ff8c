using Grpc.Core;
using Signet.Rpc.Wire.Spiffe;

namespace Signet.Client;

/// <summary>One stream of the Workload API, held open, reopened with a growing pause when it breaks (Workload API §4.2).</summary>
internal static class WorkloadApiStream
{
    private static readonly TimeSpan PauseStep = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PauseCap = TimeSpan.FromSeconds(30);

    /// <summary>Follows a stream until it is told to stop.</summary>
    /// <param name="address">Where the Workload API is.</param>
    /// <param name="open">Begins the call.</param>
    /// <param name="take">Takes a message; answers why it can't, or null.</param>
    /// <param name="failed">Hears what went wrong; what was received before still holds.</param>
    /// <param name="withdrawn">Hears that nothing received before may be used any more (Workload API §5.2.1).</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Stops.</param>
    public static async Task FollowAsync<T>(
        WorkloadApiAddress address,
        Func<SpiffeWorkloadAPI.SpiffeWorkloadAPIClient, CallOptions, AsyncServerStreamingCall<T>> open,
        Func<T, string?> take,
        Action<string> failed,
        Action<string> withdrawn,
        TimeProvider time,
        CancellationToken cancellationToken)
    {
        using var channel = WorkloadApi.Connect(address, time);
        var client = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel);
        var pause = TimeSpan.Zero;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                using var call = open(client, WorkloadApi.Options(cancellationToken));
                await foreach (var message in call.ResponseStream.ReadAllAsync(cancellationToken).ConfigureAwait(false))
                {
                    if (take(message) is { } problem)
                    {
                        failed($"{address}: {problem}");
                    }
                    else
                    {
                        pause = TimeSpan.Zero;
                    }
                }

                failed($"{address}: the stream ended");
            }
            catch (RpcException e) when (e.StatusCode == StatusCode.PermissionDenied)
            {
                withdrawn($"{address}: {e.Status.Detail}");
            }
            catch (RpcException e)
            {
                // What a connection broke of says already where it led.
                failed(e.Status.Detail.StartsWith($"{address}: ", StringComparison.Ordinal) ? e.Status.Detail : $"{address}: {e.StatusCode}: {e.Status.Detail}");
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                failed($"{address}: {e.Message}");
            }

            pause = pause + PauseStep < PauseCap ? pause + PauseStep : PauseCap;
            await Task.Delay(pause, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
