using Signet.Policy;
using Signet.Proxy.Tls;

namespace Signet.Proxy.Authorization;

/// <summary>
/// Asks external authorisers: within their time, not more at once than the limit, and over connections of the current identity and policies
/// only. Thread-safe; dispose once nobody asks any more.
/// </summary>
internal sealed class Authorisers(ProxyCore core) : IDisposable
{
    /// <summary>No connection outlives the certificate that the authoriser showed by more than this.</summary>
    private static readonly TimeSpan MaxAge = TimeSpan.FromMinutes(5);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Client> _clients = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _turns = new(core.Config.Limits.Checks);

    /// <summary>Asks; the answer says whatever went wrong.</summary>
    /// <exception cref="OperationCanceledException">The caller no longer wants the answer.</exception>
    public async Task<CheckAnswer> AskAsync(ExtensionProvider provider, CheckSubject subject, CancellationToken cancellationToken)
    {
        var answer = await AnswerAsync(provider, subject, cancellationToken).ConfigureAwait(false);
        core.Metrics.Checked(provider.Name, answer.Result);
        return answer;
    }

    public void Dispose()
    {
        lock (_gate)
        {
            foreach (var client in _clients.Values)
            {
                client.Authoriser.Dispose();
            }

            _clients.Clear();
        }

        _turns.Dispose();
    }

    private async Task<CheckAnswer> AnswerAsync(ExtensionProvider provider, CheckSubject subject, CancellationToken cancellationToken)
    {
        if (provider.Authoriser is not { } settings)
        {
            return new CheckAnswer(CheckResult.Unsafe, "the mesh settings don't say where it is; add envoyExtAuthzGrpc or envoyExtAuthzHttp");
        }

        using var late = new CancellationTokenSource(settings.Timeout, core.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            await _turns.WaitAsync(either.Token).ConfigureAwait(false);
            try
            {
                return await AskInTurnAsync(provider.Name, settings, subject, either.Token).ConfigureAwait(false);
            }
            finally
            {
                _turns.Release();
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new CheckAnswer(CheckResult.TimedOut, $"nothing within {settings.Timeout.TotalSeconds:0.###} s");
        }
    }

    private async Task<CheckAnswer> AskInTurnAsync(string name, ExternalAuthoriser settings, CheckSubject subject, CancellationToken cancellationToken)
    {
        if (Take(name, settings, out var problem) is not { } client)
        {
            return new CheckAnswer(CheckResult.Unsafe, problem);
        }

        try
        {
            return await client.Authoriser.CheckAsync(subject, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Leave(client);
        }
    }

    private Client? Take(string name, ExternalAuthoriser settings, out string problem)
    {
        lock (_gate)
        {
            problem = "";
            var (model, identity) = (core.Model!, core.Identity.Current);
            if (_clients.TryGetValue(name, out var known))
            {
                if (ReferenceEquals(known.Settings, settings) && ReferenceEquals(known.Model, model) && ReferenceEquals(known.Identity, identity) && core.Time.GetElapsedTime(known.Born) < MaxAge)
                {
                    known.Users++;
                    return known;
                }

                _clients.Remove(name);
                known.IsRetired = true;
                CloseIfUnused_NeedsLock(known);
            }

            if (AuthoriserRoute.Find(settings, core, model, out problem) is not { } connect)
            {
                return null;
            }

            IAuthoriser authoriser = settings.Protocol == AuthoriserProtocol.Grpc ? new GrpcAuthoriser(settings, connect, core.Time) : new HttpAuthoriser(settings, connect);
            return _clients[name] = new Client(authoriser, settings, model, identity, core.Time.GetTimestamp()) { Users = 1 };
        }
    }

    private void Leave(Client client)
    {
        lock (_gate)
        {
            client.Users--;
            CloseIfUnused_NeedsLock(client);
        }
    }

    private static void CloseIfUnused_NeedsLock(Client client)
    {
        if (client is { IsRetired: true, Users: 0 })
        {
            client.Authoriser.Dispose();
        }
    }

    private sealed class Client(IAuthoriser authoriser, ExternalAuthoriser settings, ProxyModel model, OwnIdentity? identity, long born)
    {
        public IAuthoriser Authoriser => authoriser;

        public ExternalAuthoriser Settings => settings;

        public ProxyModel Model => model;

        public OwnIdentity? Identity => identity;

        public long Born => born;

        public int Users { get; set; }

        public bool IsRetired { get; set; }
    }
}
