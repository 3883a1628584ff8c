using System.Threading.Channels;
using Grpc.Core;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Workload;

namespace Signet.Client;

/// <summary>
/// Tells the agent which bundle and which issuers this process uses, after each change, so that a rotation of the trust anchor can wait for it. An agent
/// that has no such service is left alone. Nothing here touches the identity itself.
/// </summary>
internal sealed class AppliedReporter : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan WithoutService = TimeSpan.FromMinutes(5);

    private readonly WorkloadApiAddress _address;
    private readonly IX509Source _source;
    private readonly TimeProvider _time;
    private readonly Channel<bool> _changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _reporting;

    /// <summary>Begins at once.</summary>
    public AppliedReporter(WorkloadApiAddress address, IX509Source source, TimeProvider time)
    {
        (_address, _source, _time) = (address, source, time);
        _reporting = RunAsync(_stop.Token);
    }

    /// <summary>The source's identity has changed, and everybody who follows the source has been called.</summary>
    public void Tell() => _changed.Writer.TryWrite(true);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _reporting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        using var channel = WorkloadApi.Connect(_address, _time);
        var client = new Applied.AppliedClient(channel);
        while (!cancellationToken.IsCancellationRequested)
        {
            var pause = Pause;
            try
            {
                await _source.WaitAsync(cancellationToken).ConfigureAwait(false);
                using var call = client.Report(WorkloadApi.Options(cancellationToken));
                await ReportAsync(call, cancellationToken).ConfigureAwait(false);
                continue;
            }
            catch (RpcException e) when (e.StatusCode == StatusCode.Unimplemented)
            {
                pause = WithoutService;
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                // The source itself says what is wrong with the agent.
            }

            await Task.Delay(pause, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Reports until the identity is withdrawn: whoever has none uses nothing.</summary>
    /// <exception cref="RpcException">The agent ended the call.</exception>
    private async Task ReportAsync(AsyncClientStreamingCall<AppliedIdentity, ReportResponse> call, CancellationToken cancellationToken)
    {
        while (Next() is { } context)
        {
            await call.RequestStream.WriteAsync(Describe(context), cancellationToken).ConfigureAwait(false);
            var changed = _changed.Reader.WaitToReadAsync(cancellationToken).AsTask();
            if (await Task.WhenAny(changed, call.ResponseAsync).ConfigureAwait(false) != changed)
            {
                await call.ResponseAsync.ConfigureAwait(false);
                throw new RpcException(new Status(StatusCode.Unavailable, "the agent ended the call"));
            }
        }

        await call.RequestStream.CompleteAsync().ConfigureAwait(false);
        await call.ResponseAsync.ConfigureAwait(false);
    }

    // The mark is taken before the state, so that no change falls between the two.
    private X509Context? Next()
    {
        _changed.Reader.TryRead(out _);
        return _source.Current;
    }

    private static AppliedIdentity Describe(X509Context context)
    {
        var said = new AppliedIdentity { BundleDigest = context.Bundles.Find(context.Default.Id.TrustDomain)?.Digest ?? "" };
        said.Issuers.AddRange(context.Svids.Select(svid => svid.Issuer?.SerialHex).OfType<string>().Distinct(StringComparer.Ordinal));
        return said;
    }
}
