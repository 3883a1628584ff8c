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
        while (await call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false))
        {
            pause.Reset();
            var update = call.ResponseStream.Current;
            var (answer, problems) = reader.Read(update) switch
            {
                MeshReading.Complete(var snapshot) when take(snapshot) is { } problem => (Answer(update, problem), (problem, _problems.Told, "")),
                MeshReading.Complete => (Answer(update, ""), ("", "", "")),
                MeshReading.Refused(var problem) => (Answer(update, problem), (problem, _problems.Told, "")),
                MeshReading.Told(var problem) => (null, _problems with { Told = problem, Call = "" }),
                _ => (null, _problems with { Call = "" }),
            };
            Say(problems);
            if (answer is not null)
            {
                await call.RequestStream.WriteAsync(answer, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private static MeshRequest Answer(MeshUpdate update, string problem) => new() { AcknowledgedRevision = update.Revision, Problem = problem };

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
