using System.Net;
using Signet.Cli.Output;
using Signet.Client;
using Signet.Client.Tls;
using Signet.Hosting.Configuration;
using Signet.Hosting.Files;
using Signet.Identity.Registration;
using Signet.Identity.X509;
using Signet.Rpc;

namespace Signet.Cli.Clients;

/// <summary>The way to a server: its admin socket, or over the network as a workload that an operator's role was given to.</summary>
internal static class AdminChannel
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Opens it; nothing is sent yet.</summary>
    /// <param name="server">A socket's path, or host and port.</param>
    /// <param name="svidFolder">Where <c>svid.pem</c>, <c>key.pem</c> and <c>bundle.pem</c> lie; null to ask the agent.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="CliError">There is no such place, or no identity to show there.</exception>
    public static async Task<GrpcChannel> OpenAsync(string server, string? svidFolder, TimeProvider time, CancellationToken cancellationToken)
    {
        var path = server.StartsWith("unix:", StringComparison.Ordinal) ? server["unix:".Length..] : server;
        if (path.StartsWith('/') || !path.Contains(':', StringComparison.Ordinal))
        {
            return UnixSocketPath.TryParse(Path.GetFullPath(path), out var socket, out var notPath) ? GrpcChannel.ForUnixSocket(socket, time) : throw new CliError(notPath, "for example: --server /run/signet/server.sock");
        }

        if (!EndPointText.TryParse(server, out var endPoint, out var problem))
        {
            throw new CliError(problem, "for example: --server /run/signet/server.sock, or --server server.example.org:8081");
        }

        var identity = svidFolder is null ? await FromAgentAsync(time, cancellationToken).ConfigureAwait(false) : FromFiles(svidFolder);
        if (!TlsCredential.CanPresent(identity.Default, out problem))
        {
            throw new CliError(problem, "show another SVID: --svid DIR");
        }

        var credential = new TlsCredential(identity.Default);
        var (host, port) = endPoint is DnsEndPoint dns ? (dns.Host, dns.Port) : ($"{((IPEndPoint)endPoint).Address}", ((IPEndPoint)endPoint).Port);
        return GrpcChannel.ForTls(host, port, () => SvidTls.Client(credential, serverName: "", (presented, unreadable) => IsServer(presented, unreadable, identity, time)), time);
    }

    private static bool IsServer(IReadOnlyList<Certificate> presented, string problem, X509Context identity, TimeProvider time)
    {
        var verdict = SvidVerifier.Verify(presented, identity.Bundles, CertificateUsage.Server, time.GetUtcNow());
        return problem.Length == 0 && verdict.IsTrusted && verdict.Id == ReservedIds.Server(identity.Default.Id.TrustDomain);
    }

    private static async Task<X509Context> FromAgentAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        var address = CliContext.AgentAddress(null);
        await using var source = new X509Source(address, time);
        try
        {
            return await source.WaitAsync(cancellationToken).WaitAsync(Patience, time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new CliError(source.Problem ?? $"{address} gave no identity in time", "a server on the network wants to see an SVID; write --svid DIR to show one from files");
        }
    }

    private static X509Context FromFiles(string folder)
    {
        string Read(string name) => File.ReadAllText(Path.Combine(folder, name));
        return X509Files.TryRead(Read("svid.pem"), Read("key.pem"), Read("bundle.pem"), out var context, out var problem)
            ? context
            : throw new CliError($"{folder}: {problem}", "signet x509 mint --write DIR, or signet fetch x509 --write DIR, makes such a folder");
    }
}
