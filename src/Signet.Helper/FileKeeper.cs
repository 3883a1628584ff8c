using System.Text;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Client;
using Signet.Hosting;
using Signet.Hosting.Admin;
using Signet.Hosting.Files;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Helper;

/// <summary>
/// Keeps the files as the agent says: writes all of them whenever one changes, then tells others. Nothing is written before everything of the own trust domain has
/// come; afterwards what can't be renewed stays as it was written. A foreign trust domain's bundle that goes takes its file along. One loop.
/// </summary>
internal sealed class FileKeeper(
    HelperConfig config, X509Source identity, JwtSource tokens, JwtBundleSource keys, ReadinessBoard readiness, TimeProvider time, ILogger log)
{
    public const string ReadinessName = "files";

    /// <summary>How long after a failure everything is tried again.</summary>
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    /// <summary>Tokens and keys are looked for this often; certificates count at once.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan ShortestWait = TimeSpan.FromSeconds(1);

    private readonly ChangeSignal _changed = new();
    private readonly PublishedFolder _folder = new(config.Folder, config.Owner);
    private readonly HookRunner? _hook = config.OnChange is { } hook ? new HookRunner(hook, time, log) : null;
    private readonly FetchedJwt?[] _tokens = new FetchedJwt?[config.Jwt.Count];
    private IReadOnlyList<PublishedFile> _written = [];
    private bool _mustTell;
    private string? _lastProblem;

    /// <summary>Until the token fires.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var subscription = identity.OnChange(_changed.Raise);
        while (!cancellationToken.IsCancellationRequested)
        {
            var seen = _changed.Version;
            var problem = await StepAsync(cancellationToken).ConfigureAwait(false);
            Report(problem);
            await WaitAsync(seen, problem is null ? NextLook() : RetryAfter, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Until the files are written and others were told.</summary>
    /// <exception cref="TimeoutException">It took too long; the message says what was missing.</exception>
    public async Task RunOnceAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        using var subscription = identity.OnChange(_changed.Raise);
        var end = time.GetUtcNow() + patience;
        while (true)
        {
            var seen = _changed.Version;
            if (await StepAsync(cancellationToken).ConfigureAwait(false) is not { } problem)
            {
                return;
            }

            if (time.GetUtcNow() >= end)
            {
                throw new TimeoutException(problem);
            }

            await WaitAsync(seen, ShortestWait, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <returns>What can't be done now; null when everything is as it should be.</returns>
    private async Task<string?> StepAsync(CancellationToken cancellationToken)
    {
        if (identity.Current is not { } current)
        {
            return identity.Problem ?? "there is no identity";
        }

        // 1. What should lie there.
        var problem = await RenewTokensAsync(current.Default.Id, cancellationToken).ConfigureAwait(false);
        if (_tokens.Contains(null))
        {
            return problem;
        }

        if (!TryCompose(current, out var files, out var missing))
        {
            return missing;
        }

        problem ??= missing.Length > 0 ? missing : null;

        // 2. Write it, all together.
        if (!IsWritten(files))
        {
            try
            {
                _folder.Replace(files);
            }
            catch (PlaceException e)
            {
                return e.Message;
            }

            (_written, _mustTell) = (files, true);
            log.FilesWritten(files.Count, config.Folder, current.Default.Id.Uri, current.Default.NotAfter);
        }

        // 3. Tell of it, until somebody has heard.
        if (_mustTell && _hook is not null)
        {
            if (await _hook.RunAsync(cancellationToken).ConfigureAwait(false) is { } unheard)
            {
                log.HookFailed(unheard);
                return unheard;
            }
        }

        _mustTell = false;
        return current.Default.Validity.HasExpired(time.GetUtcNow()) ? $"the certificate expired at {current.Default.NotAfter:u}: {identity.Problem}" : problem ?? identity.Problem;
    }

    private async Task<string?> RenewTokensAsync(SpiffeId id, CancellationToken cancellationToken)
    {
        string? problem = null;
        for (var i = 0; i < _tokens.Length; i++)
        {
            try
            {
                _tokens[i] = await tokens.GetAsync(config.Jwt[i].Audience, id, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (e is RpcException or WorkloadApiException)
            {
                problem = $"no token for {string.Join(", ", config.Jwt[i].Audience)}: {(e is RpcException rpc ? rpc.Status.Detail : e.Message)}";
            }
        }

        return problem;
    }

    /// <returns>False when something has never come; what has come once and can't be renewed stays as it was written.</returns>
    private bool TryCompose(X509Context current, out List<PublishedFile> files, out string problem)
    {
        (files, problem) = ([], "");
        var svid = current.Default;
        var own = svid.Id.TrustDomain;
        if (config.X509 is { } x509)
        {
            files.Add(File(x509.Certificate, Pem.Encode(svid.Chain)));
            files.Add(File(x509.Key, Pem.EncodePrivateKey(svid.Key)));
            // Every SVID comes with the bundle of its trust domain.
            files.Add(File(x509.Bundle, current.Bundles.Find(own)!.ToPem()));
        }

        for (var i = 0; i < _tokens.Length; i++)
        {
            files.Add(File(config.Jwt[i].File, _tokens[i]!.Token));
        }

        foreach (var output in config.Bundles)
        {
            var trustDomain = output.TrustDomain ?? own;
            foreach (var (file, text) in new[] { (output.Pem, current.Bundles.Find(trustDomain)?.ToPem()), (output.Jwks, keys.Find(trustDomain)?.ToJson()) })
            {
                if (file is null)
                {
                    continue;
                }

                if (text is null)
                {
                    problem = $"the agent gives no {(file == output.Pem ? "X.509" : "JWT")} bundle of {trustDomain} for {file.Name}";
                    if (trustDomain == own && _written.FirstOrDefault(written => written.Name == file.Name) is { } last)
                    {
                        files.Add(last);
                    }
                    else if (trustDomain == own)
                    {
                        return false;
                    }
                }
                else
                {
                    files.Add(File(file, text));
                }
            }
        }

        return true;
    }

    private static PublishedFile File(OutputFile file, string text) => new(file.Name, Encoding.UTF8.GetBytes(text), file.Mode);

    private bool IsWritten(List<PublishedFile> files) =>
        files.Count == _written.Count && files.Zip(_written).All(pair => pair.First.Name == pair.Second.Name && pair.First.Content.Span.SequenceEqual(pair.Second.Content.Span));

    private void Report(string? problem)
    {
        readiness.Set(ReadinessName, problem is null ? Readiness.Ready : Readiness.NotReady(problem));
        if (problem is not null && problem != _lastProblem)
        {
            log.NotRenewed(config.Folder, problem);
        }
        else if (problem is null && _lastProblem is not null)
        {
            log.RenewedAgain(config.Folder);
        }

        _lastProblem = problem;
    }

    /// <summary>Often enough that a token is renewed well before it expires.</summary>
    private TimeSpan NextLook()
    {
        var shortest = _tokens.Min(token => token?.ExpiresAt - time.GetUtcNow()) / 4;
        return shortest is null || shortest > LookEvery ? LookEvery : shortest > ShortestWait ? shortest.Value : ShortestWait;
    }

    private async Task WaitAsync(long seen, TimeSpan atMost, CancellationToken cancellationToken)
    {
        using var done = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(_changed.WaitAsync(seen, done.Token), Task.Delay(atMost, time, done.Token)).ConfigureAwait(false);
        await done.CancelAsync().ConfigureAwait(false);
    }
}
