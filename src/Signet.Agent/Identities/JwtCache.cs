using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Identity.Registration;

namespace Signet.Agent.Identities;

/// <summary>A token that the server signed for an entry.</summary>
/// <param name="Entry">The entry, as it was then.</param>
/// <param name="Token">Compact JWS. Secret.</param>
/// <param name="KeyId">The key that signed it.</param>
/// <param name="ReceivedAt">When it came.</param>
/// <param name="ExpiresAt">Until when it holds.</param>
internal sealed record HeldJwt(RegistrationEntry Entry, string Token, string KeyId, DateTimeOffset ReceivedAt, DateTimeOffset ExpiresAt)
{
    /// <summary>From half of its life on it is only handed out when there is no newer one.</summary>
    public DateTimeOffset RenewAt => ReceivedAt + ((ExpiresAt - ReceivedAt) / 2);

    /// <summary>Without the token.</summary>
    public override string ToString() => $"JWT-SVID of {Entry.SpiffeId} until {ExpiresAt:u}";
}

/// <summary>
/// Tokens by entry and audiences, so that a workload that asks for each request costs one signature in half a token's life. When the server can't be
/// asked, a token is handed out until it expires. Thread-safe.
/// </summary>
/// <param name="signAsync">Has the server sign a token.</param>
/// <param name="superseded">The IDs of keys whose tokens are to be replaced at once.</param>
/// <param name="time">The clock.</param>
/// <param name="log">Where it logs.</param>
internal sealed class JwtCache(Func<RegistrationEntry, IReadOnlyList<string>, CancellationToken, Task<HeldJwt>> signAsync, Func<IReadOnlySet<string>> superseded, TimeProvider time, ILogger<JwtCache> log)
{
    /// <summary>How many tokens are kept; the one that expires first makes room.</summary>
    public const int MaxTokens = 1000;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, HeldJwt> _tokens = new(StringComparer.Ordinal);

    /// <summary>How many tokens are kept now.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _tokens.Count;
            }
        }
    }

    /// <summary>A token of the entry for exactly these audiences.</summary>
    /// <exception cref="RpcException">UNAVAILABLE: there is none, and the server could not sign one.</exception>
    public async Task<HeldJwt> GetAsync(RegistrationEntry entry, IReadOnlyList<string> audiences, CancellationToken cancellationToken)
    {
        // Lengths tell apart what joining alone would confuse.
        var key = entry.Id + "\n" + string.Concat(audiences.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).Select(audience => $"{audience.Length}:{audience}"));
        var held = Find(key, entry);
        if (held is not null && time.GetUtcNow() < held.RenewAt && !superseded().Contains(held.KeyId))
        {
            return held;
        }

        try
        {
            var fresh = await signAsync(entry, audiences, cancellationToken).ConfigureAwait(false);
            Keep(key, fresh);
            return fresh;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            log.TokenNotSigned(entry.SpiffeId.Uri, e is RpcException rpc ? $"{rpc.StatusCode}: {rpc.Status.Detail}" : e.Message);
            return held is not null && time.GetUtcNow() < held.ExpiresAt
                ? held
                : throw new RpcException(new Status(StatusCode.Unavailable, "the server could not be asked for a token"));
        }
    }

    private HeldJwt? Find(string key, RegistrationEntry entry)
    {
        lock (_gate)
        {
            // A token of an entry that has changed since is no longer what the entry grants.
            return _tokens.TryGetValue(key, out var held) && held.Entry.Revision == entry.Revision && held.Entry.SpiffeId == entry.SpiffeId ? held : null;
        }
    }

    private void Keep(string key, HeldJwt fresh)
    {
        lock (_gate)
        {
            if (_tokens.Count >= MaxTokens && !_tokens.ContainsKey(key))
            {
                _tokens.Remove(_tokens.MinBy(pair => pair.Value.ExpiresAt).Key);
            }

            _tokens[key] = fresh;
        }
    }
}
