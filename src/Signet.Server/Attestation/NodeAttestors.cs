using System.Collections.Immutable;
using System.Net;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Files;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Server.Attestation;

/// <summary>The attestors of a server, and the files that they follow. Whoever starts it disposes it.</summary>
internal sealed class NodeAttestors : IAsyncDisposable
{
    private readonly List<INodeAttestor> _all;
    private readonly List<IAsyncDisposable> _watches = [];
    private readonly List<IDisposable> _clients = [];

    private NodeAttestors(JoinTokens tokens) => _all = [new JoinTokenAttestor(tokens)];

    public IReadOnlyList<INodeAttestor> All => _all;

    /// <exception cref="PlaceException">A file that an attestor needs cannot be read or understood.</exception>
    public static NodeAttestors Start(AttestationConfig config, TrustDomain trustDomain, JoinTokens tokens, TimeProvider time, ILoggerFactory logs)
    {
        var attestors = new NodeAttestors(tokens);
        if (config.X509Pop is { } x509Pop)
        {
            var authorities = FollowedAuthorities.Start(x509Pop.CaBundles, time, logs.CreateLogger<NodeAttestors>());
            attestors._watches.Add(authorities);
            attestors._all.Add(new X509PopAttestor(trustDomain, x509Pop, () => authorities.Current, time));
        }

        if (config.SshPop is { } sshPop)
        {
            var authorities = FollowedSshAuthorities.Start(sshPop, time, logs.CreateLogger<NodeAttestors>());
            attestors._watches.Add(authorities);
            attestors._all.Add(new SshPopAttestor(trustDomain, sshPop, () => authorities.Current, time));
        }

        if (config.TpmDevId is { } tpmDevId)
        {
            var devices = FollowedAuthorities.Start(tpmDevId.DevIdCaBundles, time, logs.CreateLogger<NodeAttestors>());
            attestors._watches.Add(devices);
            var makers = FollowedAuthorities.Start(tpmDevId.EndorsementCaBundles, time, logs.CreateLogger<NodeAttestors>());
            attestors._watches.Add(makers);
            attestors._all.Add(new TpmDevIdAttestor(trustDomain, () => devices.Current, () => makers.Current, time));
        }

        if (config.HttpChallenge is { } httpChallenge)
        {
            var fetcher = new ChallengeFetcher(httpChallenge.AllowedNetworks, Dns.GetHostAddressesAsync, time);
            var attestor = new HttpChallengeAttestor(trustDomain, httpChallenge, fetcher);
            attestors._clients.AddRange([fetcher, attestor]);
            attestors._all.Add(attestor);
        }

        if (config.K8sPsat.Count > 0)
        {
            var clusters = new Dictionary<string, K8sCluster>(StringComparer.Ordinal);
            foreach (var (name, cluster) in config.K8sPsat)
            {
                var api = new KubernetesApi(cluster, time);
                attestors._clients.Add(api);
                clusters[name] = new K8sCluster(cluster, api);
            }

            attestors._all.Add(new K8sPsatAttestor(trustDomain, clusters));
        }

        return attestors;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var watch in _watches)
        {
            await watch.DisposeAsync().ConfigureAwait(false);
        }

        foreach (var client in _clients)
        {
            client.Dispose();
        }
    }
}

/// <summary>Authorities in PEM files, as they stand there now; while files are broken, as they stood before. Thread-safe.</summary>
internal sealed class FollowedAuthorities : IAsyncDisposable
{
    private readonly string _names;
    private readonly ILogger _log;
    private readonly FileSetWatch _watch;
    private IReadOnlyList<Certificate> _current;

    private FollowedAuthorities(FileSet files, IReadOnlyList<Certificate> first, string names, TimeProvider time, ILogger log)
    {
        (_current, _names, _log) = (first, names, log);
        _watch = FileSetWatch.Start(files, Take, time, log);
        Take(_watch.Current);
    }

    public IReadOnlyList<Certificate> Current => Volatile.Read(ref _current);

    /// <exception cref="PlaceException">One of the files cannot be read or understood.</exception>
    public static FollowedAuthorities Start(IReadOnlyList<string> paths, TimeProvider time, ILogger log)
    {
        var files = FileSet.Of(paths);
        return TryRead(files.Read(), out var first, out var path, out var problem)
            ? new FollowedAuthorities(files, first, string.Join(", ", paths), time, log)
            : throw new PlaceException("file", path, $"holds no authorities that can be used: {problem}");
    }

    public ValueTask DisposeAsync() => _watch.DisposeAsync();

    private void Take(ImmutableArray<WatchedFile> files)
    {
        if (TryRead(files, out var authorities, out var path, out var problem))
        {
            Volatile.Write(ref _current, authorities);
        }
        else
        {
            _log.AttestationFilesRefused(_names, $"{path}: {problem}");
        }
    }

    private static bool TryRead(ImmutableArray<WatchedFile> files, out IReadOnlyList<Certificate> authorities, out string path, out string problem)
    {
        var all = new List<Certificate>();
        (authorities, path, problem) = (all, "", "");
        foreach (var file in files)
        {
            if (!Pem.TryReadCertificates(file.Text, out var found, out problem))
            {
                path = file.Path;
                return false;
            }

            all.AddRange(found);
        }

        return true;
    }
}
