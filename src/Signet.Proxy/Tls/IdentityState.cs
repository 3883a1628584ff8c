using Microsoft.Extensions.Logging;
using Signet.Client;
using Signet.Proxy.Config;

namespace Signet.Proxy.Tls;

/// <summary>
/// The proxy's current identity: follows its source, replaces the whole snapshot on each change, and says why there is none. Handshakes
/// that began with the previous snapshot finish with it, and only then is it let go of. Thread-safe.
/// </summary>
internal sealed class IdentityState : IDisposable
{
    private readonly IX509Source _source;
    private readonly TlsConfig _tls;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly TimeSpan _grace;
    private readonly Queue<(OwnIdentity Identity, long Since)> _replaced = new();
    private readonly IDisposable _subscription;
    private OwnIdentity? _current;

    /// <param name="source">Where it comes from.</param>
    /// <param name="tls">How handshakes are made.</param>
    /// <param name="grace">How long somebody who has taken a snapshot may still want to begin a handshake with it.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Where it logs.</param>
    public IdentityState(IX509Source source, TlsConfig tls, TimeSpan grace, TimeProvider time, ILogger logger)
    {
        (_source, _tls, _grace, _time, _logger) = (source, tls, grace, time, logger);
        _subscription = source.OnChange(Update);
        Update();
    }

    /// <summary>Called after <see cref="Current"/> has changed. Set once, before the first connection.</summary>
    internal Action Changed { get; set; } = () => { };

    public OwnIdentity? Current => Volatile.Read(ref _current);

    /// <summary>How often an identity was replaced by a newer one.</summary>
    public long Rotations { get; private set; }

    /// <summary>The source's own words about what is wrong, or null.</summary>
    public string? Problem => _source.Problem;

    /// <summary>The identity to use now, or the reason why there is none to use: an expired one is none.</summary>
    public bool TryUse(out OwnIdentity? identity, out RefusalReason reason, out string detail)
    {
        identity = Current;
        (reason, detail) = (RefusalReason.WaitingForSvid, "");
        if (identity is null)
        {
            detail = $"this proxy has no SVID: {_source.Problem ?? "none has been received yet"}";
            return false;
        }

        if (_time.GetUtcNow() > identity.ExpiresAt)
        {
            (reason, detail) = (RefusalReason.OwnSvidExpired, $"this proxy's SVID {identity.SerialHex} expired at {identity.ExpiresAt:O}: {_source.Problem ?? "no newer one has been received"}");
            identity = null;
            return false;
        }

        return true;
    }

    /// <summary>Lets go of identities that were replaced long enough ago.</summary>
    public void Sweep()
    {
        lock (_gate)
        {
            while (_replaced.TryPeek(out var oldest) && _time.GetElapsedTime(oldest.Since) >= _grace)
            {
                _replaced.Dequeue().Identity.Retire();
            }
        }
    }

    /// <summary>When no connection needs an identity any more.</summary>
    public void Dispose()
    {
        _subscription.Dispose();
        lock (_gate)
        {
            SetCurrent_NeedsLock(null);
            while (_replaced.TryDequeue(out var replaced))
            {
                replaced.Identity.Retire();
            }
        }
    }

    private void Update()
    {
        lock (_gate)
        {
            var context = _source.Current;
            if (ReferenceEquals(context, _current?.Context))
            {
                return;
            }

            if (context is null)
            {
                SetCurrent_NeedsLock(null);
                Log.IdentityWithdrawn(_logger, _source.Problem ?? "");
            }
            else
            {
                Replace_NeedsLock(context);
            }
        }

        Changed();
    }

    private void Replace_NeedsLock(X509Context context)
    {
        OwnIdentity next;
        try
        {
            next = new OwnIdentity(context, _tls);
        }
        catch (Exception e) when (e is System.Security.Cryptography.CryptographicException or NotSupportedException)
        {
            Log.IdentityUnusable(_logger, context.Default.Id.Uri, e.Message);
            return;
        }

        if (_current is not null)
        {
            Rotations++;
        }

        SetCurrent_NeedsLock(next);
        Log.IdentityChanged(_logger, next.Id.Uri, next.SerialHex, next.ExpiresAt);
    }

    private void SetCurrent_NeedsLock(OwnIdentity? next)
    {
        if (_current is { } replaced)
        {
            _replaced.Enqueue((replaced, _time.GetTimestamp()));
        }

        Volatile.Write(ref _current, next);
    }
}
