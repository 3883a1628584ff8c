using Signet.Identity.Registration;

namespace Signet.Server.Registration;

/// <summary>Keeps registration entries. Durable before a task completes.</summary>
public interface IEntryStore
{
    Task<IReadOnlyList<RegistrationEntry>> LoadAsync(CancellationToken cancellationToken);

    /// <summary>Adds the entries or replaces those with the same ID: all of them or none.</summary>
    Task SaveAsync(IReadOnlyList<RegistrationEntry> entries, CancellationToken cancellationToken) => ChangeAsync(entries, [], cancellationToken);

    Task DeleteAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken) => ChangeAsync([], ids, cancellationToken);

    /// <summary>Both at once: all of it or nothing.</summary>
    Task ChangeAsync(IReadOnlyList<RegistrationEntry> saved, IReadOnlyList<string> deletedIds, CancellationToken cancellationToken);
}
