using Signet.Hosting;
using Signet.Identity.Jose;

namespace Signet.Proxy.Authorization;

/// <summary>
/// The keys behind one address, kept fresh: fetched anew after a while, sooner when a token was signed by none of them, and one fetch at a
/// time. When fetching fails the last ones stay until they are too old. Thread-safe.
/// </summary>
internal sealed class KeySet(Uri uri, TimeSpan timeout, TokenKeys owner)
{
    /// <summary>How long keys are used before they are fetched again; up to a tenth sooner, by chance.</summary>
    public static readonly TimeSpan RefreshInterval = TimeSpan.FromMinutes(20);

    /// <summary>How long the last keys are believed while fetching fails.</summary>
    public static readonly TimeSpan MaxAge = TimeSpan.FromHours(24);

    /// <summary>Tokens of strangers don't cause more fetches than one in this time.</summary>
    public static readonly TimeSpan MinInterval = TimeSpan.FromSeconds(5);

    private static readonly BackoffRule Retry = new(TimeSpan.FromSeconds(10), TimeSpan.FromMinutes(5));

    private readonly Lock _gate = new();
    private JsonWebKeys? _keys;
    private long _fetchedAt;
    private long? _attemptedAt;
    private TimeSpan _wait;
    private int _failures;
    private Task _fetching = Task.CompletedTask;

    public Uri Uri => uri;

    /// <summary>The fetch under way, or the last one.</summary>
    public Task Fetching
    {
        get
        {
            lock (_gate)
            {
                return _fetching;
            }
        }
    }

    /// <summary>The keys; null while there are none, or only ones that are too old.</summary>
    public JsonWebKeys? Keys
    {
        get
        {
            lock (_gate)
            {
                return _keys is not null && owner.Time.GetElapsedTime(_fetchedAt) <= MaxAge ? _keys : null;
            }
        }
    }

    /// <summary>Starts a fetch if one is due.</summary>
    public void FetchIfDue() => Start(after: null);

    /// <summary>The fetch under way, or a new one unless there was one just now.</summary>
    public Task FetchForTokenAsync() => Start(MinInterval);

    private Task Start(TimeSpan? after)
    {
        lock (_gate)
        {
            if (_fetching.IsCompleted && (_attemptedAt is not { } attempt || owner.Time.GetElapsedTime(attempt) >= (after ?? _wait)))
            {
                _attemptedAt = owner.Time.GetTimestamp();
                _fetching = Task.Run(FetchAsync);
            }

            return _fetching;
        }
    }

    private async Task FetchAsync()
    {
        using var late = new CancellationTokenSource(timeout, owner.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, owner.Stopping);
        JsonWebKeys? keys;
        string problem;
        try
        {
            (keys, problem) = await owner.Fetcher.FetchAsync(uri, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            (keys, problem) = (null, $"nothing within {timeout.TotalSeconds:0.###} s");
        }

        lock (_gate)
        {
            if (keys is not null)
            {
                (_keys, _fetchedAt, _failures) = (keys, owner.Time.GetTimestamp(), 0);
                _wait = RefreshInterval * (1 - (owner.Chance() / 10));
            }
            else
            {
                _wait = Retry.After(++_failures, owner.Chance());
            }
        }

        owner.Fetched(this, problem, keys?.Count);
    }
}
