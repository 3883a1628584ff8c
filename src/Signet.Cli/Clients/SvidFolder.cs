using System.Text;
using Signet.Hosting.Files;
using Signet.Identity.Jose;
using Signet.Identity.X509;

namespace Signet.Cli.Clients;

/// <summary>An identity as files for programs that read those: <c>key.pem</c>, <c>svid.pem</c>, <c>bundle.pem</c>, and <c>federated/DOMAIN.pem</c>.</summary>
internal static class SvidFolder
{
    /// <summary>Writes the files, each whole and for their owner only. The key comes first: whoever waits for the certificate then finds both.</summary>
    /// <exception cref="PlaceException">A folder or file cannot be made.</exception>
    public static void Write(string folder, X509Svid svid, IEnumerable<X509Bundle> bundles)
    {
        Write(folder, "key.pem", Pem.EncodePrivateKey(svid.Key));
        Write(folder, "svid.pem", Pem.Encode(svid.Chain));
        foreach (var bundle in bundles)
        {
            if (bundle.TrustDomain == svid.Id.TrustDomain)
            {
                Write(folder, "bundle.pem", bundle.ToPem());
            }
            else
            {
                Write(Path.Combine(folder, "federated"), bundle.TrustDomain.Name + ".pem", bundle.ToPem());
            }
        }
    }

    /// <summary>Writes bundles: <c>DOMAIN.pem</c> and <c>DOMAIN.jwks</c> each, and all of them in <c>bundles.json</c>.</summary>
    /// <exception cref="PlaceException">A folder or file cannot be made.</exception>
    public static void Write(string folder, IReadOnlyList<SpiffeBundle> bundles)
    {
        foreach (var bundle in bundles)
        {
            Write(folder, bundle.TrustDomain.Name + ".pem", bundle.X509.ToPem());
            Write(folder, bundle.TrustDomain.Name + ".jwks", bundle.Jwt.ToJson());
        }

        Write(folder, "bundles.json", BundleMap.Write([.. bundles]));
    }

    private static void Write(string folder, string name, string text)
    {
        PrivateFolder.Ensure(folder);
        PrivateFile.WriteAtomically(Path.Combine(folder, name), Encoding.ASCII.GetBytes(text));
    }
}
