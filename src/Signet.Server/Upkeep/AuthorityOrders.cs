using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Hosting;

namespace Signet.Server.Upkeep;

/// <summary>What operators order of issuing authorities and JWT keys, ahead of the rule: done, told to everybody who must know, and logged with who ordered it.</summary>
internal sealed class AuthorityOrders(AuthorityRotation authorities, Acknowledgements acknowledgements, ChangeSignal bundleChanges, ILogger<AuthorityOrders> log)
{
    private const int NamesInRefusal = 3;

    public Task<AuthorityRecord> PrepareAsync(AuthorityTier tier, string by, CancellationToken cancellationToken) =>
        DoAsync("prepared", by, authorities.PrepareAsync(tier, cancellationToken));

    /// <exception cref="AuthorityException">It is not prepared, or it is a JWT key that somebody does not have yet.</exception>
    public Task<AuthorityRecord> ActivateAsync(AuthorityTier tier, string id, string by, CancellationToken cancellationToken)
    {
        // A token is believed by whoever has its key; an issuing authority comes along with what it signed.
        return tier is (AuthorityTier.Jwt or AuthorityTier.Wit) && acknowledgements.Behind() is { Count: > 0 } behind
            ? throw new AuthorityException(
                $"{behind.Count} agents may not have the key yet, and would refuse its tokens: {string.Join("; ", behind.Take(NamesInRefusal))}{(behind.Count > NamesInRefusal ? " …" : "")}")
            : DoAsync("activated", by, authorities.ActivateAsync(tier, id, cancellationToken));
    }

    /// <exception cref="AuthorityException">It is not old.</exception>
    public Task<AuthorityRecord> TaintAsync(AuthorityTier tier, string id, string by, CancellationToken cancellationToken) =>
        DoAsync("tainted", by, authorities.TaintAsync(tier, id, cancellationToken));

    /// <exception cref="AuthorityException">It is not tainted.</exception>
    public Task<AuthorityRecord> RevokeAsync(AuthorityTier tier, string id, string by, CancellationToken cancellationToken) =>
        DoAsync("revoked", by, authorities.RevokeAsync(tier, id, cancellationToken));

    private async Task<AuthorityRecord> DoAsync(string what, string by, Task<AuthorityRecord> order)
    {
        try
        {
            var record = await order.ConfigureAwait(false);
            log.AuthorityOrdered(record.Tier, record.Id, what, by);
            return record;
        }
        finally
        {
            // An order that failed half-way may have changed something before.
            acknowledgements.Published();
            bundleChanges.Raise();
        }
    }
}
