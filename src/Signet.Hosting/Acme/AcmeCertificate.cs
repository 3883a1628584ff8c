using System.Diagnostics.Metrics;
using System.Net.Security;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Configuration;
using Signet.Hosting.Files;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Hosting.Acme;

/// <summary>
/// Keeps one certificate of the web: orders it, renews it by the rule that authorities rotate by, and swaps it hot. What goes wrong leaves the one there is in use
/// and is tried again, ever more slowly. Account key and certificate lie in a private folder. One owner runs it; any number read.
/// </summary>
public sealed class AcmeCertificate : IDisposable
{
    private const string AccountFile = "account.key", CertificateFile = "certificate.pem";
    private const int MaxFileBytes = 1024 * 1024;
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestOrder = TimeSpan.FromMinutes(10);

    private readonly AcmeConfig _config;
    private readonly string _folder;
    private readonly TimeProvider _time;
    private readonly ILogger<AcmeCertificate> _log;
    private readonly Backoff _backoff;
    private readonly Meter _meter = new("Signet.Hosting");
    private readonly Counter<long> _orders;
    private WebCertificate? _held;

    /// <param name="config">What is wanted, and from whom.</param>
    /// <param name="folder">Where account key and certificate lie; made when missing.</param>
    /// <param name="time">The clock.</param>
    /// <param name="chance">Gives numbers from 0 to 1.</param>
    /// <param name="log">Where it logs.</param>
    /// <exception cref="PlaceException">The folder is not fit to hold keys.</exception>
    public AcmeCertificate(AcmeConfig config, string folder, TimeProvider time, Func<double> chance, ILogger<AcmeCertificate> log)
    {
        PrivateFolder.Ensure(folder);
        (_config, _folder, _time, _log) = (config, folder, time, log);
        _backoff = new Backoff(new BackoffRule(TimeSpan.FromMinutes(1), TimeSpan.FromHours(6)), chance);
        _held = ReadKept();
        _orders = _meter.CreateCounter<long>("signet.hosting.acme.orders", description: "Certificates of the web that were ordered, by result.");
        _meter.CreateObservableGauge(
            "signet.hosting.acme.certificate.expiry",
            () => Volatile.Read(ref _held) is { } held ? (held.Leaf.NotAfter - _time.GetUtcNow()).TotalSeconds : 0,
            "s",
            "Time until the certificate of the web expires; 0 when there is none.");
    }

    /// <summary>What the authority asks for while an order is under way.</summary>
    public TlsAlpnChallenges Challenges { get; } = new();

    /// <summary>What to present; null until there is a first one. Thread-safe.</summary>
    public SslStreamCertificateContext? Current => Volatile.Read(ref _held)?.Context;

    /// <summary>Keeps it fresh until it is told to stop.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await Task.Delay(await TurnAsync(cancellationToken).ConfigureAwait(false), _time, cancellationToken).ConfigureAwait(false);
        }
    }

    public void Dispose() => _meter.Dispose();

    /// <summary>Does what is due, if anything.</summary>
    /// <returns>When to look again.</returns>
    internal async Task<TimeSpan> TurnAsync(CancellationToken cancellationToken)
    {
        if (WebCertificate.WhyRenew(_held, _config.Names, _time.GetUtcNow()) is not { } reason)
        {
            return LookEvery;
        }

        var names = string.Join(", ", _config.Names);
        _log.CertificateOrdered(names, _config.Directory.AbsoluteUri, reason);
        using var patience = new CancellationTokenSource(LongestOrder, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            var fresh = await ObtainAsync(either.Token).ConfigureAwait(false);
            Volatile.Write(ref _held, fresh);
            _backoff.Reset();
            _orders.Add(1, new KeyValuePair<string, object?>("result", "obtained"));
            _log.CertificateObtained(names, fresh.Leaf.SerialHex, fresh.Leaf.NotAfter);
            return LookEvery;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            var (own, asked) = (_backoff.Next(), (e as AcmeException)?.RetryAfter ?? TimeSpan.Zero);
            var wait = own > asked ? own : asked;
            _orders.Add(1, new KeyValuePair<string, object?>("result", "failed"));
            _log.CertificateNotObtained(
                names,
                _held is { } held ? $"the one there is stays in use until {held.Leaf.NotAfter:u}" : "there is none yet, and nobody is answered until there is",
                DurationText.Format(TimeSpan.FromSeconds(Math.Ceiling(wait.TotalSeconds))),
                patience.IsCancellationRequested ? $"it took longer than {LongestOrder.TotalMinutes} min" : Printable.Of(e.Message));
            return wait;
        }
    }

    private async Task<WebCertificate> ObtainAsync(CancellationToken cancellationToken)
    {
        using var account = new AcmeKey(ReadOrMakeAccount());
        using var client = new AcmeClient(_config, account, _time);
        using var key = KeyPair.Generate(KeyType.EcP256);
        var chain = await new AcmeOrder(client, account, _config, Challenges, _time).ObtainAsync(key, cancellationToken).ConfigureAwait(false);

        // Nothing takes the place of what works before it was looked at.
        var keyText = Pem.EncodePrivateKey(key);
        if (!WebCertificate.TryRead(chain, keyText, keyFile: "", out var fresh, out var problem))
        {
            throw new AcmeException($"what it signed can't be used: {problem}");
        }

        if (WebCertificate.WhyRenew(fresh, _config.Names, _time.GetUtcNow()) is { } unfit)
        {
            throw new AcmeException($"what it signed is of no use: {unfit}");
        }

        PrivateFile.WriteAtomically(Path.Combine(_folder, CertificateFile), Encoding.ASCII.GetBytes(keyText + chain));
        return fresh;
    }

    private ECDsa ReadOrMakeAccount()
    {
        var path = Path.Combine(_folder, AccountFile);
        if (File.Exists(path))
        {
            return Pem.TryReadPrivateKey(Encoding.UTF8.GetString(BoundedFile.Read(path, MaxFileBytes)), out var kept, out var problem) && kept is ECDsa { KeySize: 256 } account
                ? account
                : throw new AcmeException($"the account's key in {path} can't be used{(problem.Length > 0 ? $": {problem}" : "")}; move it away to begin a new account");
        }

        var key = (ECDsa)KeyPair.Generate(KeyType.EcP256);
        PrivateFile.WriteAtomically(path, Encoding.ASCII.GetBytes(Pem.EncodePrivateKey(key)));
        return key;
    }

    private WebCertificate? ReadKept()
    {
        var path = Path.Combine(_folder, CertificateFile);
        if (!File.Exists(path))
        {
            return null;
        }

        string problem;
        try
        {
            var text = Encoding.UTF8.GetString(BoundedFile.Read(path, MaxFileBytes));
            if (WebCertificate.TryRead(text, text, keyFile: "", out var held, out problem))
            {
                return held;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem = e.Message;
        }

        _log.KeptCertificateRefused(path, problem);
        return null;
    }
}
