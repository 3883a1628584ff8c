using System.Security.Cryptography;
using Signet.Identity.X509;

namespace Signet.Authority.Keys;

/// <summary>
/// Holds the private keys of authorities under names. A key may live in memory, in a file or in hardware; callers get something that
/// signs and never its bytes. Implementations are thread-safe; a broken outside world is a <see cref="KeyManagerException"/>.
/// </summary>
public interface IKeyManager
{
    /// <summary>Makes a key and keeps it under the name, durably before the task completes.</summary>
    /// <exception cref="KeyManagerException">The name is taken or the key cannot be kept.</exception>
    Task<AsymmetricAlgorithm> GenerateAsync(string name, KeyType type, CancellationToken cancellationToken);

    /// <summary>Keeps a key that was made elsewhere under the name, durably before the task completes.</summary>
    /// <exception cref="KeyManagerException">The name is taken or the key cannot be kept.</exception>
    Task ImportAsync(string name, AsymmetricAlgorithm key, CancellationToken cancellationToken);

    /// <summary>The key under the name, or null when there is none.</summary>
    /// <exception cref="KeyManagerException">There is one, but it cannot be used.</exception>
    Task<AsymmetricAlgorithm?> FindAsync(string name, CancellationToken cancellationToken);

    /// <summary>Forgets the key; nothing happens when there is none.</summary>
    Task DeleteAsync(string name, CancellationToken cancellationToken);
}

/// <summary>A key could not be made, read or kept; the message names the key and what to do.</summary>
public sealed class KeyManagerException(string message, Exception? inner = null) : Exception(message, inner);
