using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.X509;

namespace Signet.Agent.Identities;

/// <summary>A WIT-SVID that the server signed for an entry, and the key that it is bound to.</summary>
/// <param name="Entry">The entry, as it was then.</param>
/// <param name="Token">Compact JWS.</param>
/// <param name="KeyJson">The private key, a JWK. Secret.</param>
/// <param name="SigningKeyId">The key that signed the token.</param>
/// <param name="ReceivedAt">When it came.</param>
/// <param name="ExpiresAt">Until when it holds.</param>
internal sealed record HeldWit(RegistrationEntry Entry, string Token, string KeyJson, string SigningKeyId, DateTimeOffset ReceivedAt, DateTimeOffset ExpiresAt)
{
    /// <summary>From half of its life on there is to be a newer one.</summary>
    public DateTimeOffset RenewAt => ReceivedAt + ((ExpiresAt - ReceivedAt) / 2);

    /// <summary>Puts token and key together when they fit the entry. The signature is the server's, whom the agent believes, and is not looked at.</summary>
    public static bool TryRead(RegistrationEntry entry, ECDsa key, string token, DateTimeOffset now, [NotNullWhen(true)] out HeldWit? held, out string problem)
    {
        held = null;
        if (!CompactJws.TryParse(token, out var jws, out problem))
        {
            return false;
        }

        using (jws)
        {
            var info = KeyPair.ExportPublicKey(key);
            if (jws.ClaimText("sub") != entry.SpiffeId.Uri || !jws.TryClaimTime("exp", out var expires) || expires is null || jws.HeaderText("kid") is not { Length: > 0 } keyId)
            {
                problem = "it is not for the identity that was asked for, or has no expiry or kid";
                return false;
            }

            held = new HeldWit(entry, token, WitSvid.PrivateKeyJson(key, JwtAuthority.KeyIdOf(info)), keyId, now, expires.Value);
            return true;
        }
    }

    /// <summary>Without token and key.</summary>
    public override string ToString() => $"WIT-SVID of {Entry.SpiffeId} until {ExpiresAt:u}";
}

/// <summary>
/// WIT-SVIDs by entry, signed when a workload first asks and again at half of their life while somebody listens. When the server can't be asked, one is
/// handed out until it expires. Thread-safe.
/// </summary>
/// <param name="signAsync">Has the server sign tokens.</param>
/// <param name="superseded">The IDs of keys whose tokens are to be replaced at once.</param>
/// <param name="time">The clock.</param>
/// <param name="log">Where it logs.</param>
internal sealed class WitCache(Func<IReadOnlyList<RegistrationEntry>, CancellationToken, Task<IReadOnlyList<HeldWit>>> signAsync, Func<IReadOnlySet<string>> superseded, TimeProvider time, ILogger<WitCache> log) : IDisposable
{
    /// <summary>How many are kept; the one that expires first makes room.</summary>
    public const int MaxTokens = 1000;

    /// <summary>How long it takes until the server is asked again that did not sign.</summary>
    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, HeldWit> _tokens = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _signing = new(1, 1);
    private DateTimeOffset _askAgainAt;
    private string _problem = "";

    /// <summary>What of these entries can be handed out now, in their order, and when to look again.</summary>
    /// <exception cref="RpcException">UNAVAILABLE: there is none, and the server could not sign one.</exception>
    public async Task<(IReadOnlyList<HeldWit> Svids, DateTimeOffset LookAgainAt)> GetAsync(IReadOnlyList<RegistrationEntry> entries, CancellationToken cancellationToken)
    {
        if (entries.Any(IsDue))
        {
            await SignAsync(entries, cancellationToken).ConfigureAwait(false);
        }

        var now = time.GetUtcNow();
        var held = entries.Select(Find).OfType<HeldWit>().Where(one => now < one.ExpiresAt).ToArray();
        return held.Length > 0 ? (held, entries.Any(IsDue) ? now + AfterFailure : held.Min(one => one.RenewAt))
            : throw new RpcException(new Status(StatusCode.Unavailable, _problem.Length > 0 ? "the server could not be asked for a WIT-SVID" : "the server signs no WIT-SVID for these entries"));
    }

    public void Dispose() => _signing.Dispose();

    // One at a time: many streams wake at the same moment, and the first has it signed for all. A server that did not answer is not asked again at once.
    private async Task SignAsync(IReadOnlyList<RegistrationEntry> entries, CancellationToken cancellationToken)
    {
        await _signing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var due = entries.Where(IsDue).ToArray();
            if (due.Length > 0 && time.GetUtcNow() >= _askAgainAt)
            {
                Keep(await signAsync(due, cancellationToken).ConfigureAwait(false));
                _problem = "";
            }
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            (_askAgainAt, _problem) = (time.GetUtcNow() + AfterFailure, e is RpcException rpc ? $"{rpc.StatusCode}: {rpc.Status.Detail}" : e.Message);
            log.WitsNotSigned(entries.Count, _problem);
        }
        finally
        {
            _signing.Release();
        }
    }

    private bool IsDue(RegistrationEntry entry) => Find(entry) is not { } held || time.GetUtcNow() >= held.RenewAt || superseded().Contains(held.SigningKeyId);

    private HeldWit? Find(RegistrationEntry entry)
    {
        lock (_gate)
        {
            // A token of an entry that has changed since is no longer what the entry grants.
            return _tokens.TryGetValue(entry.Id, out var held) && held.Entry.Revision == entry.Revision && held.Entry.SpiffeId == entry.SpiffeId ? held : null;
        }
    }

    private void Keep(IReadOnlyList<HeldWit> fresh)
    {
        lock (_gate)
        {
            foreach (var one in fresh)
            {
                if (_tokens.Count >= MaxTokens && !_tokens.ContainsKey(one.Entry.Id))
                {
                    _tokens.Remove(_tokens.MinBy(pair => pair.Value.ExpiresAt).Key);
                }

                _tokens[one.Entry.Id] = one;
            }
        }
    }
}
