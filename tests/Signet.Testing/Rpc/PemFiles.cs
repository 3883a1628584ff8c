using System.Security.Cryptography.X509Certificates;

namespace Signet.Testing.Rpc;

/// <summary>A test's certificates as files, for programs that read files.</summary>
public static class PemFiles
{
    /// <summary>Writes <c>ca.pem</c>, <c>client.pem</c> and <c>client.key</c>.</summary>
    public static void Write(RpcTestCertificates certificates, string folder)
    {
        File.WriteAllText(Path.Combine(folder, "ca.pem"), certificates.Authority.ExportCertificatePem());
        File.WriteAllText(Path.Combine(folder, "client.pem"), certificates.Client.ExportCertificatePem());
        using var key = certificates.Client.GetECDsaPrivateKey()!;
        File.WriteAllText(Path.Combine(folder, "client.key"), key.ExportPkcs8PrivateKeyPem());
    }
}
