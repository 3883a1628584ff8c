using System.Security.Cryptography;
using System.Text;
using Signet.Hosting.Files;

namespace Signet.Agent.Identities;

/// <summary>What lies under a kind in a <see cref="SealedFolder"/>.</summary>
internal abstract record SealedContent
{
    private SealedContent()
    {
    }

    /// <summary>Nothing was kept.</summary>
    internal sealed record Absent : SealedContent;

    /// <summary>It is what was kept on this node, byte by byte. It may hold keys: whoever is done with it clears it.</summary>
    internal sealed record Opened(byte[] Content) : SealedContent;

    /// <summary>It cannot be used, and why.</summary>
    internal sealed record Refused(string Reason) : SealedContent;
}

/// <summary>
/// A folder for what must survive a restart of the agent and be of no use anywhere else: one file per kind of content, sealed with AES-256-GCM (NIST SP 800-38D)
/// under a key that is derived (HKDF, RFC 5869) from a secret in the folder, the machine's ID and the kind. A file that was changed, or put under
/// another kind, or brought from another machine, does not open. An older file of the same kind does: nothing here can know that there was a newer one.
/// Thread-safe for different kinds.
/// </summary>
internal sealed class SealedFolder
{
    /// <summary>The longest content, in bytes.</summary>
    public const int MaxBytes = 128 * 1024 * 1024;

    // magic, version, which key, nonce, tag, then the sealed content
    private const byte Version = 1;
    private const int KeyIdLength = 8, NonceLength = 12, TagLength = 16, KeyLength = 32, MaxKind = 32;

    private static readonly byte[] Magic = Encoding.ASCII.GetBytes("signet-sealed");
    private static readonly int NonceAt = Magic.Length + 1 + KeyIdLength;
    private static readonly int HeaderLength = NonceAt + NonceLength + TagLength;

    private readonly string _folder;
    private readonly byte[] _secret;
    private readonly byte[] _machine;
    private readonly byte[] _keyId;

    private SealedFolder(string folder, byte[] secret, byte[] machine)
    {
        (_folder, _secret, _machine) = (folder, secret, machine);
        _keyId = HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, KeyIdLength, machine, "signet sealed folder: which key"u8.ToArray());
    }

    /// <summary>Opens the folder, and makes it and its secret if they are missing.</summary>
    /// <param name="folder">Where it is; mode 0700.</param>
    /// <param name="machineIdFile">What tells this machine from others (machine-id(5)); where it is missing, only the secret binds the files to this node.</param>
    /// <exception cref="PlaceException">It cannot be made, or others may write to it.</exception>
    public static SealedFolder Open(string folder, string machineIdFile = "/etc/machine-id")
    {
        PrivateFolder.Ensure(folder);
        var path = Path.Combine(folder, "secret");
        var secret = Read(path, KeyLength);
        if (secret is not { Length: KeyLength })
        {
            secret = RandomNumberGenerator.GetBytes(KeyLength);
            PrivateFile.WriteAtomically(path, secret);
        }

        const int LongestMachineId = 128;
        return new SealedFolder(folder, secret, Read(machineIdFile, LongestMachineId) ?? []);
    }

    /// <summary>Forgets everything that was kept, and the secret.</summary>
    /// <exception cref="PlaceException">It cannot be removed.</exception>
    public static void Remove(string folder)
    {
        try
        {
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PlaceException("folder", folder, $"cannot be removed: {FileReason.Of(e)}", e);
        }
    }

    /// <summary>Puts content in the place of what was kept under the kind, in one step.</summary>
    /// <param name="kind">1 to 32 of <c>a-z</c> and <c>-</c>; a file name.</param>
    /// <param name="content">At most <see cref="MaxBytes"/>; sealed where it stands, and nothing to read any more afterwards.</param>
    /// <exception cref="PlaceException">It cannot be written; what was there before still is.</exception>
    public void Save(string kind, Span<byte> content)
    {
        var path = PathOf(kind);
        if (content.Length > MaxBytes)
        {
            throw new PlaceException("file", path, $"would have {content.Length} bytes; the limit is {MaxBytes}");
        }

        var header = new byte[HeaderLength];
        Magic.CopyTo(header, 0);
        header[Magic.Length] = Version;
        _keyId.CopyTo(header, Magic.Length + 1);
        var nonce = header.AsSpan(NonceAt, NonceLength);
        RandomNumberGenerator.Fill(nonce);
        using (var cipher = CipherFor(kind))
        {
            cipher.Encrypt(nonce, content, content, header.AsSpan(NonceAt + NonceLength, TagLength), header.AsSpan(0, NonceAt));
        }

        PrivateFile.WriteAtomically(path, header, content);
    }

    /// <summary>What was kept under the kind.</summary>
    public SealedContent Load(string kind)
    {
        var path = PathOf(kind);
        byte[]? file;
        try
        {
            if (!File.Exists(path))
            {
                return new SealedContent.Absent();
            }

            file = Read(path, HeaderLength + MaxBytes);
        }
        catch (PlaceException e)
        {
            return new SealedContent.Refused(e.Reason);
        }

        if (file is null || file.Length < HeaderLength || !file.AsSpan().StartsWith(Magic))
        {
            return new SealedContent.Refused("it is not a sealed file, or longer than one may be");
        }

        if (file[Magic.Length] != Version)
        {
            return new SealedContent.Refused($"it has version {file[Magic.Length]}, and this program reads version {Version}");
        }

        if (!file.AsSpan(Magic.Length + 1, KeyIdLength).SequenceEqual(_keyId))
        {
            return new SealedContent.Refused("it was sealed on another machine, or with a secret that is gone");
        }

        var content = new byte[file.Length - HeaderLength];
        try
        {
            using var cipher = CipherFor(kind);
            cipher.Decrypt(file.AsSpan(NonceAt, NonceLength), file.AsSpan(HeaderLength), file.AsSpan(NonceAt + NonceLength, TagLength), content, file.AsSpan(0, NonceAt));
            return new SealedContent.Opened(content);
        }
        catch (AuthenticationTagMismatchException)
        {
            return new SealedContent.Refused("it was changed after it had been sealed");
        }
    }

    private static byte[]? Read(string path, int maxBytes)
    {
        try
        {
            return File.Exists(path) && new FileInfo(path).Length <= maxBytes ? File.ReadAllBytes(path) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PlaceException("file", path, $"cannot be read: {FileReason.Of(e)}", e);
        }
    }

    private AesGcm CipherFor(string kind)
    {
        var key = HKDF.DeriveKey(HashAlgorithmName.SHA256, _secret, KeyLength, _machine, Encoding.ASCII.GetBytes($"signet sealed folder: content {kind}"));
        try
        {
            return new AesGcm(key, TagLength);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    private string PathOf(string kind) => kind.Length is > 0 and <= MaxKind && kind.All(c => char.IsAsciiLetterLower(c) || c == '-')
        ? Path.Combine(_folder, kind + ".sealed")
        : throw new ArgumentException($"\"{kind}\" is no kind of content", nameof(kind));
}
