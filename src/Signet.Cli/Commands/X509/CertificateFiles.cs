using System.Text;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;

namespace Signet.Cli.Commands.X509;

/// <summary>Reads certificates and revocation lists from files, PEM or DER; <c>-</c> is standard input.</summary>
internal static class CertificateFiles
{
    private const int MaxFileLength = 64 * 1024 * 1024;

    public static bool TryReadCertificates(string path, out IReadOnlyList<Certificate> certificates, out string problem)
    {
        certificates = [];
        return TryRead(path, out var bytes, out problem)
            && Named(path, TryDecode(bytes, out var text) ? Pem.TryReadCertificates(text, out certificates, out problem) : CertificateList.TryParse(bytes, out certificates, out problem), ref problem);
    }

    public static bool TryReadRevocationLists(string path, out IReadOnlyList<CertificateRevocationList> lists, out string problem)
    {
        lists = [];
        if (!TryRead(path, out var bytes, out problem))
        {
            return false;
        }

        if (TryDecode(bytes, out var text))
        {
            return Named(path, CertificateRevocationList.TryReadPem(text, out lists, out problem), ref problem);
        }

        var isRead = CertificateRevocationList.TryParse(bytes, out var list, out problem);
        lists = isRead ? [list!] : [];
        return Named(path, isRead, ref problem);
    }

    private static bool TryRead(string path, out byte[] bytes, out string problem)
    {
        bytes = [];
        problem = "";
        try
        {
            using var stream = path == "-" ? Console.OpenStandardInput() : File.OpenRead(path);
            using var content = new MemoryStream();
            var buffer = new byte[64 * 1024];
            for (int read; (read = stream.Read(buffer)) > 0;)
            {
                content.Write(buffer, 0, read);
                if (content.Length > MaxFileLength)
                {
                    problem = $"{path}: longer than {MaxFileLength} bytes";
                    return false;
                }
            }

            bytes = content.ToArray();
            problem = bytes.Length == 0 ? $"{path}: the file is empty" : "";
            return bytes.Length > 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem = $"{path}: {e.Message}";
            return false;
        }
    }

    /// <summary>DER begins with a SEQUENCE, which no text does.</summary>
    private static bool TryDecode(byte[] bytes, out string text)
    {
        var isText = bytes[0] != 0x30;
        text = isText ? Encoding.UTF8.GetString(bytes) : "";
        return isText;
    }

    private static bool Named(string path, bool isRead, ref string problem)
    {
        problem = isRead ? "" : $"{path}: {problem}";
        return isRead;
    }
}
