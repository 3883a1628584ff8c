namespace Signet.Server.Storage;

/// <summary>Why the store did not do what it was asked.</summary>
public enum StoreProblem
{
    /// <summary>No space is left; nothing was changed.</summary>
    Full,

    /// <summary>The file cannot be opened, read or written.</summary>
    Unavailable,

    /// <summary>The file is no store, or parts of it are broken.</summary>
    Damaged,

    /// <summary>The file was written by a newer version, or its schema was changed by hand.</summary>
    WrongSchema,
}

/// <summary>The store failed; the message names the file and what to do.</summary>
public sealed class StoreException(StoreProblem problem, string message, Exception? inner = null) : Exception(message, inner)
{
    public StoreProblem Problem { get; } = problem;
}
