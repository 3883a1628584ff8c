using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.WorkloadApi;
using Signet.Hosting.Files;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;

namespace Signet.Agent.Attestation.Workload.Token;

/// <summary>
/// Takes the token out of what a proxy says of itself (Envoy's <c>Node.metadata</c>) and adds what it proves to what the calling process is. A token that
/// is not believed is never the same as none: the request is refused. Verdicts are remembered until the token expires or the keys change. Thread-safe;
/// whoever starts it disposes it.
/// </summary>
internal sealed class WorkloadTokens : IAsyncDisposable
{
    /// <summary>How many good tokens are remembered; further ones are judged at each request.</summary>
    public const int MaxRemembered = 1024;

    private readonly WorkloadTokenConfig _config;
    private readonly Func<IReadOnlyList<string>> _audiences;
    private readonly TimeProvider _time;
    private readonly ILogger<WorkloadTokens> _log;
    private readonly FileSetWatch? _watch;
    private Keys _keys;

    private WorkloadTokens(WorkloadTokenConfig config, Func<IReadOnlyList<string>> audiences, Keys first, TimeProvider time, ILogger<WorkloadTokens> log)
    {
        (_config, _audiences, _keys, _time, _log) = (config, audiences, first, time, log);
        if (config.Issuers.Count > 0)
        {
            _watch = FileSetWatch.Start(FilesOf(config), Take, time, log);
            Take(_watch.Current);
        }
    }

    /// <param name="config">Which tokens count.</param>
    /// <param name="audiences">For whom they are made, at this moment.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">Where refusals go.</param>
    /// <exception cref="PlaceException">A file of keys cannot be read or understood.</exception>
    public static WorkloadTokens Start(WorkloadTokenConfig config, Func<IReadOnlyList<string>> audiences, TimeProvider time, ILogger<WorkloadTokens> log)
    {
        if (config.Issuers.Count == 0)
        {
            return new WorkloadTokens(config, audiences, new Keys(new Dictionary<string, JsonWebKeys>()), time, log);
        }

        return Keys.TryRead(config, FilesOf(config).Read(), out var keys, out var path, out var problem)
            ? new WorkloadTokens(config, audiences, keys, time, log)
            : throw new PlaceException("file", path, $"holds no keys that can be used: {problem}");
    }

    /// <summary>Whether anybody is configured who issues them.</summary>
    public bool AreUsed => _config.Issuers.Count > 0;

    /// <summary>The caller, with what its token proves.</summary>
    /// <param name="subject">The caller as its process alone shows it.</param>
    /// <param name="metadata">What the caller says of itself, <c>DiscoveryRequest.node.metadata</c>; null when it says nothing.</param>
    /// <returns>The same subject when there is no token, or when nobody is configured who issues them.</returns>
    /// <exception cref="RpcException">PERMISSION_DENIED: the token is refused; the detail says why.</exception>
    public WorkloadSubject Join(WorkloadSubject subject, Struct? metadata)
    {
        var verdict = Judge(metadata);
        if (verdict.IsRefused)
        {
            _log.WorkloadTokenRefused(subject.Pid, verdict.Reason);
            throw new RpcException(new Status(StatusCode.PermissionDenied, $"the workload token is refused: {verdict.Reason}"));
        }

        return verdict.Selectors.IsEmpty ? subject : subject.With(verdict.Selectors, verdict.ExpiresAt);
    }

    /// <summary>What the metadata proves.</summary>
    public TokenVerdict Judge(Struct? metadata)
    {
        if (!AreUsed || metadata is null)
        {
            return TokenVerdict.None;
        }

        if (!metadata.Fields.TryGetValue(_config.Field, out var field))
        {
            return Bare(metadata) is { } claim ? TokenVerdict.Refused($"the metadata says {claim}, but brings no \"{Printable.Of(_config.Field)}\" that proves it") : TokenVerdict.None;
        }

        if (field.KindCase != Value.KindOneofCase.StringValue)
        {
            return TokenVerdict.Refused($"the metadata field \"{Printable.Of(_config.Field)}\" is not a text");
        }

        var verdict = Remembered(field.StringValue);
        return verdict.IsRefused || Contradiction(metadata, verdict) is not { } contradicted
            ? verdict
            : TokenVerdict.Refused($"the metadata says another {contradicted} than the token");
    }

    public ValueTask DisposeAsync() => _watch?.DisposeAsync() ?? ValueTask.CompletedTask;

    private TokenVerdict Remembered(string token)
    {
        if (token.Length > CompactJws.MaxLength)
        {
            return TokenVerdict.Refused($"the token is longer than {CompactJws.MaxLength} characters");
        }

        var (keys, now) = (Volatile.Read(ref _keys), _time.GetUtcNow());
        var digest = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(token)));
        if (keys.Recall(digest, now) is { } known)
        {
            return known;
        }

        var verdict = TokenJudge.Judge(token, _config.Issuers, keys.Of, _audiences(), _config.MaxLifetime, now);
        if (!verdict.IsRefused)
        {
            keys.Remember(digest, verdict, now);
        }

        return verdict;
    }

    /// <summary>A claim that stands in the metadata itself, where anybody can write it; null when none does.</summary>
    private string? Bare(Struct metadata) => ClaimNames().FirstOrDefault(metadata.Fields.ContainsKey);

    private string? Contradiction(Struct metadata, TokenVerdict verdict) => ClaimNames().FirstOrDefault(claim =>
        metadata.Fields.TryGetValue(claim, out var said) && !verdict.Selectors.Any(selector => selector.Value == $"{claim}:{said.StringValue}"));

    private IEnumerable<string> ClaimNames() => _config.Issuers.SelectMany(issuer => issuer.Claims.Keys);

    private static FileSet FilesOf(WorkloadTokenConfig config) => FileSet.Of([.. config.Issuers.Select(issuer => issuer.Keys)]);

    private void Take(ImmutableArray<WatchedFile> files)
    {
        if (Keys.TryRead(_config, files, out var keys, out var path, out var problem))
        {
            Volatile.Write(ref _keys, keys);
        }
        else
        {
            _log.WorkloadTokenKeysRefused(path, problem);
        }
    }

    /// <summary>The issuers' keys as they were read once, and the verdicts that rest on them. Thread-safe.</summary>
    private sealed class Keys(IReadOnlyDictionary<string, JsonWebKeys> byIssuer)
    {
        private readonly ConcurrentDictionary<string, TokenVerdict> _good = new(StringComparer.Ordinal);

        public JsonWebKeys Of(WorkloadTokenIssuer issuer) => byIssuer[issuer.Issuer];

        public static bool TryRead(WorkloadTokenConfig config, ImmutableArray<WatchedFile> files, [NotNullWhen(true)] out Keys? keys, out string path, out string problem)
        {
            (keys, path, problem) = (null, "", "");
            var read = new Dictionary<string, JsonWebKeys>(StringComparer.Ordinal);
            foreach (var (issuer, file) in config.Issuers.Zip(files))
            {
                if (!JsonWebKeys.TryParse(file.Text, out var set, out problem) || set.Count == 0)
                {
                    (path, problem) = (file.Path, problem.Length > 0 ? problem : "there is none in it");
                    return false;
                }

                read[issuer.Issuer] = set;
            }

            keys = new Keys(read);
            return true;
        }

        public TokenVerdict? Recall(string digest, DateTimeOffset now) => _good.TryGetValue(digest, out var known) && now < known.ExpiresAt ? known : null;

        public void Remember(string digest, TokenVerdict verdict, DateTimeOffset now)
        {
            if (_good.Count >= MaxRemembered)
            {
                foreach (var (other, _) in _good.Where(pair => pair.Value.ExpiresAt <= now))
                {
                    _good.TryRemove(other, out _);
                }
            }

            if (_good.Count < MaxRemembered)
            {
                _good[digest] = verdict;
            }
        }
    }
}
