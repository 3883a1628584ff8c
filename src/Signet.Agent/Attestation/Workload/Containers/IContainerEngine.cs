using Signet.Identity.Registration;

namespace Signet.Agent.Attestation.Workload.Containers;

/// <summary>What an engine says of one of its containers.</summary>
/// <param name="Id">Its ID.</param>
/// <param name="FirstPid">The process that the engine started in it, as the host sees it; 0 when nothing runs.</param>
/// <param name="Selectors">What it is.</param>
internal sealed record EngineContainer(string Id, int FirstPid, IReadOnlySet<Selector> Selectors);

/// <summary>An engine cannot be asked; the message says why.</summary>
internal sealed class EngineException(string message) : Exception(message);

/// <summary>What makes containers, and knows the processes in them. Thread-safe; answers in bounded time and size.</summary>
internal interface IContainerEngine : IDisposable
{
    /// <returns>Null when it has no such container.</returns>
    /// <exception cref="EngineException">It cannot be asked.</exception>
    Task<EngineContainer?> FindAsync(string id, CancellationToken cancellationToken);
}
