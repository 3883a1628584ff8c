namespace Signet.Authority.Rotation;

/// <summary>
/// Remembers the authorities, so that a restart resumes in the middle of a rotation. A write is durable before its task completes, and
/// all records of one write become visible together or not at all.
/// </summary>
public interface IAuthorityJournal
{
    /// <summary>Every authority that has not been forgotten, in the order of their making.</summary>
    Task<IReadOnlyList<AuthorityRecord>> LoadAsync(CancellationToken cancellationToken);

    /// <summary>Adds the records or replaces those with the same ID.</summary>
    Task SaveAsync(IReadOnlyList<AuthorityRecord> records, CancellationToken cancellationToken);

    /// <summary>Forgets an authority.</summary>
    Task DeleteAsync(string id, CancellationToken cancellationToken);
}
