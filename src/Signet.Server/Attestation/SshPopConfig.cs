using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Configuration;
using Signet.Hosting.Files;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Attestation.Ssh;

namespace Signet.Server.Attestation;

/// <summary>Which hosts of SSH prove themselves.</summary>
public sealed record SshPopConfig
{
    /// <summary>The authorities that are believed, as authorized_keys has them.</summary>
    public IReadOnlyList<SshPublicKey> Authorities { get; init; } = [];

    /// <summary>Files with further ones, one a line; followed while the server runs.</summary>
    public IReadOnlyList<string> AuthorityFiles { get; init; } = [];

    /// <summary>How agents are named.</summary>
    public AgentName AgentName { get; init; } = AgentName.ByFingerprint;

    /// <summary>The domain that host names are meant in and that is left out of them; null for none.</summary>
    public string? CanonicalDomain { get; init; }

    /// <summary>What the first name of a certificate is here.</summary>
    internal string HostOf(SshCertificate certificate) => CanonicalDomain is { } domain && certificate.Principals[0].EndsWith("." + domain, StringComparison.Ordinal)
        ? certificate.Principals[0][..^(domain.Length + 1)]
        : certificate.Principals[0];

    internal static SshPopConfig Read(ConfigSection section)
    {
        var config = new SshPopConfig
        {
            Authorities = ReadKeys(section, "certAuthorities"),
            AuthorityFiles = section.FilePaths("certAuthorityFiles"),
            AgentName = ReadName(section, "agentName", template => template),
            CanonicalDomain = section.Text("canonicalDomain"),
        };
        config.Check(section, "certAuthorities");
        return config;
    }

    /// <summary>Reads how agents are named.</summary>
    internal static AgentName ReadName(ConfigSection section, string key, Func<string, string> translate)
    {
        var name = AgentName.ByFingerprint;
        if (section.Text(key) is { } template && !AgentName.TryParseOfHost(translate(template), out name, out var problem))
        {
            section.Problem(key, problem);
        }

        return name ?? AgentName.ByFingerprint;
    }

    /// <summary>Reads a list of keys.</summary>
    internal static IReadOnlyList<SshPublicKey> ReadKeys(ConfigSection section, string key)
    {
        var keys = new List<SshPublicKey>();
        foreach (var line in section.Texts(key))
        {
            if (SshPublicKey.TryParse(line, out var read, out var problem))
            {
                keys.Add(read);
            }
            else
            {
                section.Problem(key, $"\"{Printable.Of(line)}\": {problem}");
            }
        }

        return keys;
    }

    /// <summary>Reports that nobody is believed.</summary>
    internal void Check(ConfigSection section, string authoritiesKey)
    {
        if (Authorities.Count == 0 && AuthorityFiles.Count == 0)
        {
            section.Problem(authoritiesKey, "is missing; name the authorities that are believed, such as [\"ssh-ed25519 AAAA…\"]");
        }
    }
}

/// <summary>Authorities of SSH in files, as they stand there now; while files are broken, as they stood before. Thread-safe; whoever starts it disposes it.</summary>
internal sealed class FollowedSshAuthorities : IAsyncDisposable
{
    /// <summary>How many authorities a file may name.</summary>
    private const int MaxLines = 10_000;

    private readonly IReadOnlyList<SshPublicKey> _written;
    private readonly ILogger _log;
    private readonly FileSetWatch? _watch;
    private IReadOnlyList<SshPublicKey> _current;

    private FollowedSshAuthorities(SshPopConfig config, IReadOnlyList<SshPublicKey> first, TimeProvider time, ILogger log)
    {
        (_written, _current, _log) = (config.Authorities, [.. config.Authorities, .. first], log);
        if (config.AuthorityFiles.Count > 0)
        {
            _watch = FileSetWatch.Start(FileSet.Of(config.AuthorityFiles), Take, time, log);
            Take(_watch.Current);
        }
    }

    public IReadOnlyList<SshPublicKey> Current => Volatile.Read(ref _current);

    /// <exception cref="PlaceException">One of the files cannot be read or understood.</exception>
    public static FollowedSshAuthorities Start(SshPopConfig config, TimeProvider time, ILogger log)
    {
        var files = config.AuthorityFiles.Count > 0 ? FileSet.Of(config.AuthorityFiles).Read() : [];
        return TryRead(files, out var first, out var path, out var problem)
            ? new FollowedSshAuthorities(config, first, time, log)
            : throw new PlaceException("file", path, $"holds no authorities that can be used: {problem}");
    }

    public ValueTask DisposeAsync() => _watch?.DisposeAsync() ?? ValueTask.CompletedTask;

    private void Take(ImmutableArray<WatchedFile> files)
    {
        if (TryRead(files, out var authorities, out var path, out var problem))
        {
            Volatile.Write(ref _current, [.. _written, .. authorities]);
        }
        else
        {
            _log.AttestationFilesRefused(path, problem);
        }
    }

    private static bool TryRead(ImmutableArray<WatchedFile> files, out IReadOnlyList<SshPublicKey> authorities, out string path, out string problem)
    {
        var all = new List<SshPublicKey>();
        (authorities, path, problem) = (all, "", "");
        foreach (var file in files)
        {
            path = file.Path;
            var before = all.Count;
            foreach (var line in file.Text.Split('\n').Take(MaxLines).Select(line => line.Trim()).Where(line => line.Length > 0 && line[0] != '#'))
            {
                if (!SshPublicKey.TryParse(line, out var key, out problem))
                {
                    return false;
                }

                all.Add(key);
            }

            if (all.Count == before)
            {
                problem = "there is none in it";
                return false;
            }
        }

        return true;
    }
}
