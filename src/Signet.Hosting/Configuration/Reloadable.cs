using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Files;
using Signet.Hosting.Telemetry;

namespace Signet.Hosting.Configuration;

/// <summary>
/// A configuration that follows its file: read again when the file changes and on SIGHUP. A file that has become wrong keeps the last good
/// configuration in force and says so in the log, in <c>signet.config.reloads</c> and in <see cref="Problems"/>.
/// </summary>
/// <typeparam name="T">The configuration, immutable.</typeparam>
public sealed class Reloadable<T> : IAsyncDisposable
    where T : class
{
    private static readonly Counter<long> Reloads = HostingMeter.Instance.CreateCounter<long>("signet.config.reloads", null, "Times a configuration was read again, by result");

    private readonly string _path;
    private readonly IReadOnlyDictionary<string, string> _environment;
    private readonly Func<ConfigSection, T> _read;
    private readonly Action<T> _changed;
    private readonly ILogger _log;
    private readonly FileSetWatch _watch;
    private T _current;
    private IReadOnlyList<ConfigProblem> _problems = [];

    private Reloadable(string path, IReadOnlyDictionary<string, string> environment, Func<ConfigSection, T> read, Action<T> changed, TimeProvider time, ILogger log)
    {
        (_path, _environment, _read, _changed, _log) = (path, environment, read, changed, log);
        var files = FileSet.Of(path);
        var text = ConfigFile.ReadText(path);
        _current = ConfigDocument.Read(path, text, environment, read);
        _watch = FileSetWatch.Start(files, [files.Holding(text)], Reload, time, log);
    }

    /// <summary>The last good configuration. Thread-safe.</summary>
    public T Current => Volatile.Read(ref _current);

    /// <summary>What is wrong with the file as it lies there now; empty when <see cref="Current"/> is what it says. Thread-safe.</summary>
    public IReadOnlyList<ConfigProblem> Problems =>
        _watch.Problem is { } unreadable ? [new ConfigProblem(_path, 0, "", unreadable)] : Volatile.Read(ref _problems);

    /// <summary>Reads the file, and again whenever it changes, until it is disposed.</summary>
    /// <param name="path">The file.</param>
    /// <param name="environment">What <c>${NAME}</c> and <c>env:NAME</c> mean.</param>
    /// <param name="read">Builds the configuration.</param>
    /// <param name="changed">Takes each new configuration, one at a time; not the first. Says in the log what can't change without a restart.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">Where it logs.</param>
    /// <exception cref="ConfigException">The first read failed; carries all problems.</exception>
    public static Reloadable<T> Start(
        string path, IReadOnlyDictionary<string, string> environment, Func<ConfigSection, T> read, Action<T> changed, TimeProvider time, ILogger log) =>
        new(path, environment, read, changed, time, log);

    /// <summary>Reads the file again at once: what SIGHUP does. Thread-safe.</summary>
    public void ReadAgain() => _watch.LookAgain();

    public ValueTask DisposeAsync() => _watch.DisposeAsync();

    private void Reload(ImmutableArray<WatchedFile> files)
    {
        try
        {
            var next = ConfigDocument.Read(_path, files[0].Text, _environment, _read);
            Volatile.Write(ref _current, next);
            Volatile.Write(ref _problems, []);
            Count("ok");
            _log.ConfigReloaded(_path);
            _changed(next);
        }
        catch (ConfigException e)
        {
            Volatile.Write(ref _problems, e.Problems);
            Count("failed");
            foreach (var problem in e.Problems)
            {
                _log.ConfigNotReloaded(problem.ToString());
            }
        }
    }

    private void Count(string result) => Reloads.Add(1, new("file", Path.GetFileName(_path)), new("result", result));
}
