using Signet.Hosting.Configuration;

namespace Signet.Server.Audit;

/// <summary>The section <c>audit</c> of server.yaml. The trail itself can't be switched off.</summary>
/// <param name="FileSize">From how many bytes on a new file is begun.</param>
/// <param name="KeepFiles">How many files are kept, the one that is written to included; older ones are deleted.</param>
public sealed record AuditConfig(long FileSize = 64 * 1024 * 1024, int KeepFiles = 16)
{
    private const long SmallestFile = 64 * 1024;

    public static AuditConfig Read(ConfigSection audit)
    {
        var usual = new AuditConfig();
        var size = audit.Size("fileSize", usual.FileSize);
        if (size < SmallestFile)
        {
            audit.Problem("fileSize", $"{SizeText.Format(size)} is too small; at least {SizeText.Format(SmallestFile)}");
        }

        return new AuditConfig(size, audit.Integer("keepFiles", usual.KeepFiles, 2, 100_000));
    }
}
