using System.CommandLine;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Signet.Authority.Ceremony;
using Signet.Authority.Rotation;
using Signet.Cli.Output;
using Signet.Hosting.Files;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Cli.Commands.Ca;

/// <summary><c>signet ca init|request|sign</c>. Keys are written with mode 0600 and never shown; nothing that exists is overwritten.</summary>
internal static class CeremonyCommands
{
    private const int MaxFileBytes = 1024 * 1024;
    private static readonly TimeSpan AnchorTtl = TimeSpan.FromDays(3650);
    private static readonly TimeSpan IssuingTtl = TimeSpan.FromDays(90);

    public static Command Init(CliContext context)
    {
        var (domain, folder, type) = (Domain(), Folder("Where anchor.crt and anchor.key go: a place off the server"), Type());
        var ttl = CommandValues.Duration("--ttl", "The anchor's lifetime (default: 3650d)");
        var (passphrase, output) = (Passphrase(), Answer.Option());
        var command = new Command("init", "Make a trust anchor and its key. Example: signet ca init --trust-domain example.org --out /media/root --passphrase /media/root/passphrase")
        {
            domain, folder, type, ttl, passphrase, output,
        };
        CliContext.Run(command, (parsed, _) =>
        {
            using var key = KeyPair.Generate(TypeOf(parsed.GetValue(type)));
            var anchor = OfflineRoot.MakeAnchor(DomainOf(parsed.GetRequiredValue(domain)), new CertificateSubject(), key, parsed.GetValue(ttl) ?? AnchorTtl, context.Time.GetUtcNow());
            var secret = ReadPassphrase(parsed.GetValue(passphrase));
            var place = parsed.GetRequiredValue(folder);
            WriteNew(Path.Combine(place, "anchor.key"), secret is null ? Pem.EncodePrivateKey(key) : Pem.EncodePrivateKey(key, secret));
            WriteNew(Path.Combine(place, "anchor.crt"), Pem.Encode(anchor));
            Tell(parsed, output, anchor, place);
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }

    public static Command Request()
    {
        var (domain, folder, type, output) = (Domain(), Folder("Where issuer.key and issuer.csr go: on the server"), Type(), Answer.Option());
        var command = new Command("request", "Make a key for an issuing authority, and the request to have it signed. Example: signet ca request --trust-domain example.org --out /etc/signet/issuer/next")
        {
            domain, folder, type, output,
        };
        CliContext.Run(command, (parsed, _) =>
        {
            using var key = KeyPair.Generate(TypeOf(parsed.GetValue(type)));
            var request = SigningRequest.Create(key, SpiffeId.Of(DomainOf(parsed.GetRequiredValue(domain))));
            var place = parsed.GetRequiredValue(folder);
            WriteNew(Path.Combine(place, "issuer.key"), Pem.EncodePrivateKey(key));
            WriteNew(Path.Combine(place, "issuer.csr"), PemEncoding.WriteString("CERTIFICATE REQUEST", request) + "\n");
            Answer.To(parsed, output).Write(
                () => new JsonObject { ["request"] = Path.GetFullPath(Path.Combine(place, "issuer.csr")) },
                answer => answer.Out.WriteLine($"have {Path.GetFullPath(Path.Combine(place, "issuer.csr"))} signed: signet ca sign"));
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }

    public static Command Sign(CliContext context)
    {
        var request = new Option<string>("--csr") { Description = "The request, PEM", HelpName = "FILE", Required = true };
        var anchor = new Option<string>("--anchor") { Description = "The folder with anchor.crt and anchor.key", HelpName = "DIR", Required = true };
        var ttl = CommandValues.Duration("--ttl", "The issuing authority's lifetime (default: 90d); never beyond the anchor's");
        var folder = Folder("Where issuer.crt and ca.crt go");
        var (passphrase, output) = (Passphrase(), Answer.Option());
        var command = new Command("sign", "Sign an issuing authority with an offline anchor. Example: signet ca sign --csr issuer.csr --anchor /media/root --out .")
        {
            request, anchor, ttl, folder, passphrase, output,
        };
        CliContext.Run(command, (parsed, _) =>
        {
            var place = parsed.GetRequiredValue(anchor);
            using var key = AnchorKey(place, parsed.GetValue(passphrase));
            var root = Certificate(Path.Combine(place, "anchor.crt"));
            var issuing = OfflineRoot.TrySign(root, key, Csr(parsed.GetRequiredValue(request)), new CertificateSubject(), parsed.GetValue(ttl) ?? IssuingTtl, context.Time.GetUtcNow(), out var signed, out var problem)
                ? signed
                : throw new CliError(problem, "make the request with: signet ca request");
            var target = parsed.GetRequiredValue(folder);
            WriteNew(Path.Combine(target, "issuer.crt"), Pem.Encode(issuing));
            WriteNew(Path.Combine(target, "ca.crt"), Pem.Encode(root));
            Tell(parsed, output, issuing, target);
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }

    private static Option<string> Domain() => new("--trust-domain") { Description = "The trust domain's name", HelpName = "NAME", Required = true };

    private static Option<string> Folder(string description) => new("--out") { Description = description, HelpName = "DIR", Required = true };

    private static Option<string> Type() => new("--key-type") { Description = "ec-p256 (default), ec-p384, rsa-2048 or rsa-4096", HelpName = "TYPE", DefaultValueFactory = _ => "ec-p256" };

    internal static Option<string> Passphrase() => new("--passphrase") { Description = "A file with the passphrase that protects the anchor's key", HelpName = "FILE" };

    private static TrustDomain DomainOf(string text) => TrustDomain.TryParse(text, out var domain, out var problem) ? domain : throw new CliError(problem, "for example: --trust-domain example.org");

    private static KeyType TypeOf(string? text) => KeyTypes.TryParseAuthority(text, out var type, out var problem) ? type : throw new CliError(problem, "for example: --key-type ec-p256");

    /// <summary>The key beside the anchor.</summary>
    internal static AsymmetricAlgorithm AnchorKey(string folder, string? passphraseFile)
    {
        var (file, secret) = (Path.Combine(folder, "anchor.key"), ReadPassphrase(passphraseFile));
        var text = Read(file);
        return (secret is null ? Pem.TryReadPrivateKey(text, out var key, out var problem) : Pem.TryReadPrivateKey(text, secret, out key, out problem))
            ? key!
            : throw new CliError($"{file}: {problem}", "an encrypted key needs --passphrase FILE");
    }

    private static string? ReadPassphrase(string? path)
    {
        var text = path is null ? null : Read(path).TrimEnd('\r', '\n');
        return text is { Length: 0 } ? throw new CliError($"{path} holds no passphrase", "write one into it, or leave --passphrase out") : text;
    }

    private static SigningRequest Csr(string path)
    {
        var text = Read(path);
        return PemEncoding.TryFind(text, out var fields) && text[fields.Label] == "CERTIFICATE REQUEST"
            ? SigningRequest.TryParse(Convert.FromBase64String(text[fields.Base64Data]), out var request, out var problem) ? request : throw new CliError($"{path}: {problem}", "make it with: signet ca request")
            : throw new CliError($"{path} holds no PEM block \"CERTIFICATE REQUEST\"", "make it with: signet ca request");
    }

    internal static Certificate Certificate(string path) =>
        Pem.TryReadCertificates(Read(path), out var certificates, out var problem) ? certificates[0] : throw new CliError($"{path}: {problem}", "make it with: signet ca init");

    internal static string Read(string path) => new FileInfo(path) is { Exists: true, Length: > MaxFileBytes }
        ? throw new CliError($"{path} is larger than {MaxFileBytes} bytes", "is it the right file?")
        : File.ReadAllText(path);

    internal static void WriteNew(string path, string text)
    {
        if (File.Exists(path))
        {
            throw new CliError($"{path} exists already", "choose another folder, or move it away");
        }

        PrivateFolder.Ensure(Path.GetDirectoryName(Path.GetFullPath(path))!);
        PrivateFile.WriteAtomically(path, Encoding.ASCII.GetBytes(text));
    }

    private static void Tell(ParseResult parsed, Option<OutputFormat> output, Certificate made, string folder) => Answer.To(parsed, output).Write(
        () => new JsonObject { ["subject"] = made.Subject, ["serial"] = made.SerialHex, ["notAfter"] = HumanTime.Stamp(made.NotAfter), ["folder"] = Path.GetFullPath(folder) },
        answer => answer.Out.WriteLine($"{made}, valid until {HumanTime.Stamp(made.NotAfter)}, in {Path.GetFullPath(folder)}"));
}
