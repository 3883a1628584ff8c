namespace Signet.Client;

/// <summary>
/// The Workload API answered, but its answer can't be used: it breaks the standard, or it says that a token is not believed. The message says why and never holds a token or key.
/// </summary>
public sealed class WorkloadApiException(string message) : Exception(message);
