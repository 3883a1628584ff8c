namespace Signet.Authority.Rotation;

/// <summary>
/// Remembers the authorities, so that a restart resumes in the middle of a rotation. A write is durable before its task completes, and
/// all of it becomes visible together or not at all.
/// </summary>
public interface IAuthorityJournal
{
    /// <summary>What was committed last.</summary>
    Task<AuthorityLedger> LoadAsync(CancellationToken cancellationToken);

    /// <summary>Makes a change, and counts it when it concerns what is published.</summary>
    /// <param name="change">What changes.</param>
    /// <param name="content">The digest of what is published afterwards (<see cref="AuthorityLedger.Content"/>).</param>
    /// <param name="cancellationToken">Gives up before anything was changed.</param>
    /// <returns>The sequence number of that content: higher than any before unless the content is the last one's (SPIFFE Trust Domain and Bundle §4.1.2).</returns>
    Task<ulong> CommitAsync(AuthorityChange change, string content, CancellationToken cancellationToken);
}
