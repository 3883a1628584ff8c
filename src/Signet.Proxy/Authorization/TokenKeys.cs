using System.Collections.Frozen;
using Microsoft.Extensions.Logging;
using Signet.Client;
using Signet.Identity.Jose;
using Signet.Policy.Jwt;
using Signet.Policy.Objects;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.Authorization;

/// <summary>
/// The keys of the token issuers that the policies in force name: those that stand in a policy, those behind the addresses in it, and those of trust
/// domains, which come from the Workload API. Nothing else is ever fetched. Thread-safe; dispose to stop.
/// </summary>
internal sealed class TokenKeys(
    KeyFetcher fetcher, Func<IJwtBundleSource>? openBundles, ProxyMetrics metrics, TimeProvider time, Func<double> chance, ILogger logger) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly List<KeySet> _left = [];
    private IJwtBundleSource? _bundles;
    private Followed _followed = new(FrozenDictionary<string, JsonWebKeys>.Empty, FrozenDictionary<Uri, KeySet>.Empty);

    public KeyFetcher Fetcher => fetcher;

    public TimeProvider Time => time;

    public Func<double> Chance => chance;

    public CancellationToken Stopping => _stop.Token;

    /// <summary>From now on these rules count. What another policy still names keeps its keys.</summary>
    public void Follow(IReadOnlyList<JwtRule> rules)
    {
        lock (_gate)
        {
            var before = _followed;
            var inline = new Dictionary<string, JsonWebKeys>(StringComparer.Ordinal);
            var sets = new Dictionary<Uri, KeySet>();
            foreach (var rule in rules)
            {
                if (rule.Jwks is { } written)
                {
                    if (before.Inline.TryGetValue(written, out var keys) || JsonWebKeys.TryParse(written, out keys, out _))
                    {
                        inline[written] = keys;
                    }
                }
                else if (rule.JwksUri is { } uri)
                {
                    sets[uri] = before.Sets.GetValueOrDefault(uri) ?? new KeySet(uri, rule.Timeout, this);
                }
                else if (rule.TrustDomain is not null && _bundles is null && !_stop.IsCancellationRequested)
                {
                    Volatile.Write(ref _bundles, openBundles?.Invoke());
                }
            }

            _left.RemoveAll(set => set.Fetching.IsCompleted);
            _left.AddRange(before.Sets.Values.Where(set => !sets.ContainsKey(set.Uri)));
            Volatile.Write(ref _followed, new Followed(inline.ToFrozenDictionary(StringComparer.Ordinal), sets.ToFrozenDictionary()));
        }

        FetchWhatIsDue();
    }

    /// <summary>Starts the fetches that are due. Call every second or so.</summary>
    public void FetchWhatIsDue()
    {
        if (!_stop.IsCancellationRequested)
        {
            foreach (var set in Volatile.Read(ref _followed).Sets.Values)
            {
                set.FetchIfDue();
            }
        }
    }

    /// <summary>
    /// Checks a request's tokens. When none of the known keys made a signature it looks once whether the issuer has newer ones, within the
    /// rule's timeout.
    /// </summary>
    public async ValueTask<TokenVerdict> VerifyAsync(
        IReadOnlyList<JwtRule> rules, IReadOnlyList<KeyValuePair<string, string>> fields, string target, CancellationToken cancellationToken)
    {
        var followed = Volatile.Read(ref _followed);
        HashSet<KeySet> asked = [];
        var verdict = TokenVerifier.Verify(rules, fields, target, KeysOf, time.GetUtcNow());
        if (!verdict.WantsKeys || asked.Count == 0)
        {
            return verdict;
        }

        try
        {
            await Task.WhenAll(asked.Select(set => set.FetchForTokenAsync())).WaitAsync(rules.Max(rule => rule.Timeout), time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return verdict;
        }

        return TokenVerifier.Verify(rules, fields, target, KeysOf, time.GetUtcNow());

        JsonWebKeys? KeysOf(JwtRule rule)
        {
            if (rule.Jwks is { } written)
            {
                return followed.Inline.GetValueOrDefault(written);
            }

            if (rule.JwksUri is { } uri && followed.Sets.TryGetValue(uri, out var set))
            {
                asked.Add(set);
                return set.Keys;
            }

            return rule is { JwksUri: null, TrustDomain: { } trustDomain } && Volatile.Read(ref _bundles)?.Find(trustDomain) is { } bundle ? JsonWebKeys.Of(bundle) : null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        Task[] fetching;
        lock (_gate)
        {
            fetching = [.. _followed.Sets.Values.Concat(_left).Select(set => set.Fetching)];
        }

        await Task.WhenAll(fetching).ConfigureAwait(false);
        if (_bundles is IAsyncDisposable bundles)
        {
            await bundles.DisposeAsync().ConfigureAwait(false);
        }

        fetcher.Dispose();
        _stop.Dispose();
    }

    internal void Fetched(KeySet set, string problem, int? count)
    {
        if (_stop.IsCancellationRequested)
        {
            return;
        }

        metrics.KeysFetched(count is not null);
        if (count is { } number)
        {
            Log.TokenKeysFetched(logger, number, KeyFetcher.Shown(set.Uri));
        }
        else
        {
            Log.TokenKeysNotFetched(logger, KeyFetcher.Shown(set.Uri), set.Keys is null ? "tokens of that issuer are refused" : "the last ones stay", problem);
        }
    }

    private sealed record Followed(FrozenDictionary<string, JsonWebKeys> Inline, FrozenDictionary<Uri, KeySet> Sets);
}
