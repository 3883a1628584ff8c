namespace Signet.Proxy.Authorization;

/// <summary>An external authoriser that can be asked. Thread-safe; dispose to close its connections.</summary>
internal interface IAuthoriser : IDisposable
{
    /// <exception cref="OperationCanceledException">The time is over, or the caller no longer wants the answer.</exception>
    Task<CheckAnswer> CheckAsync(CheckSubject subject, CancellationToken cancellationToken);
}
