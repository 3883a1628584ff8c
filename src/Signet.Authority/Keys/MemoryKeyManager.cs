using System.Collections.Concurrent;
using System.Security.Cryptography;
using Signet.Identity.X509;

namespace Signet.Authority.Keys;

/// <summary>Keys that live as long as the process; for tests and for servers whose authorities come from above at each start.</summary>
public sealed class MemoryKeyManager : IKeyManager
{
    private readonly ConcurrentDictionary<string, AsymmetricAlgorithm> _keys = new(StringComparer.Ordinal);

    /// <summary>The names under which a key is kept.</summary>
    public IReadOnlyCollection<string> Names => [.. _keys.Keys];

    public async Task<AsymmetricAlgorithm> GenerateAsync(string name, KeyType type, CancellationToken cancellationToken)
    {
        var key = KeyPair.Generate(type);
        await ImportAsync(name, key, cancellationToken).ConfigureAwait(false);
        return key;
    }

    public Task ImportAsync(string name, AsymmetricAlgorithm key, CancellationToken cancellationToken) =>
        _keys.TryAdd(name, key) ? Task.CompletedTask : throw new KeyManagerException($"key \"{name}\" exists already");

    public Task<AsymmetricAlgorithm?> FindAsync(string name, CancellationToken cancellationToken) =>
        Task.FromResult(_keys.GetValueOrDefault(name));

    public Task DeleteAsync(string name, CancellationToken cancellationToken)
    {
        _keys.TryRemove(name, out _);
        return Task.CompletedTask;
    }
}
