using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Files;
using Signet.Identity.X509;

namespace Signet.Agent.Identities;

/// <summary>
/// The trust anchors that the operator gives for the first contact. What the agent learns from its servers is newer, so they count once; but an
/// agent that was away while its trust domain changed all anchors is helped by a file that was changed since. A file that stays as it was never counts again:
/// it may name anchors that were given up for a reason. One caller.
/// </summary>
/// <param name="file">PEM; null when the operator gave none.</param>
/// <param name="folder">The agent's own, where it notes which content has counted.</param>
/// <param name="log">Where it logs.</param>
internal sealed class Bootstrap(string? file, string folder, ILogger<Bootstrap> log)
{
    private const int MaxBytes = 1024 * 1024;

    private readonly string _noted = Path.Combine(folder, "bootstrap.sha256");

    /// <summary>The anchors in the file; null when there is none.</summary>
    /// <exception cref="AgentStartException">The file cannot be read.</exception>
    public IReadOnlyList<Certificate>? Read()
    {
        if (file is null)
        {
            return null;
        }

        return TryRead(out var anchors, out _, out var problem) ? anchors : throw new AgentStartException($"bootstrap bundle {file}{problem}");
    }

    /// <summary>Notes that what the file holds now has counted, unless something is noted already.</summary>
    /// <exception cref="PlaceException">It cannot be noted.</exception>
    public void NoteFirst()
    {
        if (file is not null && !File.Exists(_noted) && TryRead(out _, out var digest, out _))
        {
            PrivateFile.WriteAtomically(_noted, Encoding.ASCII.GetBytes(digest));
        }
    }

    /// <summary>Offers the anchors of a file that was changed since it counted; once they are taken they have counted.</summary>
    /// <param name="take">Takes them, or says that they are no help.</param>
    public void Offer(Func<IReadOnlyList<Certificate>, bool> take)
    {
        if (file is not null && File.Exists(_noted) && TryRead(out var anchors, out var digest, out _) && File.ReadAllText(_noted) != digest && take(anchors))
        {
            PrivateFile.WriteAtomically(_noted, Encoding.ASCII.GetBytes(digest));
            log.TrustBeginsAnew(file);
        }
    }

    private bool TryRead(out IReadOnlyList<Certificate> anchors, out string digest, out string problem)
    {
        (anchors, digest) = ([], "");
        try
        {
            if (new FileInfo(file!).Length > MaxBytes)
            {
                problem = $" is larger than {MaxBytes} bytes";
                return false;
            }

            var bytes = File.ReadAllBytes(file!);
            digest = Convert.ToHexStringLower(SHA256.HashData(bytes));
            if (Pem.TryReadCertificates(Encoding.UTF8.GetString(bytes), out anchors, out problem))
            {
                return true;
            }

            problem = $": {problem}";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem = $" cannot be read: {FileReason.Of(e)}";
        }

        return false;
    }
}
