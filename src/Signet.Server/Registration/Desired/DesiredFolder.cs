using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Signet.Hosting;
using Signet.Hosting.Files;
using Signet.Server.Storage;
using Signet.Server.Telemetry;

namespace Signet.Server.Registration.Desired;

/// <summary>A folder whose files say which entries there are to be.</summary>
/// <param name="Folder">Where they lie.</param>
/// <param name="Cluster">The Kubernetes cluster that they speak of.</param>
/// <param name="MayDeleteMost">Whether a change of the files may delete most of the entries at once.</param>
public sealed record DesiredFolderConfig(string Folder, string Cluster, bool MayDeleteMost);

/// <summary>
/// Keeps a folder's entries as its files say: when a file changes, and when somebody changes or deletes by hand what belongs to the folder. Entries of
/// others are left alone. A file that does not hold changes nothing. One task; dispose after it has ended.
/// </summary>
internal sealed class DesiredFolder : IAsyncDisposable
{
    /// <summary>The owner of the folder's entries.</summary>
    public const string Owner = "folder";

    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(5);

    private readonly EntryDirectory _entries;
    private readonly DesiredFolderConfig _config;
    private readonly DesiredScope _scope;
    private readonly ServerMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger<DesiredFolder> _log;
    private readonly ChangeSignal _files = new();
    private readonly FileSetWatch _watch;
    private string _problem = "";

    /// <exception cref="PlaceException">The folder cannot be read.</exception>
    public DesiredFolder(EntryDirectory entries, DesiredFolderConfig config, DesiredScope scope, ServerMetrics metrics, TimeProvider time, ILogger<DesiredFolder> log)
    {
        (_entries, _config, _scope, _metrics, _time, _log) = (entries, config, scope, metrics, time, log);
        _watch = FileSetWatch.Start(FileSet.Folder(config.Folder), _ => _files.Raise(), time, log);
    }

    public string Folder => _config.Folder;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        ImmutableArray<WatchedFile> read = default;
        DesiredEntries desired = new([], [], []);
        while (!cancellationToken.IsCancellationRequested)
        {
            var (filesSeen, entriesSeen) = (_files.Version, _entries.Changes.Version);
            var files = _watch.Current;
            var isNew = read != files;
            if (isNew)
            {
                desired = DesiredEntries.Read(files.Select(file => (file.Path, file.Text)), _scope);
                read = files;
            }

            var done = await ApplyAsync(desired, isNew, cancellationToken).ConfigureAwait(false);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(
                _files.WaitAsync(filesSeen, either.Token),
                _entries.Changes.WaitAsync(entriesSeen, either.Token),
                Task.Delay(done ? Timeout.InfiniteTimeSpan : AfterFailure, _time, either.Token)).ConfigureAwait(false);
            await either.CancelAsync().ConfigureAwait(false);
        }
    }

    public ValueTask DisposeAsync() => _watch.DisposeAsync();

    /// <returns>False when it is worth trying again though nothing changes.</returns>
    private async Task<bool> ApplyAsync(DesiredEntries desired, bool isNew, CancellationToken cancellationToken)
    {
        if (desired.Problems.Count > 0)
        {
            Tell(string.Join("; ", desired.Problems));
            return true;
        }

        try
        {
            var applied = await _entries.ApplyAsync(Owner, desired.Entries, _config.MayDeleteMost ? ApplyMode.EvenDeleteMost : ApplyMode.Carefully, EntryDirectory.OwnWish, cancellationToken).ConfigureAwait(false);
            if (applied.Problems.Count > 0)
            {
                Tell(string.Join("; ", applied.Problems) + (applied.Plan is null ? "" : $"; if that is meant, run: signet entry apply --owner {Owner} --delete-most {_config.Folder}"));
                return true;
            }

            Tell("");
            Report(applied.Plan!, desired, isNew);
            return true;
        }
        catch (StoreException e)
        {
            Tell(e.Message);
            return false;
        }
    }

    private void Report(EntryPlan plan, DesiredEntries desired, bool isNew)
    {
        var (created, updated, deleted) = (plan.Of(EntryStep.Create).Count(), plan.Of(EntryStep.Update).Count(), plan.Of(EntryStep.Delete).Count());
        if (isNew)
        {
            _log.DesiredStateApplied(_config.Folder, created, updated, deleted);
            foreach (var conflict in plan.Of(EntryStep.Conflict))
            {
                _log.DesiredEntryHeldByOther(conflict.Entry.SpiffeId.Uri, conflict.Entry.Id, conflict.Holder.Length > 0 ? conflict.Holder : "an operator");
            }

            foreach (var pod in desired.Skipped)
            {
                _log.PodSkipped(pod);
            }
        }
        else if (!plan.IsDone)
        {
            _log.DriftPutBack(_config.Folder, created + updated + deleted);
            _metrics.DriftPutBack(created + updated + deleted);
        }
    }

    private void Tell(string problem)
    {
        if (problem.Length > 0 && problem != _problem)
        {
            _log.DesiredStateNotApplied(_config.Folder, problem);
        }

        _problem = problem;
        _metrics.DesiredStateHolds(problem.Length == 0);
    }
}
