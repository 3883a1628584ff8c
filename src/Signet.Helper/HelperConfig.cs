using System.Net;
using Signet.Client;
using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Hosting.Files;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;

namespace Signet.Helper;

/// <summary>A file that the helper writes.</summary>
/// <param name="Name">In the folder.</param>
/// <param name="Mode">Exactly.</param>
public sealed record OutputFile(string Name, UnixFileMode Mode);

/// <summary>The X.509-SVID as PEM.</summary>
/// <param name="Certificate">Leaf first, then intermediates.</param>
/// <param name="Key">PKCS#8.</param>
/// <param name="Bundle">The authorities of the own trust domain.</param>
public sealed record X509Output(OutputFile Certificate, OutputFile Key, OutputFile Bundle);

/// <summary>A JWT-SVID, the token alone without a line break.</summary>
public sealed record JwtOutput(IReadOnlyList<string> Audience, OutputFile File);

/// <summary>What is trusted of one trust domain.</summary>
/// <param name="TrustDomain">Null is the own one.</param>
/// <param name="Pem">X.509 authorities; null writes none.</param>
/// <param name="Jwks">Keys of JWT-SVIDs, a JWK Set; null writes none.</param>
public sealed record BundleOutput(TrustDomain? TrustDomain, OutputFile? Pem, OutputFile? Jwks);

/// <summary>What happens after each change.</summary>
public abstract record ChangeHook
{
    /// <summary>A program is run, without a shell.</summary>
    public sealed record Command(IReadOnlyList<string> Arguments, TimeSpan Timeout) : ChangeHook;

    /// <summary>A process is signalled.</summary>
    public sealed record Signal(int Number, string PidFile) : ChangeHook;
}

/// <summary>helper.yaml, as a person wrote it, checked.</summary>
public sealed record HelperConfig
{
    private const string PublicMode = "0644", PrivateMode = "0600";
    private const int MaxNameLength = 200;

    private static readonly (string Word, int Number)[] Signals = [("HUP", 1), ("INT", 2), ("QUIT", 3), ("USR1", 10), ("USR2", 12), ("TERM", 15)];

    public required WorkloadApiAddress Socket { get; init; }

    /// <summary>Which of the identities that the agent gives is written; no other takes its place.</summary>
    public required SvidPick Identity { get; init; }

    /// <summary>Where the files appear.</summary>
    public required string Folder { get; init; }

    public required FileOwner Owner { get; init; }

    /// <summary>Null writes none.</summary>
    public required X509Output? X509 { get; init; }

    public required IReadOnlyList<JwtOutput> Jwt { get; init; }

    public required IReadOnlyList<BundleOutput> Bundles { get; init; }

    /// <summary>Null does nothing.</summary>
    public required ChangeHook? OnChange { get; init; }

    /// <summary>Metrics and health over HTTP; null has none.</summary>
    public required IPEndPoint? Metrics { get; init; }

    /// <summary>Reads every key; problems are collected by the section.</summary>
    public static HelperConfig Read(ConfigSection root, Places places)
    {
        var config = new HelperConfig
        {
            Socket = ReadSocket(root, places),
            Identity = root.Section("identity") is { IsPresent: true } identity ? ReadIdentity(identity) : SvidPick.First,
            Folder = root.RequiredFilePath("folder"),
            Owner = new FileOwner(ReadAccount(root, "owner", FileOwner.TryFindUser), ReadAccount(root, "group", FileOwner.TryFindGroup)),
            X509 = root.Section("x509") is { IsPresent: true } x509 ? ReadX509(x509) : null,
            Jwt = [.. root.Sections("jwt").Select(ReadJwt)],
            Bundles = [.. root.Sections("bundles").Select(ReadBundle)],
            OnChange = root.Section("onChange") is { IsPresent: true } hook ? ReadHook(hook) : null,
            Metrics = root.ListenEndPoint("metrics"),
        };
        var files = config.Files().ToList();
        if (files.Count == 0)
        {
            root.Problem("folder", "nothing is to be written there; say what with x509, jwt or bundles, such as \"x509: {}\"");
        }

        if (files.GroupBy(file => file.Name, StringComparer.Ordinal).FirstOrDefault(same => same.Count() > 1) is { } twice)
        {
            root.Problem("folder", $"\"{Printable.Of(twice.Key)}\" is written twice; give each file a name of its own");
        }

        return config;
    }

    private IEnumerable<OutputFile> Files() =>
    [
        .. X509 is null ? [] : new[] { X509.Certificate, X509.Key, X509.Bundle },
        .. Jwt.Select(jwt => jwt.File),
        .. Bundles.SelectMany(bundle => new[] { bundle.Pem, bundle.Jwks }).OfType<OutputFile>(),
    ];

    private static WorkloadApiAddress ReadSocket(ConfigSection root, Places places)
    {
        var path = root.UnixPath("socket", Environment.GetEnvironmentVariable(WorkloadApiAddress.Variable) ?? places.AgentSocket);
        if (WorkloadApiAddress.TryParse(path, out var address, out var problem))
        {
            return address;
        }

        root.Problem("socket", problem);
        return WorkloadApiAddress.TryParse(places.AgentSocket, out var standIn, out _) ? standIn : throw new InvalidOperationException(problem);
    }

    private static SvidPick ReadIdentity(ConfigSection section)
    {
        var (hint, id) = (section.Text("hint"), section.SpiffeId("spiffeId"));
        if (hint is { Length: > 0 } == id is not null)
        {
            section.Problem("hint", "write either the hint or the spiffeId of one of the identities that this process has");
        }

        return id is not null ? SvidPick.ById(id) : hint is { Length: > 0 } ? SvidPick.ByHint(hint) : SvidPick.First;
    }

    private delegate bool AccountFinder(string text, out uint? id, out string problem);

    private static uint? ReadAccount(ConfigSection root, string key, AccountFinder find)
    {
        if (root.Text(key) is not { } text)
        {
            return null;
        }

        if (!find(text, out var id, out var problem))
        {
            root.Problem(key, problem);
        }

        return id;
    }

    private static X509Output ReadX509(ConfigSection section) => new(
        ReadFile(section, "certificate", "svid.pem", "certificateMode", PublicMode, isSecret: false),
        ReadFile(section, "key", "key.pem", "keyMode", PrivateMode, isSecret: true),
        ReadFile(section, "bundle", "bundle.pem", "bundleMode", PublicMode, isSecret: false));

    private static JwtOutput ReadJwt(ConfigSection section)
    {
        var audience = section.Texts("audience");
        if (!JwtSvid.TryCheckAudiences(audience, out var problem))
        {
            section.Problem("audience", problem);
        }

        if (section.Text("file") is null)
        {
            section.Problem("file", "is missing; it has no default");
        }

        return new JwtOutput(audience, ReadFile(section, "file", "jwt", "mode", PrivateMode, isSecret: true));
    }

    private static BundleOutput ReadBundle(ConfigSection section)
    {
        var mode = section.Text("mode", PublicMode);
        var bundle = new BundleOutput(section.TrustDomain("trustDomain"), Named("pem"), Named("jwks"));
        if (bundle is { Pem: null, Jwks: null })
        {
            section.Problem("pem", "is missing; name a file with pem, jwks or both");
        }

        return bundle;

        OutputFile? Named(string key) => section.Text(key) is null ? null : ReadFile(section, key, "", "mode", mode, isSecret: false);
    }

    private static OutputFile ReadFile(ConfigSection section, string key, string name, string modeKey, string mode, bool isSecret)
    {
        name = section.Text(key, name);
        if (name.Length is 0 or > MaxNameLength || name.StartsWith('.') || name.Any(c => c == '/' || char.IsControl(c)))
        {
            section.Problem(key, $"\"{Printable.Of(name)}\" is not the name of a file in the folder; write one without slashes that does not begin with a dot");
        }

        mode = section.Text(modeKey, mode);
        if (!TryParseMode(mode, isSecret, out var bits, out var problem))
        {
            section.Problem(modeKey, problem);
        }

        return new OutputFile(name, bits);
    }

    private static bool TryParseMode(string text, bool isSecret, out UnixFileMode mode, out string problem)
    {
        const UnixFileMode GroupAndOthersRead = UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        const UnixFileMode Possible = UnixFileMode.UserRead | UnixFileMode.UserWrite | GroupAndOthersRead;
        mode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        if (text.Length is < 3 or > 4 || text.Any(c => c is < '0' or > '7'))
        {
            problem = $"\"{Printable.Of(text)}\" is not a mode; write octal digits in quotes, such as \"0640\"";
            return false;
        }

        mode = (UnixFileMode)Convert.ToInt32(text, 8);
        problem = (mode & ~Possible) != 0 ? $"mode {text} lets more than the owner write, or execute; write 0600, 0640, 0644 or less"
            : isSecret && (mode & UnixFileMode.OtherRead) != 0 ? $"mode {text} shows a secret to every user of this machine; write 0600, or 0640 with a group"
            : "";
        return problem.Length == 0;
    }

    private static ChangeHook? ReadHook(ConfigSection section)
    {
        var command = section.Texts("command");
        var timeout = section.Duration("timeout", TimeSpan.FromSeconds(30), min: TimeSpan.FromSeconds(1), max: TimeSpan.FromMinutes(10));
        var signal = section.Choice("signal", 0, Signals);
        var pidFile = section.FilePath("pidFile");
        if (command.Count > 0 == (signal != 0 || pidFile is not null))
        {
            section.Problem("command", "write either command, a list such as [nginx, -s, reload], or signal and pidFile");
            return null;
        }

        if (command.Count > 0)
        {
            return new ChangeHook.Command(command, timeout);
        }

        if (signal == 0 || pidFile is null)
        {
            section.Problem(signal == 0 ? "signal" : "pidFile", "is missing; a signal needs both signal and pidFile");
            return null;
        }

        return new ChangeHook.Signal(signal, pidFile);
    }
}
