using System.Collections.Immutable;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Hosting.Files;
using Signet.Identity.X509;

namespace Signet.Server.Upstream;

/// <summary>
/// An authority in files that signs the server's issuing authorities, each made here and replaced by the rule. Other files take over at once; files that do not
/// hold leave the last good issuing authority in force.
/// </summary>
internal sealed class SignerFiles(UpstreamConfig.Signer config, AuthorityPlan plan, TimeProvider time, ILogger<SignerFiles> log) : IUpstream
{
    private FileSetWatch? _watch;
    private Contents? _contents;

    public async Task TurnAsync(AuthorityLedger ledger, InstallIssuer install, CancellationToken cancellationToken)
    {
        _watch ??= FileSetWatch.Start(Files(), _ => { }, time, log);
        var now = time.GetUtcNow();
        var signer = _contents = _contents?.Files == _watch.Current ? _contents : Read(_watch.Current);
        if (UpstreamNeed.Of(ledger, plan.Rule, signer.Anchors, newest => UpstreamNeed.IsSignedBy(newest, signer.Chain[0]), now) is not { } need)
        {
            return;
        }

        // Its key is in memory for as long as it takes to sign.
        using var key = ReadKey(signer.Files);
        log.IssuerNeeded(need);
        if (!ExternalIssuer.TryMake(plan, signer.Chain, key, signer.Anchors, now, out var issuer, out var problem))
        {
            throw new KeyManagerException($"{config.Certificate}: {problem}");
        }

        await install(issuer, cancellationToken).ConfigureAwait(false);
    }

    public ValueTask DisposeAsync() => _watch?.DisposeAsync() ?? ValueTask.CompletedTask;

    private FileSet Files() => FileSet.Of([config.Certificate, config.Key, .. config.Bundle is { } bundle ? [bundle] : Array.Empty<string>()]);

    private static Contents Read(ImmutableArray<WatchedFile> files)
    {
        IReadOnlyList<Certificate>? anchors = null;
        if (!IssuerFiles.TryReadCertificates(files[0], out var chain, out var problem) || (files.Length > 2 && !IssuerFiles.TryReadCertificates(files[2], out anchors, out problem)))
        {
            throw new KeyManagerException(problem);
        }

        ReadKey(files).Dispose();
        return new Contents(files, chain, anchors ?? [chain[^1]]);
    }

    private static AsymmetricAlgorithm ReadKey(ImmutableArray<WatchedFile> files) =>
        IssuerFiles.TryReadKey(files[1], out var key, out var problem) ? key : throw new KeyManagerException(problem);

    /// <summary>What the files hold, without the key.</summary>
    private sealed record Contents(ImmutableArray<WatchedFile> Files, IReadOnlyList<Certificate> Chain, IReadOnlyList<Certificate> Anchors);
}
