using Grpc.Core;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;

namespace Signet.Client;

/// <summary>
/// JWT-SVIDs by audience, kept and fetched again at half of their life. When that fails, the token there is goes on being given until it expires; one that was
/// withdrawn is dropped at once. Any number of callers who want the same token at once cause one call. Thread-safe; dispose to stop.
/// </summary>
/// <param name="client">Asks the Workload API. The caller disposes it, afterwards.</param>
/// <param name="time">The clock.</param>
/// <param name="chance">Numbers in [0, 1): spreads the renewals of many processes.</param>
public sealed class JwtSource(WorkloadApiClient client, TimeProvider time, Func<double> chance) : IAsyncDisposable
{
    /// <summary>How many tokens are kept; beyond them the one that expires first is forgotten.</summary>
    public const int MaxTokens = 1000;

    /// <summary>How long after a failed renewal the next one is tried.</summary>
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan FetchTimeout = TimeSpan.FromSeconds(30);

    private readonly Lock _gate = new();
    private readonly Dictionary<Wanted, Held> _held = [];
    private readonly CancellationTokenSource _stop = new();

    /// <summary>A token of the default identity for one audience.</summary>
    /// <inheritdoc cref="GetAsync(IReadOnlyList{string}, SpiffeId?, CancellationToken)"/>
    public Task<FetchedJwt> GetAsync(string audience, CancellationToken cancellationToken) => GetAsync([audience], null, cancellationToken);

    /// <summary>A token that is valid now.</summary>
    /// <param name="audiences">At least one.</param>
    /// <param name="id">Of this identity; null is the default one.</param>
    /// <param name="cancellationToken">Stops waiting; others who wait for the same token go on.</param>
    /// <exception cref="RpcException">There is no valid token, and the Workload API refused or can't be reached.</exception>
    /// <exception cref="WorkloadApiException">There is no valid token, and the answer can't be used.</exception>
    /// <exception cref="ObjectDisposedException">The source was disposed.</exception>
    public async Task<FetchedJwt> GetAsync(IReadOnlyList<string> audiences, SpiffeId? id, CancellationToken cancellationToken)
    {
        FetchedJwt? valid;
        Task<FetchedJwt> fetching;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
            var wanted = new Wanted(string.Concat(audiences.Select(audience => $"{audience.Length}:{audience}")), id);
            var (held, now) = (Find_NeedsLock(wanted), time.GetUtcNow());
            valid = held.Token is { } token && now < token.ExpiresAt ? token : null;
            if (valid is not null && now < held.DueAt)
            {
                return valid;
            }

            fetching = held.Fetching ??= Task.Run(() => FetchAsync(held, [.. audiences], id), CancellationToken.None);
        }

        try
        {
            return await fetching.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (valid is not null && (e is WorkloadApiException || e is RpcException { StatusCode: not StatusCode.PermissionDenied }))
        {
            return valid;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        Task[] fetching;
        lock (_gate)
        {
            fetching = [.. _held.Values.Select(held => held.Fetching).OfType<Task>()];
            _held.Clear();
        }

        await Task.WhenAll(fetching).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task<FetchedJwt> FetchAsync(Held held, string[] audiences, SpiffeId? id)
    {
        try
        {
            using var timeout = new CancellationTokenSource(FetchTimeout, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _stop.Token);
            var token = (await client.FetchJwtAsync(audiences, id, either.Token).ConfigureAwait(false))[0];
            var now = time.GetUtcNow();
            Keep(held, token, SvidRenewal.DueAt(new Validity(now, token.ExpiresAt), now, chance()));
            return token;
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.PermissionDenied)
        {
            Keep(held, null, default);
            throw;
        }
        catch
        {
            Keep(held, held.Token, time.GetUtcNow() + RetryAfter);
            throw;
        }
    }

    private void Keep(Held held, FetchedJwt? token, DateTimeOffset dueAt)
    {
        lock (_gate)
        {
            (held.Token, held.DueAt, held.Fetching) = (token, dueAt, null);
        }
    }

    private Held Find_NeedsLock(Wanted wanted)
    {
        if (_held.TryGetValue(wanted, out var held))
        {
            return held;
        }

        if (_held.Count >= MaxTokens && _held.Where(pair => pair.Value.Fetching is null).OrderBy(pair => pair.Value.Token?.ExpiresAt).FirstOrDefault() is { Value: not null } first)
        {
            _held.Remove(first.Key);
        }

        return _held[wanted] = new Held();
    }

    /// <param name="Audiences">Each with its length before it, so that no two lists read the same.</param>
    /// <param name="Id">Whose token; null is the default identity.</param>
    private sealed record Wanted(string Audiences, SpiffeId? Id);

    /// <summary>Changed under the lock only.</summary>
    private sealed class Held
    {
        public FetchedJwt? Token { get; set; }

        public DateTimeOffset DueAt { get; set; }

        public Task<FetchedJwt>? Fetching { get; set; }
    }
}
