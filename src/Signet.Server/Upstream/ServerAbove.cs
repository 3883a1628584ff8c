using System.Net;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Client;
using Signet.Client.Tls;
using Signet.Hosting;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire.Spire.Server.Bundle;
using Signet.Rpc.Wire.Spire.Server.SVID;
using BundleApi = Signet.Rpc.Wire.Spire.Server.Bundle.Bundle;
using WireBundle = Signet.Rpc.Wire.Spire.Types.Bundle;

namespace Signet.Server.Upstream;

/// <summary>
/// Another server of the same trust domain, of this make or SPIRE, that signs this one's issuing authorities: asked under the SVID that an agent of it hands out
/// here. Its anchors are followed, so that its rotations go through here too. While it is away, the last issuing authority stays in force.
/// </summary>
internal sealed class ServerAbove(UpstreamConfig.Server config, AuthorityPlan plan, TimeProvider time, Func<double> chance, ILogger<ServerAbove> log) : IUpstream
{
    /// <summary>How often its bundle is looked at.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(5);

    /// <summary>How long the first SVID is waited for.</summary>
    private static readonly TimeSpan FirstSvid = TimeSpan.FromSeconds(10);

    private readonly Backoff _backoff = new(new BackoffRule(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1)), chance);
    private X509Source? _source;
    private DateTimeOffset _lookAt = DateTimeOffset.MinValue;
    private KeyManagerException? _failure;

    private string Name => $"the server at {config.Address.Host}:{config.Address.Port}";

    public async Task TurnAsync(AuthorityLedger ledger, InstallIssuer install, CancellationToken cancellationToken)
    {
        // A clock that was set back must not put the next look off for long.
        var left = _lookAt - time.GetUtcNow();
        if (left > TimeSpan.Zero && left <= TimeSpan.FromMinutes(1))
        {
            if (_failure is not null)
            {
                throw _failure;
            }

            return;
        }

        try
        {
            await LookAsync(ledger, install, cancellationToken).ConfigureAwait(false);
            _backoff.Reset();
            (_lookAt, _failure) = (time.GetUtcNow() + LookEvery, null);
        }
        catch (Exception e) when (e is KeyManagerException or RpcException && !cancellationToken.IsCancellationRequested)
        {
            _failure = e as KeyManagerException ?? new KeyManagerException($"{Name}: {((RpcException)e).Status.Detail}", e);
            _lookAt = time.GetUtcNow() + _backoff.Next();
            throw _failure;
        }
    }

    public ValueTask DisposeAsync() => _source?.DisposeAsync() ?? ValueTask.CompletedTask;

    private async Task LookAsync(AuthorityLedger ledger, InstallIssuer install, CancellationToken cancellationToken)
    {
        // 1. Who are we to it?
        var context = await IdentityAsync(cancellationToken).ConfigureAwait(false);
        var refusal = "";
        using var channel = GrpcChannel.ForTls(
            config.Address.Host, config.Address.Port, () => SvidTls.Client(new TlsCredential(context.Default), serverName: "", (presented, unreadable) => (refusal = Judge(presented, unreadable, context)) == ""), time);

        // 2. Whom does it tell others to trust, and with what of that does it sign?
        var wire = await AskAsync(options => new BundleApi.BundleClient(channel).GetBundleAsync(new GetBundleRequest(), options), () => refusal, cancellationToken).ConfigureAwait(false);
        var anchors = Read(wire.X509Authorities.Select(one => one.Asn1));
        var passing = anchors.Where((_, index) => wire.X509Authorities[index].Tainted).ToArray();
        bool IsCurrent(X509AuthorityRecord newest) => passing.Length == anchors.Count || !ledger.Anchors.Any(anchor => passing.Contains(anchor.Certificate) && newest.IsBelow(anchor));
        if (UpstreamNeed.Of(ledger, plan.Rule, anchors, IsCurrent, time.GetUtcNow()) is not { } need)
        {
            return;
        }

        // 3. It signs a new one.
        log.IssuerNeeded(need);
        var key = KeyPair.Generate(plan.KeyType);
        var request = new NewDownstreamX509CARequest { Csr = ByteString.CopyFrom(SigningRequest.Create(key, SpiffeId.Of(plan.TrustDomain))), PreferredTtl = (int)Math.Min(plan.IssuingTtl.TotalSeconds, int.MaxValue) };
        var signed = await AskAsync(options => new SVID.SVIDClient(channel).NewDownstreamX509CAAsync(request, options), () => refusal, cancellationToken).ConfigureAwait(false);
        if (!ExternalIssuer.TryCreate(plan.TrustDomain, Read(signed.CaCertChain), key, [.. Read(signed.X509Authorities).Union(anchors)], time.GetUtcNow(), out var issuer, out var problem))
        {
            throw new KeyManagerException($"{Name} signed an authority that does not hold: {problem}");
        }

        await install(issuer, cancellationToken).ConfigureAwait(false);
    }

    private async Task<X509Context> IdentityAsync(CancellationToken cancellationToken)
    {
        if (_source is null)
        {
            _source = new X509Source(config.Socket, time);
            using var patience = new CancellationTokenSource(FirstSvid, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
            await ((Task)_source.WaitAsync(either.Token)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
        }

        return _source.Current ?? throw new KeyManagerException($"there is no SVID from {config.Socket.Path} by which {Name} would know this one{(_source.Problem is { } why ? $": {why}" : "")}");
    }

    private string Judge(IReadOnlyList<Certificate> presented, string unreadable, X509Context context)
    {
        var verdict = SvidVerifier.Verify(presented, context.Bundles, CertificateUsage.Server, time.GetUtcNow());
        var expected = ReservedIds.Server(plan.TrustDomain);
        return unreadable.Length > 0 ? unreadable
            : !verdict.IsTrusted ? $"its certificate is refused: {verdict.Reason}"
            : verdict.Id != expected ? $"it presented {verdict.Id}, but {expected} was expected"
            : "";
    }

    private async Task<T> AskAsync<T>(Func<CallOptions, AsyncUnaryCall<T>> ask, Func<string> refusal, CancellationToken cancellationToken)
    {
        using var call = ask(new CallOptions(null, (time.GetUtcNow() + CallTimeout).UtcDateTime, cancellationToken));
        try
        {
            return await call.ResponseAsync.ConfigureAwait(false);
        }
        catch (RpcException) when (refusal().Length > 0)
        {
            throw new KeyManagerException($"{Name}: {refusal()}");
        }
    }

    private IReadOnlyList<Certificate> Read(IEnumerable<ByteString> chain) =>
        [.. chain.Take(X509Bundle.MaxAuthorities).Select(der => Certificate.TryParse(der.Memory, out var certificate, out var problem) ? certificate : throw new KeyManagerException($"{Name} sent a certificate that can't be read: {problem}"))];
}
