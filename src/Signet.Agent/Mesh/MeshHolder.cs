using Microsoft.Extensions.Logging;
using Signet.Hosting;
using Signet.Hosting.Distribution;

namespace Signet.Agent.Mesh;

/// <summary>The mesh's configuration as it was told last, by whom ever, whatever becomes of who told it. One task takes, any number ask; thread-safe.</summary>
internal sealed class MeshHolder
{
    private readonly MeshMemory _memory;
    private readonly ILogger<MeshHolder> _log;
    private MeshOffer _current;

    /// <param name="memory">Keeps it over a restart.</param>
    /// <param name="log">Where it logs.</param>
    public MeshHolder(MeshMemory memory, ILogger<MeshHolder> log)
    {
        (_memory, _log) = (memory, log);
        var kept = memory.Recall(out var problem);
        if (problem.Length > 0)
        {
            log.MeshForgotten(problem);
        }

        _current = new MeshOffer(kept, kept is null ? "nothing has come from the server yet" : "nothing newer than at the last start has come from the server yet");
    }

    /// <summary>The last good snapshot, and why there is none or no newer one.</summary>
    public MeshOffer Current => Volatile.Read(ref _current);

    /// <summary>Raised after it has changed.</summary>
    public ChangeSignal Changes { get; } = new();

    /// <summary>Takes a snapshot in place of the last.</summary>
    public void Take(MeshSnapshot snapshot)
    {
        Volatile.Write(ref _current, new MeshOffer(snapshot, Current.Problem));
        _log.MeshTaken(snapshot.Revision, snapshot.Documents.Count);
        Changes.Raise();
        try
        {
            _memory.Keep(snapshot);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _log.MeshNotKept(snapshot.Revision, e.Message);
        }
    }

    /// <summary>Hears why there is nothing newer; empty when all is well.</summary>
    public void Tell(string problem)
    {
        if (problem == Current.Problem)
        {
            return;
        }

        if (problem.Length > 0)
        {
            _log.MeshStays(problem);
        }

        Volatile.Write(ref _current, Current with { Problem = problem });
        Changes.Raise();
    }
}
