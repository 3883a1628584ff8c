using System.Text;
using Signet.Hosting.Configuration;
using Signet.Hosting.Files;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Hosting.Acme;

/// <summary>How certificates of the web are ordered by themselves (RFC 8555).</summary>
/// <param name="Directory">Where the authority says what it can do.</param>
/// <param name="Email">Whom the authority writes to; null for nobody.</param>
/// <param name="Names">The DNS names of the certificate; one at least.</param>
public sealed record AcmeConfig(Uri Directory, string? Email, IReadOnlyList<string> Names)
{
    /// <summary>The most names in one certificate.</summary>
    public const int MaxNames = 100;

    private const int MaxFileBytes = 1024 * 1024;

    /// <summary>Let's Encrypt.</summary>
    public const string DefaultDirectory = "https://acme-v02.api.letsencrypt.org/directory";

    /// <summary>The only authorities that the directory's own certificate may come from; null for the machine's.</summary>
    public IReadOnlyList<Certificate>? Roots { get; init; }

    /// <summary>Whether the operator agrees to the authority's terms, if it has any.</summary>
    public bool TermsAgreed { get; init; }

    /// <summary>Reads the section; problems are collected by it.</summary>
    public static AcmeConfig Read(ConfigSection section)
    {
        var names = section.Texts("names");
        if (names.Count is 0 or > MaxNames)
        {
            section.Problem("names", names.Count == 0 ? "is missing; list the DNS names by which others reach this listener" : $"are {names.Count}; the limit is {MaxNames}");
        }

        foreach (var name in names)
        {
            if (NameProblem(name) is { } problem)
            {
                section.Problem("names", problem);
            }
        }

        return new AcmeConfig(ReadDirectory(section, "directory", section.Text("directory", DefaultDirectory)), section.Text("email"), names)
        {
            Roots = ReadRoots(section),
            TermsAgreed = section.Flag("termsAgreed", false),
        };
    }

    /// <summary>Reads the address of a directory; a problem is collected.</summary>
    public static Uri ReadDirectory(ConfigSection section, string key, string text)
    {
        if (Uri.TryCreate(text, UriKind.Absolute, out var directory) && AcmeClient.IsFit(directory))
        {
            return directory;
        }

        section.Problem(key, $"\"{Printable.Of(text)}\" is not an https URL; write one such as {DefaultDirectory}");
        return new Uri(DefaultDirectory);
    }

    /// <summary>Why no certificate can be ordered for a name by the challenge that is used here; null when one can.</summary>
    public static string? NameProblem(string name) =>
        Uri.CheckHostName(name) == UriHostNameType.Dns && name.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-' or '.') ? null
        : name.StartsWith("*.", StringComparison.Ordinal) ? $"\"{Printable.Of(name)}\" stands for many names, which can't be proved over TLS; write each"
        : $"\"{Printable.Of(name)}\" is not a DNS name in lower case";

    private static IReadOnlyList<Certificate>? ReadRoots(ConfigSection section)
    {
        if (section.FilePath("caFile") is not { } path)
        {
            return null;
        }

        try
        {
            if (Pem.TryReadCertificates(Encoding.UTF8.GetString(BoundedFile.Read(path, MaxFileBytes)), out var roots, out var problem))
            {
                return roots;
            }

            section.Problem("caFile", problem);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            section.Problem("caFile", $"file {Printable.Of(path)} can't be read: {Printable.Of(e.Message)}");
        }

        return null;
    }
}
