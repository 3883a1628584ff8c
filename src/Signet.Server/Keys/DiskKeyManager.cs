using System.Collections.Concurrent;
using System.Security.Cryptography;
using Signet.Authority.Keys;
using Signet.Hosting.Files;
using Signet.Identity.X509;

namespace Signet.Server.Keys;

/// <summary>Keys as PKCS#8 PEM files, mode 0600, in a folder of mode 0700; a key is whole on the disk before anybody uses it.</summary>
public sealed class DiskKeyManager : IKeyManager
{
    private readonly string _folder;
    private readonly ConcurrentDictionary<string, AsymmetricAlgorithm> _loaded = new(StringComparer.Ordinal);

    /// <summary>Creates the folder if need be.</summary>
    public DiskKeyManager(string folder)
    {
        PrivateFolder.Ensure(folder);
        _folder = folder;
    }

    public async Task<AsymmetricAlgorithm> GenerateAsync(string name, KeyType type, CancellationToken cancellationToken)
    {
        var key = KeyPair.Generate(type);
        await ImportAsync(name, key, cancellationToken).ConfigureAwait(false);
        return key;
    }

    public Task ImportAsync(string name, AsymmetricAlgorithm key, CancellationToken cancellationToken)
    {
        var path = PathOf(name);
        if (File.Exists(path))
        {
            throw new KeyManagerException($"key file {path} exists already");
        }

        try
        {
            PrivateFile.WriteAtomically(path, System.Text.Encoding.ASCII.GetBytes(Pem.EncodePrivateKey(key)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KeyManagerException($"key file {path} cannot be written: {e.Message}", e);
        }

        _loaded[name] = key;
        return Task.CompletedTask;
    }

    public async Task<AsymmetricAlgorithm?> FindAsync(string name, CancellationToken cancellationToken)
    {
        if (_loaded.TryGetValue(name, out var loaded))
        {
            return loaded;
        }

        var path = PathOf(name);
        if (!File.Exists(path))
        {
            return null;
        }

        if ((File.GetUnixFileMode(path) & ~(UnixFileMode.UserRead | UnixFileMode.UserWrite)) != 0)
        {
            throw new KeyManagerException($"key file {path} can be read by others; run: chmod 600 {path}");
        }

        string text;
        try
        {
            text = await File.ReadAllTextAsync(path, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KeyManagerException($"key file {path} cannot be read: {e.Message}", e);
        }

        return Pem.TryReadPrivateKey(text, out var key, out var problem)
            ? _loaded.GetOrAdd(name, key)
            : throw new KeyManagerException($"key file {path}: {problem}; restore it from a backup. The file of an issuing or JWT key may be moved away instead: the server makes another");
    }

    public Task DeleteAsync(string name, CancellationToken cancellationToken)
    {
        _loaded.TryRemove(name, out _);
        File.Delete(PathOf(name));
        return Task.CompletedTask;
    }

    private string PathOf(string name) => Path.Combine(_folder, name + ".pem");
}
