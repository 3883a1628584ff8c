using Grpc.Core;
using Signet.Hosting.Distribution.Wire;
using Signet.Rpc.Wire.Mesh;

namespace Signet.Hosting.Distribution;

/// <summary>
/// The receiving half of a stream of configuration, opened again with a growing pause when it ends: puts revisions together, hands each whole one on and
/// says what came of it. What was taken stays in force whatever happens to the stream. One task.
/// </summary>
/// <param name="open">Begins the call.</param>
/// <param name="hello">What it says first.</param>
/// <param name="take">Takes a snapshot; answers why it can't, or null.</param>
/// <param name="tell">Hears why there is nothing newer, each time that this changes; empty when all is well.</param>
/// <param name="explain">What went wrong with a call.</param>
/// <param name="time">The clock.</param>
/// <param name="chance">Gives numbers from 0 to 1.</param>
public sealed class MeshFollower(
    Func<CancellationToken, AsyncDuplexStreamingCall<MeshRequest, MeshUpdate>> open,
    MeshRequest hello,
    Func<MeshSnapshot, string?> take,
    Action<string> tell,
    Func<RpcException, string> explain,
    TimeProvider time,
    Func<double> chance)
{
    /// <summary>A problem of this or of the other side, and which of the two it is: each goes away by itself.</summary>
    private (string Refusal, string Told, string Call) _problems = ("", "", "");

    private string? _said;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var pause = new Backoff(new BackoffRule(TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(30)), chance);
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await FollowAsync(pause, cancellationToken).ConfigureAwait(false);
                Say(_problems with { Call = "the other side ended the stream" });
            }
            catch (RpcException e) when (!cancellationToken.IsCancellationRequested)
            {
                Say(_problems with { Call = explain(e) });
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                Say(_problems with { Call = e.Message });
            }

            await Task.Delay(pause.Next(), time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task FollowAsync(Backoff pause, CancellationToken cancellationToken)
    {
        using var call = open(cancellationToken);
        await call.RequestStream.WriteAsync(hello, cancellationToken).ConfigureAwait(false);
        var reader = new MeshUpdateReader();

        // Who begins anew says anew what is wrong.
        _problems = _problems with { Told = "" };
        while (await call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false))
        {
            pause.Reset();
            var update = call.ResponseStream.Current;
            var reading = reader.Read(update);
            var refusal = reading switch
            {
                MeshReading.Complete(var snapshot) => take(snapshot) ?? "",
                MeshReading.Refused(var problem) => problem,
                _ => null,
            };
            Say((refusal ?? _problems.Refusal, reading is MeshReading.Told(var told) ? told : _problems.Told, ""));
            if (refusal is not null)
            {
                await call.RequestStream.WriteAsync(new MeshRequest { AcknowledgedRevision = update.Revision, Problem = refusal }, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private void Say((string Refusal, string Told, string Call) problems)
    {
        _problems = problems;
        var text = problems.Call.Length > 0 ? problems.Call : problems.Refusal.Length > 0 ? $"the newest configuration was refused, the last good one stays: {problems.Refusal}" : problems.Told;
        if (text != _said)
        {
            _said = text;
            tell(text);
        }
    }
}
