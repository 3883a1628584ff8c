using System.Security.Cryptography;

namespace Signet.Client;

/// <summary>
/// An identity from PEM files that somebody else renews. The files are read again every second, so renames, symlink swaps and rewrites are
/// all noticed; files that do not fit together yet (a new certificate beside the old key) keep the last good identity. Thread-safe.
/// </summary>
public sealed class X509FileSource : IX509Source, IAsyncDisposable
{
    /// <summary>A larger file is refused.</summary>
    public const int MaxFileBytes = 1024 * 1024;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly SourceState _state = new();
    private readonly string _certificate;
    private readonly string _key;
    private readonly string _roots;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _watch;
    private byte[] _seen = [];

    /// <summary>Reads the files at once and then keeps watching.</summary>
    public X509FileSource(string certificate, string key, string roots, TimeProvider time)
    {
        _certificate = certificate;
        _key = key;
        _roots = roots;
        _time = time;
        Read();
        _watch = WatchAsync(_stop.Token);
    }

    public X509Context? Current => _state.Current;

    public string? Problem => _state.Problem;

    public Task<X509Context> WaitAsync(CancellationToken cancellationToken) => _state.WaitAsync(cancellationToken);

    public IDisposable OnChange(Action changed) => _state.OnChange(changed);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _watch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Interval, _time);
        while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
        {
            Read();
        }
    }

    private void Read()
    {
        try
        {
            var (certificate, key, roots) = (ReadBounded(_certificate), ReadBounded(_key), ReadBounded(_roots));
            var digest = SHA256.HashData(System.Text.Encoding.UTF8.GetBytes($"{certificate}\0{key}\0{roots}"));
            if (digest.AsSpan().SequenceEqual(_seen))
            {
                _state.Recover();
                return;
            }

            if (X509Files.TryRead(certificate, key, roots, out var context, out var problem))
            {
                _seen = digest;
                _state.Publish(context);
            }
            else
            {
                _state.Fail($"{_certificate}, {_key}, {_roots}: {problem}");
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _state.Fail(e.Message);
        }
    }

    private static string ReadBounded(string path) => new FileInfo(path).Length <= MaxFileBytes
        ? File.ReadAllText(path)
        : throw new IOException($"{path} is larger than {MaxFileBytes} bytes");
}
