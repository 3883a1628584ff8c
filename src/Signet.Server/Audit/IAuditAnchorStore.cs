namespace Signet.Server.Audit;

/// <summary>Remembers, apart from the trail's files, where the trail begins and how far it goes. Durable before a task completes.</summary>
public interface IAuditAnchorStore
{
    /// <summary>Null before the first record.</summary>
    Task<AuditAnchors?> LoadAsync(CancellationToken cancellationToken);

    Task SaveAsync(AuditAnchors anchors, CancellationToken cancellationToken);
}
