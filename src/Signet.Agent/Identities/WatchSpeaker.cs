using Grpc.Core;
using Signet.Agent.WorkloadApi;
using Signet.Rpc.Wire.Node;

namespace Signet.Agent.Identities;

/// <summary>
/// The agent's half of the stream to its server: answers what the server pushed, and says how the node stands with each answer and again whenever that
/// changes. Owns the stream's writing end while it lives.
/// </summary>
internal sealed class WatchSpeaker : IAsyncDisposable
{
    /// <summary>How many clients that are behind are named.</summary>
    private const int MaxNames = 8;

    private readonly IClientStreamWriter<WatchRequest> _stream;
    private readonly Func<NodeStanding> _standing;
    private readonly ClientLedger _clients;
    private readonly IdentityCache _cache;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly CancellationTokenSource _stop;
    private readonly Task _speaking;
    private ulong _revision;
    private NodeStanding? _said;

    /// <summary>Begins to speak.</summary>
    /// <param name="stream">Nobody else writes to it.</param>
    /// <param name="identity">The agent's own SVID.</param>
    /// <param name="cache">What the agent serves.</param>
    /// <param name="clients">What its clients use.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public WatchSpeaker(IClientStreamWriter<WatchRequest> stream, AgentIdentity identity, IdentityCache cache, ClientLedger clients, CancellationToken cancellationToken)
    {
        (_stream, _cache, _clients) = (stream, cache, clients);
        _standing = () => clients.Standing(cache.Current, identity.Credential?.Svid);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _speaking = SpeakAsync(_stop.Token);
    }

    /// <summary>Answers the server.</summary>
    public Task AnswerAsync(WatchRequest answer, CancellationToken cancellationToken) => SayAsync(answer, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _speaking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
        _writing.Dispose();
    }

    private async Task SpeakAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var (served, used) = (_cache.Changes.Version, _clients.Changes.Version);
            await SayAsync(answer: null, cancellationToken).ConfigureAwait(false);
            using var woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(_cache.Changes.WaitAsync(served, woken.Token), _clients.Changes.WaitAsync(used, woken.Token)).ConfigureAwait(false);
            await woken.CancelAsync().ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    // Without an answer it says only what has changed since the last one.
    private async Task SayAsync(WatchRequest? answer, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var standing = _standing();
            if (answer is null && (_said is null || standing.Equals(_said)))
            {
                return;
            }

            var request = answer ?? new WatchRequest { AcknowledgedRevision = _revision };
            request.AppliedBundleSequence = standing.Sequence;
            request.LaggingClientCount = (uint)standing.Lagging.Length;
            request.LaggingClients.AddRange(standing.Lagging.Take(MaxNames));
            request.IssuersInUse.AddRange(standing.Issuers);
            await _stream.WriteAsync(request, cancellationToken).ConfigureAwait(false);
            (_revision, _said) = (request.AcknowledgedRevision, standing);
        }
        finally
        {
            _writing.Release();
        }
    }
}
