using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Signet.Identity.Spiffe;

namespace Signet.Client;

/// <summary>
/// A private key that stays where it is: an OpenSSL provider or engine holds it (a TPM, a token, an HSM), and a line in the place of the key's PEM says which.
/// </summary>
internal static class HeldKey
{
    private const string Provider = "provider";
    private const string Engine = "engine";

    /// <summary>Whether a key's file names a held key.</summary>
    public static bool IsNamedIn(string text) => text.StartsWith(Provider + ":", StringComparison.Ordinal) || text.StartsWith(Engine + ":", StringComparison.Ordinal);

    /// <summary>Asks its holder for it. Never throws.</summary>
    // held-key = ("provider" / "engine") ":" name ":" id, such as provider:tpm2:handle:0x81000001
    public static bool TryOpen(string text, [NotNullWhen(true)] out AsymmetricAlgorithm? key, out string problem)
    {
        (key, problem) = (null, "");
        var line = text.Trim();
        if (line.Split(':', 3) is not [var kind and (Provider or Engine), { Length: > 0 } name, { Length: > 0 } id])
        {
            problem = $"\"{Printable.Of(line)}\" names no held key; write provider:NAME:URI or engine:NAME:ID, such as provider:tpm2:handle:0x81000001";
            return false;
        }

        try
        {
            using var handle = kind == Provider ? SafeEvpPKeyHandle.OpenKeyFromProvider(name, id) : SafeEvpPKeyHandle.OpenPrivateKeyFromEngine(name, id);
            key = Of(handle);
            return true;
        }
        catch (Exception e) when (e is CryptographicException or PlatformNotSupportedException)
        {
            problem = $"the {kind} \"{Printable.Of(name)}\" does not give the key \"{Printable.Of(id)}\": {e.Message}";
            return false;
        }
    }

    private static AsymmetricAlgorithm Of(SafeEvpPKeyHandle handle)
    {
        try
        {
            return new ECDsaOpenSsl(handle);
        }
        catch (CryptographicException)
        {
            return new RSAOpenSsl(handle);
        }
    }
}
