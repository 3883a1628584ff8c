using System.Diagnostics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Signet.Agent.Attestation;
using Signet.Identity.X509;
using Signet.InteropTests.Rpc;
using Signet.Testing;
using PublicKey = System.Security.Cryptography.X509Certificates.PublicKey;

namespace Signet.InteropTests.Attestation;

/// <summary>
/// A TPM in software, made by its own maker's tools with a certificate of that maker, and device keys in it that the TPM tools made, one RSA and one EC, with certificates of a device authority.
/// </summary>
public sealed class SoftwareTpm : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private readonly ECDsa _authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private Process? _tpm;

    /// <summary>Who certifies devices.</summary>
    public Certificate DeviceAuthority { get; private set; } = null!;

    /// <summary>Who makes TPMs: the authority between, and the root.</summary>
    public IReadOnlyList<Certificate> Makers { get; private set; } = [];

    public string File(string name) => _folder.File(name);

    /// <summary>How an agent uses one of the keys.</summary>
    /// <param name="key"><c>rsa</c> or <c>ec</c>.</param>
    internal AttestorConfig.TpmDevId Config(string key) => new(File($"{key}.pem"), File($"{key}.pub"), File($"{key}.priv"), "unix:" + File("tpm.sock"), null, null, null);

    public async ValueTask InitializeAsync()
    {
        // 1. Made.
        Directory.CreateDirectory(File("state"));
        await System.IO.File.WriteAllTextAsync(File("ca.conf"), $"statedir = {_folder.Path}\nsigningkey = {File("maker.key")}\nissuercert = {File("maker.pem")}\ncertserial = {File("serial")}\n");
        await System.IO.File.WriteAllTextAsync(File("ca.options"), "--platform-manufacturer Test\n--platform-version 1\n--platform-model Virtual\n");
        await System.IO.File.WriteAllTextAsync(
            File("setup.conf"), $"create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = {File("ca.conf")}\ncreate_certs_tool_options = {File("ca.options")}\n");
        await Peer.RunAsync(Peer.Require("/usr/bin/swtpm_setup", "swtpm-tools"), _folder.Path, "--tpm2", "--tpmstate", File("state"), "--create-ek-cert", "--config", File("setup.conf"));
        Makers = [.. Read("maker.pem"), .. Read("swtpm-localca-rootca-cert.pem")];

        // 2. Running.
        _tpm = Peer.Start(
            Peer.Require("/usr/bin/swtpm", "swtpm"), _folder.Path, "socket", "--tpm2", "--tpmstate", $"dir={File("state")}", "--server", $"type=unixio,path={File("tpm.sock")}", "--flags", "not-need-init,startup-clear");
        await Eventually.IsTrueAsync(() => System.IO.File.Exists(File("tpm.sock")), "the TPM");

        // 3. With keys.
        var authority = new CertificateRequest("CN=devices", _authorityKey, HashAlgorithmName.SHA256);
        authority.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        authority.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        using var signer = authority.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1));
        DeviceAuthority = Parse(signer);
        await MakeKeyAsync("rsa", "rsa2048:aes128cfb", "rsa2048:rsassa-sha256:null", signer);
        await MakeKeyAsync("ec", "ecc256:aes128cfb", "ecc256:ecdsa-sha256:null", signer);
    }

    public ValueTask DisposeAsync()
    {
        if (_tpm is not null)
        {
            Peer.Kill(_tpm);
        }

        _authorityKey.Dispose();
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>A certificate of the device authority for whatever key.</summary>
    public Certificate Certify(PublicKey key, string name)
    {
        var request = new CertificateRequest(new X500DistinguishedName($"CN={name}"), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        using var signed = request.Create(new X500DistinguishedName("CN=devices"), X509SignatureGenerator.CreateForECDsa(_authorityKey), DateTimeOffset.UtcNow.AddMinutes(-30), DateTimeOffset.UtcNow.AddMinutes(30), RandomNumberGenerator.GetBytes(8));
        return Parse(signed);
    }

    private async Task MakeKeyAsync(string name, string storage, string kind, X509Certificate2 signer)
    {
        const string resident = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth";
        await RunAsync("tpm2_createprimary", "-Q", "-C", "o", "-g", "sha256", "-G", storage, "-a", $"restricted|decrypt|noda|{resident}", "-c", File("storage.ctx"));
        await RunAsync("tpm2_flushcontext", "-t");
        await RunAsync("tpm2_create", "-Q", "-C", File("storage.ctx"), "-g", "sha256", "-G", kind, "-a", $"sign|{resident}", "-u", File($"{name}.pub"), "-r", File($"{name}.priv"));
        await RunAsync("tpm2_flushcontext", "-t");
        var pem = await RunAsync("tpm2_print", "-t", "TPM2B_PUBLIC", "-f", "pem", File($"{name}.pub"));
        await System.IO.File.WriteAllTextAsync(File($"{name}.pem"), Pem.Encode(Certify(PublicKey.CreateFromSubjectPublicKeyInfo(PemEncoding.TryFind(pem, out var fields) ? Convert.FromBase64String(pem[fields.Base64Data]) : [], out _), $"device-{name}")) + Pem.Encode(Parse(signer)));
    }

    private async Task<string> RunAsync(string tool, params string[] arguments)
    {
        Peer.Require($"/usr/bin/{tool}", "tpm2-tools");
        return await Peer.RunAsync("/usr/bin/env", _folder.Path, [$"TPM2TOOLS_TCTI=cmd:python3 {Path.Combine(Peer.Scripts, "tpm_bridge.py")} {File("tpm.sock")}", tool, .. arguments]);
    }

    private IReadOnlyList<Certificate> Read(string name)
    {
        Assert.True(Pem.TryReadCertificates(System.IO.File.ReadAllText(File(name)), out var certificates, out var problem), problem);
        return certificates;
    }

    private static Certificate Parse(X509Certificate2 certificate)
    {
        Assert.True(Certificate.TryParse(certificate.RawData, out var parsed, out var problem), problem);
        return parsed;
    }
}
