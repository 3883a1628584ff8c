using System.Globalization;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Hosting;
using Signet.Identity.Spiffe;

namespace Signet.Server.ControlPlane.Mcp;

/// <summary>What a sink says, in any of the protocols.</summary>
/// <param name="Collection">As the sink writes it.</param>
/// <param name="Nonce">What it answers to; empty for a subscription.</param>
/// <param name="Error">Why it refuses; null when it does not.</param>
/// <param name="IsIncremental">Whether it takes differences.</param>
/// <param name="Held">What it holds from before: versions by name.</param>
internal sealed record McpRequest(string Collection, string Nonce, string? Error, bool IsIncremental, IReadOnlyDictionary<string, string> Held);

/// <summary>One stream of a sink: its subscriptions, each by itself. Hears and speaks at once; a sink that does not read holds nobody else back.</summary>
/// <param name="feed">What there is.</param>
/// <param name="sink">What to call the sink.</param>
/// <param name="log">Where it logs.</param>
internal sealed class McpStream(McpFeed feed, string sink, ILogger log)
{
    /// <summary>Istio has fewer kinds; what goes beyond is refused.</summary>
    public const int MaxCollections = 64;

    private const int MaxName = 256;
    private const int MaxHeld = 200_000;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, McpSubscription> _subscriptions = new(StringComparer.Ordinal);
    private readonly ChangeSignal _heard = new();

    /// <summary>Goes on until the sink closes its half or the token fires.</summary>
    /// <param name="read">The next request; null at the end.</param>
    /// <param name="write">Sends a message: the collection as the sink writes it, the version of everything, the message.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="RpcException">The sink breaks a limit, or there is nothing to serve.</exception>
    public async Task RunAsync(Func<CancellationToken, Task<McpRequest?>> read, Func<string, string, McpMessage, CancellationToken, Task> write, CancellationToken cancellationToken)
    {
        if (!feed.IsConfigured)
        {
            throw new RpcException(new Status(StatusCode.FailedPrecondition, "the server distributes nothing; set policy: {folder: DIR} in its configuration"));
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        feed.SinkCame();
        var (hearing, speaking) = (HearAsync(read, stop.Token), SpeakAsync(write, stop.Token));
        try
        {
            // Whichever ends first ends the stream, and says why.
            await (await Task.WhenAny(hearing, speaking).ConfigureAwait(false)).ConfigureAwait(false);
        }
        finally
        {
            feed.SinkLeft();
            await stop.CancelAsync().ConfigureAwait(false);
            await hearing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await speaking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task HearAsync(Func<CancellationToken, Task<McpRequest?>> read, CancellationToken cancellationToken)
    {
        while (await read(cancellationToken).ConfigureAwait(false) is { } request)
        {
            if (request.Collection.Length is 0 or > MaxName || request.Held.Count > MaxHeld)
            {
                throw new RpcException(new Status(StatusCode.InvalidArgument, $"a collection of 1 to {MaxName} characters and at most {MaxHeld} versions were expected"));
            }

            lock (_gate)
            {
                Take_NeedsLock(request);
            }

            _heard.Raise();
        }
    }

    private void Take_NeedsLock(McpRequest request)
    {
        if (_subscriptions.TryGetValue(request.Collection, out var known) && request.Nonce.Length > 0)
        {
            if (known.Answer(request.Nonce, request.Error) && request.Error is { } error)
            {
                feed.CountRefusal();
                log.McpRefused(sink, Printable.Of(request.Collection), Printable.Of(error));
            }

            return;
        }

        if (known is null && _subscriptions.Count >= MaxCollections)
        {
            throw new RpcException(new Status(StatusCode.ResourceExhausted, $"more than {MaxCollections} collections on one stream"));
        }

        if (known is null && McpCatalog.Find(request.Collection) is null)
        {
            log.McpUnknownCollection(sink, Printable.Of(request.Collection));
        }

        // A nonce of a stream before this one is a subscription too.
        _subscriptions[request.Collection] = new McpSubscription(request.IsIncremental, request.Held);
    }

    private async Task SpeakAsync(Func<string, string, McpMessage, CancellationToken, Task> write, CancellationToken cancellationToken)
    {
        long nonce = 0;
        while (true)
        {
            // Versions are read before what they guard.
            var (changed, heard) = (feed.Changes.Version, _heard.Version);
            if (feed.Current is { } image)
            {
                foreach (var (collection, subscription) in Subscriptions())
                {
                    // What is not served is empty: a sink may wait for an answer to each of its subscriptions.
                    var resources = McpCatalog.Find(collection) is { } known ? image.Collections[known.Name] : McpResources.None;
                    McpMessage? message;
                    string problem;
                    lock (_gate)
                    {
                        message = subscription.Next(resources, (++nonce).ToString(CultureInfo.InvariantCulture), out problem);
                    }

                    if (problem.Length > 0)
                    {
                        throw new RpcException(new Status(StatusCode.ResourceExhausted, $"{collection}: {problem}"));
                    }

                    if (message is not null)
                    {
                        await write(collection, image.Version, message, cancellationToken).ConfigureAwait(false);
                    }
                }
            }

            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(feed.Changes.WaitAsync(changed, either.Token), _heard.WaitAsync(heard, either.Token)).ConfigureAwait(false);
            await either.CancelAsync().ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private KeyValuePair<string, McpSubscription>[] Subscriptions()
    {
        lock (_gate)
        {
            return [.. _subscriptions];
        }
    }
}
