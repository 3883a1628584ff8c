using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Attestation;

namespace Signet.Server.Attestation;

/// <summary>
/// Admits whoever can make a nonce appear on port 80 of a host name that is allowed. Others on that host could too, so only the first counts
/// unless the operator says otherwise.
/// </summary>
internal sealed class HttpChallengeAttestor(TrustDomain trustDomain, HttpChallengeConfig config, ChallengeFetcher fetcher) : INodeAttestor, IDisposable
{
    private const int NonceBytes = 32;

    /// <summary>More nodes than this wait for their turn: each costs a connection to wherever it wishes.</summary>
    private const int MaxFetches = 32;

    /// <summary>What a node learns when its nonce was not found: not why, or it could have this server look around for it.</summary>
    private const string NotFound = "the nonce was not found where it should be; the server's log says why";

    private readonly SemaphoreSlim _fetches = new(MaxFetches, MaxFetches);

    public string Type => HttpChallengeWire.Type;

    public async Task<NodeVerdict> AttestAsync(NodeExchange node, CancellationToken cancellationToken)
    {
        // 1. May this server ask there at all?
        if (!HttpChallengeWire.TryRead(node.Payload, out var shown, out var problem))
        {
            return NodeVerdict.Malformed($"{Type} payload: {problem}");
        }

        var host = shown.HostName.ToLowerInvariant();
        if (!IsName(host))
        {
            return NodeVerdict.Malformed($"{Type} payload: \"{Printable.Of(host)}\" is not a host name");
        }

        if (config.Port is { } port && shown.Port != port)
        {
            return NodeVerdict.Refused($"port {shown.Port} is not the one that nodes must answer on, {port}");
        }

        if (!config.AllowedDnsPatterns.Any(pattern => pattern.IsMatch(host)))
        {
            return NodeVerdict.Refused($"no pattern of allowedDnsPatterns fits the host name \"{Printable.Of(host)}\"");
        }

        // 2. Is the node there?
        var nonce = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(NonceBytes));
        await node.ChallengeAsync(HttpChallengeWire.EncodeChallenge(nonce), cancellationToken).ConfigureAwait(false);
        await _fetches.WaitAsync(cancellationToken).ConfigureAwait(false);
        string? found;
        try
        {
            (found, problem) = await fetcher.FetchAsync(host, shown.Port, shown.Path, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _fetches.Release();
        }

        if (found is null || !CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(found), Encoding.UTF8.GetBytes(nonce)))
        {
            return NodeVerdict.Refused($"http://{host}:{shown.Port}{shown.Path}: {(found is null ? problem : "it answered something other than the nonce")}", NotFound);
        }

        // 3. Then that is its name.
        if (!SpiffeId.TryParse($"{trustDomain.IdString}/spire/agent/{Type}/{host}", out var id, out problem))
        {
            return NodeVerdict.Refused($"the host name gives no name for an agent: {problem}");
        }

        Selector[] selectors = [new(Type, $"hostname:{host}")];
        return NodeVerdict.Proven(config.Tofu ? new NodeProof.FirstUseOnly(id, [.. selectors]) : new NodeProof.Repeatable(id, [.. selectors]));
    }

    public void Dispose() => _fetches.Dispose();

    // Addresses, in whatever notation, are no names: a top-level domain has a letter (RFC 3696 §2).
    private static bool IsName(string host) =>
        DnsName.IsValid(host) && host[0] != '*' && !IPAddress.TryParse(host, out _) && host[(host.LastIndexOf('.') + 1)..].Any(char.IsAsciiLetter);
}
