using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Files;
using Signet.Proxy.Config;

namespace Signet.Proxy.Tls.Web;

/// <summary>
/// The credentials that DestinationRules name by files. Each is read when it is first wanted and followed from then on; files that cannot be
/// used keep the last good one. Thread-safe; disposing ends the watching.
/// </summary>
internal sealed class WebCredentials(TlsConfig tls, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    /// <summary>What could not be read is not read again sooner.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan UnusedFor = TimeSpan.FromMinutes(10);

    private readonly Lock _gate = new();
    private readonly Dictionary<WebFiles, Entry> _entries = [];
    private bool _isClosed;

    /// <summary>Called after a credential has been replaced by a newer one. Set once, before the first connection.</summary>
    public Action Changed { get; set; } = () => { };

    /// <summary>What is in use at this moment; null when the files were never wanted, or never good. Reads nothing.</summary>
    public WebCredential? Current(WebFiles files)
    {
        lock (_gate)
        {
            return _entries.TryGetValue(files, out var entry) ? entry.Use(time) : null;
        }
    }

    /// <summary>The credential of those files. Reads them when it is the first to ask, so not on a loop's thread.</summary>
    /// <param name="files">The files.</param>
    /// <param name="problem">Why there is none.</param>
    public WebCredential? Load(WebFiles files, out string problem)
    {
        lock (_gate)
        {
            problem = "the proxy stops";
            if (_isClosed)
            {
                return null;
            }

            // Files that are watched need no second look, good or bad; those that could not be read do.
            if (_entries.TryGetValue(files, out var known) && (known.Credential is not null || known.Watch is not null || time.GetElapsedTime(known.Tried) < Patience))
            {
                problem = known.Problem;
                return known.Use(time);
            }

            var entry = new Entry(files, time.GetTimestamp());
            _entries[files] = entry;
            Read_NeedsLock(entry);
            problem = entry.Problem;
            return entry.Use(time);
        }
    }

    /// <summary>Lets go of what nobody has wanted for a while.</summary>
    public async ValueTask SweepAsync()
    {
        List<Entry> unused;
        lock (_gate)
        {
            unused = [.. _entries.Values.Where(entry => time.GetElapsedTime(entry.Used) > UnusedFor)];
            unused.ForEach(entry => _entries.Remove(entry.Files));
        }

        await CloseAsync(unused).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        List<Entry> all;
        lock (_gate)
        {
            _isClosed = true;
            all = [.. _entries.Values];
            _entries.Clear();
        }

        await CloseAsync(all).ConfigureAwait(false);
    }

    private static async ValueTask CloseAsync(List<Entry> entries)
    {
        foreach (var entry in entries)
        {
            if (entry.Watch is { } watch)
            {
                await watch.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    private void Read_NeedsLock(Entry entry)
    {
        var paths = entry.Files.Paths(File.Exists);
        try
        {
            entry.Watch = paths.Count > 0 ? FileSetWatch.Start(FileSet.Of(paths), changed => Replace(entry, changed), time, logger) : null;
            TryTake_NeedsLock(entry, entry.Watch?.Current ?? []);
        }
        catch (PlaceException e)
        {
            entry.Problem = e.Message;
        }
    }

    private void Replace(Entry entry, ImmutableArray<WatchedFile> texts)
    {
        lock (_gate)
        {
            if (!TryTake_NeedsLock(entry, texts))
            {
                Log.CredentialUnusable(logger, entry.Problem);
                return;
            }
        }

        Changed();
    }

    private bool TryTake_NeedsLock(Entry entry, ImmutableArray<WatchedFile> texts)
    {
        var isGood = WebCredential.TryCreate(entry.Files, path => texts.First(file => file.Path == Path.GetFullPath(path)).Text, tls, out var credential, out var problem);
        entry.Problem = problem;
        entry.Credential = credential ?? entry.Credential;
        return isGood;
    }

    private sealed class Entry(WebFiles files, long tried)
    {
        private WebCredential? _credential;

        public WebFiles Files => files;

        public long Tried => tried;

        public long Used { get; private set; }

        public string Problem { get; set; } = "";

        public FileSetWatch? Watch { get; set; }

        public WebCredential? Credential
        {
            get => Volatile.Read(ref _credential);
            set => Volatile.Write(ref _credential, value);
        }

        public WebCredential? Use(TimeProvider time)
        {
            Used = time.GetTimestamp();
            return Credential;
        }
    }
}
