using System.Net;
using System.Text;
using Signet.Hosting.Configuration;
using Signet.Proxy.Config;
using Signet.Proxy.L7;

namespace Signet.Proxy.Upstreams.Health;

/// <summary>
/// Asks the endpoints of a service whether they are well, each by itself at its own interval, over connections of its own that are made like any
/// other: who is not the right server is not well either.
/// </summary>
internal sealed class HealthProber(MeshDialer dialer, HealthCheckConfig check, ProxyCore core)
{
    /// <summary>Runs until it is cancelled.</summary>
    public Task RunAsync(CancellationToken cancellationToken) => Task.WhenAll(dialer.Upstream.Endpoints.Select(endpoint => RunAsync(endpoint, cancellationToken)));

    private async Task RunAsync(UpstreamEndpoint endpoint, CancellationToken cancellationToken)
    {
        while (true)
        {
            // Without an identity or policies nobody can be asked, and that says nothing about the endpoint.
            if (core.Identity.TryUse(out _, out _, out _) && core.Model is not null)
            {
                var (end, detail) = await CheckAsync(endpoint, cancellationToken).ConfigureAwait(false);
                dialer.Upstream.ReportCheck(endpoint, end, $"health check: {detail}");
            }

            await Task.Delay(check.Interval + (check.Interval * (core.Chance() * check.JitterPercent / 100)), core.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<(CheckEnd End, string Detail)> CheckAsync(UpstreamEndpoint endpoint, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(check.Timeout, core.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            return await AskAsync(endpoint, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (CheckEnd.Failed, $"{endpoint.Name}: nothing within {DurationText.Format(check.Timeout)}");
        }
        catch (IOException e)
        {
            return (CheckEnd.Failed, $"{endpoint.Name}: {e.Message}");
        }
    }

    private async Task<(CheckEnd End, string Detail)> AskAsync(UpstreamEndpoint endpoint, CancellationToken cancellationToken)
    {
        var dialled = await dialer.ProbeAsync(core.Loops.Any(), endpoint, check.Path is null ? UpstreamUse.Tcp : UpstreamUse.Http1, cancellationToken).ConfigureAwait(false);
        if (dialled is DialOutcome.Failed failed)
        {
            return (CheckEnd.Failed, $"{failed.Reason}: {failed.Detail}");
        }

        await using var connection = ((DialOutcome.Connected)dialled).Connection;
        if (check.Path is null)
        {
            return (CheckEnd.Passed, "");
        }

        await connection.Transport.WriteAsync(
            Encoding.ASCII.GetBytes($"GET {check.Path} HTTP/1.1\r\nhost: {dialer.Upstream.Service.Host}\r\nuser-agent: signet-health\r\nconnection: close\r\n\r\n"), cancellationToken).ConfigureAwait(false);
        var scanner = default(HeadScanner);
        int length;
        while (!scanner.TryFindEnd(connection.Transport.Available.Span, out length, out var problem))
        {
            if (problem is not null || !await connection.Transport.ReadMoreAsync(HttpLimits.MaxHead, cancellationToken).ConfigureAwait(false))
            {
                return (CheckEnd.Failed, $"{endpoint.Name}: {problem?.ToString() ?? "no answer"}");
            }
        }

        return !ResponseHead.TryParse(connection.Transport.Available.Span[..length], "GET", out var answer, out var malformed) ? (CheckEnd.Failed, $"{endpoint.Name}: {malformed}")
            : answer.Status is >= 200 and < 300 ? (CheckEnd.Passed, "")
            : (CheckEnd.Refused, $"{endpoint.Name} answered {answer.Status}");
    }
}
