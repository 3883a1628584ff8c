using System.Diagnostics;
using Signet.Identity.X509;
using Signet.Testing.X509;

namespace Signet.InteropTests.X509;

/// <summary>Puts the corpus to <c>openssl verify</c>. Where the two differ, it must be for a reason written down here.</summary>
public sealed class OpenSslVerifyTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signet-openssl-");

    /// <summary>Cases by the beginning of their name, and why Signet answers otherwise on purpose.</summary>
    private static readonly (string Prefix, string Why)[] Deliberate =
    [
        ("last second of", "RFC 5280 §4.1.2.5 counts notAfter in; openssl leaves it out"),
        ("root has no basic constraints", "RFC 5280 §6.1.4 (k) asks them of every issuer; openssl lets a root's key usage speak for them"),
        ("explicit policy required", "Signet does not process policies, so it must refuse a critical constraint on them; openssl does when told to"),
        ("wildcard that could become", "the certificate would be good for a name that its authority may not certify"),
        ("leading dot in a DNS constraint", "RFC 5280 §4.2.1.10 gives DNS constraints no leading dot; what it means is a guess"),
        ("name constraints in a leaf", "RFC 5280 §4.2.1.10: only in an authority's certificate"),
        ("two roots of one name without key identifiers", "Signet tries every root of the name; openssl stops at the first"),
        ("cross-sign, second root known", "Signet tries every path; openssl follows the first intermediate"),
        ("constrained cross-sign first", "Signet tries every path; openssl follows the first intermediate"),
        ("wrong issuer key identifier", "key identifiers are hints (RFC 4158 §3.5.12); the signature decides"),
        ("brainpool", "only P-256, P-384 and P-521 are trusted"),
    ];

    [Fact]
    public async Task Agrees_with_openssl_verify_but_for_the_reasons_given()
    {
        var differing = new List<string>();
        var used = new HashSet<string>();
        foreach (var question in ChainCorpus.All)
        {
            var ours = PathValidator.Validate(question.Request).IsValid;
            var (theirs, output) = await AskAsync(question);
            if (ours == theirs)
            {
                continue;
            }

            var reason = Deliberate.FirstOrDefault(d => question.Name.StartsWith(d.Prefix, StringComparison.Ordinal));
            if (reason.Why is null)
            {
                differing.Add($"{question.Name}: Signet {(ours ? "valid" : question.Expected)}, openssl {(theirs ? "valid" : output)}");
            }

            used.Add(reason.Prefix ?? "");
        }

        Assert.True(differing.Count == 0, string.Join('\n', differing));
        Assert.Empty(Deliberate.Select(d => d.Prefix).Except(used));
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private async Task<(bool IsValid, string Output)> AskAsync(ChainCase question)
    {
        await File.WriteAllTextAsync(At("leaf.pem"), Pem.Encode(question.Leaf));
        await File.WriteAllTextAsync(At("roots.pem"), Pem.Encode(question.Roots));
        string[] untrusted = [];
        if (question.Intermediates.Count > 0)
        {
            await File.WriteAllTextAsync(At("intermediates.pem"), Pem.Encode(question.Intermediates));
            untrusted = ["-untrusted", At("intermediates.pem")];
        }

        return await OpenSsl.RunAsync(
        [
            "verify", "-no-CApath", "-no-CAstore", "-CAfile", At("roots.pem"), .. untrusted,
            "-attime", $"{question.At.ToUnixTimeSeconds()}",
            "-purpose", question.Usage == CertificateUsage.Server ? "sslserver" : "sslclient",
            "-auth_level", "2", "-partial_chain", "-verify_depth", $"{PathRequest.DefaultMaxIntermediates}",
            At("leaf.pem"),
        ]);
    }

    private string At(string name) => Path.Combine(_folder.FullName, name);
}

/// <summary>Runs the openssl program.</summary>
internal static class OpenSsl
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    /// <summary>Whether the exit code was 0, and the last line of what was printed.</summary>
    public static async Task<(bool IsDone, string Output)> RunAsync(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("openssl", arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true })!;
        using var deadline = new CancellationTokenSource(Deadline);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(deadline.Token);
        var error = process.StandardError.ReadToEndAsync(deadline.Token);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }

        return (process.ExitCode == 0, (await output + await error).Trim());
    }
}
