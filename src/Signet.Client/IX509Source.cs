namespace Signet.Client;

/// <summary>Where an X.509 identity comes from and stays fresh. Thread-safe.</summary>
public interface IX509Source
{
    /// <summary>The newest identity, or null before the first and after it was withdrawn.</summary>
    X509Context? Current { get; }

    /// <summary>Why there is no identity, or why the newest could not be renewed; null when all is well. For operators.</summary>
    string? Problem { get; }

    /// <summary>Completes with the current identity, as soon as there is one.</summary>
    Task<X509Context> WaitAsync(CancellationToken cancellationToken);

    /// <summary>Calls back after <see cref="Current"/> has changed, until the answer is disposed. The callback must not block or throw.</summary>
    IDisposable OnChange(Action changed);
}
