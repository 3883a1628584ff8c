using Signet.Policy;
using Signet.Proxy.Authorization;
using Signet.Proxy.Connections;
using Signet.Proxy.L4;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Transport;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Listeners;

/// <summary>
/// The last part of an inbound TCP connection, whether it has a session of its own or is one of many in a tunnel: decide about it, reach the
/// application, and only then move bytes.
/// </summary>
internal sealed class InboundRelay(IUpstreamDialer app, Authorisers authorisers, ProxyCore core, LiveConnection live, RequestFacts facts, AccessRecord record)
{
    private UpstreamConnection? _upstream;
    private Permit? _permit;
    private string? _passedOver;

    /// <summary>Decides, and connects to the application. False: the record says why not.</summary>
    /// <exception cref="OperationCanceledException">The connection was closed meanwhile.</exception>
    public async Task<bool> OpenAsync(Func<CheckSubject> subject)
    {
        facts.Protocol = Protocol.Tcp;
        var hearing = new Hearing(authorisers, core.Model!.Policy, facts, []);
        var decision = await hearing.DecideAsync(subject, live.Token).ConfigureAwait(false);
        await live.Loop.EnterAsync();
        (record.Verdict, _permit, _passedOver) = (decision.Verdict, decision.Permit, hearing.PassedOver);
        if (_permit is null)
        {
            record.Refusal = RefusalReason.PolicyDenied;
            return false;
        }

        live.Policy = _permit.Policy;
        var dialled = await app.DialAsync(live.Loop, UpstreamUse.Tcp, live.Token).ConfigureAwait(false);
        if (dialled is DialOutcome.Failed failed)
        {
            record.Upstream = failed.Endpoint;
            record.Refuse(failed.Reason, failed.Detail);
            return false;
        }

        _upstream = ((DialOutcome.Connected)dialled).Connection;
        record.Upstream = _upstream.Endpoint;
        return true;
    }

    /// <summary>Moves bytes until both directions have ended.</summary>
    /// <param name="client">The peer's side.</param>
    /// <param name="recheck">Asked while it lives; answers null when it may go on.</param>
    /// <exception cref="OperationCanceledException">The connection was closed meanwhile.</exception>
    public async Task RunAsync(ITransport client, Func<LiveConnection.Closure?> recheck)
    {
        await using var upstream = _upstream!;
        live.CloseWhenIdleFor(core.Config.Timeouts.TcpIdle);
        live.KeepAsking(recheck);
        record.Detail = await Relay.RunAsync(Clearance.Inbound(_permit!), client, upstream.Transport, live, live.Token).ConfigureAwait(false) ?? _passedOver ?? record.Detail;
    }
}
