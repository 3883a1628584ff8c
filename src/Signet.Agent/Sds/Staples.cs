using System.Collections.Concurrent;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Identities;
using Signet.Hosting;
using Signet.Identity.X509;

namespace Signet.Agent.Sds;

/// <summary>Asks the server for OCSP responses, one for each certificate and in the same order.</summary>
internal delegate Task<IReadOnlyList<ReadOnlyMemory<byte>>> AskForStaples(IReadOnlyList<(Certificate Leaf, Certificate Issuer)> certificates, CancellationToken cancellationToken);

/// <summary>
/// Staples of the SVIDs that proxies fetched, for as long as the agent holds these, kept fresh by one task. A staple is never handed out beyond its end; while
/// the server is away, or can't staple, there is none. Reading is thread-safe.
/// </summary>
internal sealed class Staples(AskForStaples ask, IdentityCache cache, TimeProvider time, Func<double> chance, ILogger<Staples> log)
{
    /// <summary>As many as the server answers at once.</summary>
    private const int Batch = 500;

    /// <summary>How long what the server refuses, or what does not hold, is left alone.</summary>
    private static readonly TimeSpan AfterRefusal = TimeSpan.FromMinutes(10);

    /// <summary>So that a clock that is set forward does not hold an expiry up for long.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, Wanted> _wanted = new(StringComparer.Ordinal);
    private readonly ChangeSignal _asked = new();
    private readonly Backoff _pause = new(new BackoffRule(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1)), chance);
    private string _problem = "";

    /// <summary>What goes with an SVID now; null when there is none. From the first time on there is to be one.</summary>
    public Staple? Of(X509Svid svid)
    {
        if (svid.Issuer is not { } issuer)
        {
            return null;
        }

        if (_wanted.TryGetValue(svid.Leaf.SerialHex, out var known))
        {
            return known.Staple is { } staple && staple.IsCurrent(time.GetUtcNow()) ? staple : null;
        }

        if (_wanted.TryAdd(svid.Leaf.SerialHex, new Wanted(svid.Leaf, issuer)))
        {
            _asked.Raise();
        }

        return null;
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var asked = _asked.Version;
            var now = time.GetUtcNow();
            Forget();
            if (DropExpired(now))
            {
                cache.Changes.Raise();
            }

            var due = _wanted.Values.Where(one => one.RefreshAt <= now).Take(Batch).ToArray();
            if (due.Length == 0)
            {
                await _asked.WaitAsync(asked, WaitFor(now), time, cancellationToken).ConfigureAwait(false);
            }
            else if (await RefreshAsync(due, cancellationToken).ConfigureAwait(false))
            {
                cache.Changes.Raise();
            }
            else
            {
                await Task.Delay(_pause.Next(), time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private void Forget()
    {
        if (_wanted.IsEmpty)
        {
            return;
        }

        var held = cache.Current.Held.Values.Select(one => one.Svid.Leaf.SerialHex).ToHashSet(StringComparer.Ordinal);
        foreach (var gone in _wanted.Keys.Where(serial => !held.Contains(serial)))
        {
            _wanted.TryRemove(gone, out _);
        }
    }

    private bool DropExpired(DateTimeOffset now)
    {
        var expired = _wanted.Values.Where(one => one.Staple is { } staple && !staple.IsCurrent(now)).ToArray();
        Array.ForEach(expired, one => (one.Staple, one.RefreshAt) = (null, DateTimeOffset.MinValue));
        return expired.Length > 0;
    }

    private TimeSpan WaitFor(DateTimeOffset now)
    {
        var next = _wanted.Values.Select(one => one.Staple is { } staple && staple.NextUpdate < one.RefreshAt ? staple.NextUpdate : one.RefreshAt).DefaultIfEmpty(DateTimeOffset.MaxValue).Min();
        return next - now < LongestWait ? next - now : LongestWait;
    }

    /// <returns>Whether the server answered.</returns>
    private async Task<bool> RefreshAsync(Wanted[] due, CancellationToken cancellationToken)
    {
        try
        {
            var responses = await ask([.. due.Select(one => (one.Leaf, one.Issuer))], cancellationToken).ConfigureAwait(false);
            var now = time.GetUtcNow();
            foreach (var (one, response) in due.Zip(responses))
            {
                if (Staple.TryRead(response, one.Leaf, one.Issuer, now, out var staple, out var problem))
                {
                    (one.Staple, one.RefreshAt) = (staple, staple.RefreshAt(chance()));
                }
                else
                {
                    one.RefreshAt = now + AfterRefusal;
                    log.StapleRefused(one.Leaf.SerialHex, problem);
                }
            }

            _pause.Reset();
            _problem = "";
            return true;
        }
        catch (RpcException e) when (e.StatusCode is StatusCode.Unimplemented or StatusCode.PermissionDenied)
        {
            // It is a server that has no staples to give.
            Tell(e.Status.Detail);
            var later = time.GetUtcNow() + AfterRefusal;
            Array.ForEach(due, one => one.RefreshAt = later);
            return true;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            Tell(e is RpcException rpc ? rpc.Status.Detail : e.Message);
            return false;
        }
    }

    private void Tell(string problem)
    {
        if (problem != _problem)
        {
            _problem = problem;
            log.StaplesNotRefreshed(problem);
        }
    }

    /// <summary>A certificate that is to have a staple. The loop writes, any number read the staple.</summary>
    private sealed class Wanted(Certificate leaf, Certificate issuer)
    {
        private Staple? _staple;

        public Certificate Leaf { get; } = leaf;

        public Certificate Issuer { get; } = issuer;

        public DateTimeOffset RefreshAt { get; set; } = DateTimeOffset.MinValue;

        public Staple? Staple
        {
            get => Volatile.Read(ref _staple);
            set => Volatile.Write(ref _staple, value);
        }
    }
}
