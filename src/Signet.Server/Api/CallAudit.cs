using Grpc.Core;
using Signet.Hosting.Grpc;
using Signet.Hosting.Limits;
using Signet.Server.Access;
using Signet.Server.Audit;
using Signet.Server.Limits;

namespace Signet.Server.Api;

/// <summary>
/// Keeps calls in the audit trail: each decision before it has an effect, and what came of the calls that change something or fail. What
/// operators change is durable before it is done. Agents, strangers and whoever is refused could call without end, so each gets so many records a
/// second; the next record says how many were left out.
/// </summary>
internal sealed class CallAudit(AuditTrail trail, TimeProvider time)
{
    /// <summary>How many records an agent, or an address of a stranger, gets.</summary>
    public static readonly Rate PerCaller = new(PerSecond: 10, Burst: 100);

    /// <summary>How many records all agents and strangers get together.</summary>
    public static readonly Rate Together = new(PerSecond: 1_000, Burst: 10_000);

    private const string Allowed = "allowed", Denied = "denied";

    private readonly TokenBuckets<string> _callers = new(PerCaller, time);
    private readonly TokenBuckets<int> _together = new(Together, time);
    private long _leftOut;

    /// <summary>Records the decision.</summary>
    /// <exception cref="RpcException">UNAVAILABLE: it could not be recorded, so the call must not happen.</exception>
    public async ValueTask<AdmittedCall> BeginAsync(ServerCallContext context, Caller caller, AccessVerdict verdict)
    {
        var call = new AdmittedCall(caller);
        var audited = MethodTable.Rules.TryGetValue(context.Method, out var rule) ? rule.Audited : Audited.Call;
        if (verdict.IsAllowed && audited == Audited.No)
        {
            return call;
        }

        var isOperator = !caller.Rights.Grants.IsEmpty;
        var sequence = await TryAppendAsync(
            new AuditEvent
            {
                Kind = AuditKind.Call,
                Caller = caller.Name,
                Action = context.Method.TrimStart('/'),
                Verdict = verdict.IsAllowed ? Allowed : Denied,
                Reason = verdict.Reason,
            },
            caller,
            durable: isOperator && verdict.IsAllowed && audited == Audited.CallAndEnd,
            context.CancellationToken).ConfigureAwait(false);
        if (verdict.IsAllowed)
        {
            context.OnEnd(status => EndAsync(call, context.Method, sequence, status, audited, isOperator));
        }

        return call;
    }

    private async ValueTask EndAsync(AdmittedCall call, string method, long sequence, Status status, Audited audited, bool isOperator)
    {
        if (audited != Audited.CallAndEnd && status.StatusCode == StatusCode.OK)
        {
            return;
        }

        await TryAppendAsync(
            new AuditEvent
            {
                Kind = AuditKind.End,
                Caller = call.Caller.Name,
                Action = method.TrimStart('/'),
                Objects = call.Objects,
                Outcome = status.StatusCode == StatusCode.OK ? "OK" : $"{status.StatusCode}: {status.Detail}",
                Of = sequence,
            },
            call.Caller,
            durable: isOperator && audited == Audited.CallAndEnd,
            CancellationToken.None).ConfigureAwait(false);
    }

    private async ValueTask<long> TryAppendAsync(AuditEvent e, Caller caller, bool durable, CancellationToken cancellationToken)
    {
        var bucket = caller switch
        {
            { Rights.Grants.IsEmpty: false } when e.Verdict != Denied => null,
            Caller.Anonymous stranger => $"{stranger.Address}",
            Caller.Local local => $"uid {local.Uid}",
            _ => caller.Name,
        };
        if (bucket is not null && !(_callers.TryTake(bucket) && _together.TryTake(0)))
        {
            Interlocked.Increment(ref _leftOut);
            trail.Metrics.LeftOut();
            return 0;
        }

        var leftOut = Interlocked.Exchange(ref _leftOut, 0);
        try
        {
            return await trail.AppendAsync(e with { LeftOut = leftOut }, durable, cancellationToken).ConfigureAwait(false);
        }
        catch (AuditException failure)
        {
            Interlocked.Add(ref _leftOut, leftOut);
            throw new RpcException(new Status(StatusCode.Unavailable, failure.Message));
        }
    }
}
