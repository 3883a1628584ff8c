using System.Buffers.Text;
using System.Formats.Asn1;
using System.Numerics;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Signet.Identity.Registration;
using Signet.InteropTests.Rpc;
using Signet.InteropTests.X509;
using Signet.Testing;

namespace Signet.InteropTests.Mesh;

/// <summary>The Workload API through a gRPC client of another language, with stubs made from our contract by another compiler.</summary>
public sealed class WorkloadApiTests : IDisposable
{
    private readonly TestFolder _folder = new();

    [Fact]
    public async Task A_Python_workload_gets_its_SVID_and_bundles_and_the_right_code_for_each_mistake()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/python");
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        var answers = await AskAsync(domain);
        Assert.Equal("OK", answers["svid"]["code"]!.ToString());
        Assert.Equal("spiffe://example.org/python", answers["svid"]["ids"]![0]!.ToString());
        Assert.Equal("spiffe://example.org", answers["bundles"]["bundles"]![0]!.ToString());
        Assert.Equal("INVALID_ARGUMENT", answers["no header"]["code"]!.ToString());
        Assert.Equal("INVALID_ARGUMENT", answers["wrong header"]["code"]!.ToString());
    }

    [Fact]
    public async Task A_Python_workload_gets_a_token_and_openssl_verifies_it_with_the_keys_of_the_bundle()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/python");
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        var answers = await AskAsync(domain);
        Assert.Equal("spiffe://example.org/python", Assert.Single(answers["jwt"]["ids"]!.AsArray())!.ToString());
        Assert.Equal("INVALID_ARGUMENT", answers["jwt without audience"]["code"]!.ToString());
        Assert.Equal("PERMISSION_DENIED", answers["jwt of another"]["code"]!.ToString());
        Assert.Equal("spiffe://example.org/python", answers["validate"]["id"]!.ToString());
        Assert.Equal(["aud", "exp", "iat", "sub"], answers["validate"]["claims"]!.AsArray().Select(name => $"{name}"));
        Assert.Equal("billing", Assert.Single(answers["validate"]["aud"]!.AsArray())!.ToString());
        Assert.Equal("INVALID_ARGUMENT", answers["validate for another"]["code"]!.ToString());

        var key = Assert.Single(answers["jwt bundles"]["bundles"]!["spiffe://example.org"]!["keys"]!.AsArray())!;
        Assert.Equal(("EC", "P-256", "jwt-svid"), ($"{key["kty"]}", $"{key["crv"]}", $"{key["use"]}"));
        await VerifiesAsync(answers["jwt"]["token"]!.ToString(), $"{key["x"]}", $"{key["y"]}");
    }

    [Fact]
    public async Task A_Python_process_that_no_entry_fits_is_denied()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/other", new Selector("unix", "path:/usr/bin/somebody-else"));
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        var answers = await AskAsync(domain);
        Assert.Equal("PERMISSION_DENIED", answers["svid"]["code"]!.ToString());
        Assert.Equal("no identity issued", answers["svid"]["detail"]!.ToString());
        Assert.Equal("PERMISSION_DENIED", answers["bundles"]["code"]!.ToString());
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>The signature in openssl's form, by openssl, over what the token says.</summary>
    private async Task VerifiesAsync(string token, string x, string y)
    {
        var parts = token.Split('.');
        var point = new ECPoint { X = Base64Url.DecodeFromChars(x), Y = Base64Url.DecodeFromChars(y) };
        using var ec = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = point });
        var signature = Base64Url.DecodeFromChars(parts[2]);
        var der = new AsnWriter(AsnEncodingRules.DER);
        using (der.PushSequence())
        {
            der.WriteInteger(new BigInteger(signature.AsSpan(0, 32), isUnsigned: true, isBigEndian: true));
            der.WriteInteger(new BigInteger(signature.AsSpan(32), isUnsigned: true, isBigEndian: true));
        }

        await File.WriteAllTextAsync(_folder.File("key.pem"), ec.ExportSubjectPublicKeyInfoPem());
        await File.WriteAllBytesAsync(_folder.File("signature"), der.Encode());
        await File.WriteAllTextAsync(_folder.File("signed"), $"{parts[0]}.{parts[1]}");
        var (isDone, output) = await OpenSsl.RunAsync("dgst", "-sha256", "-verify", _folder.File("key.pem"), "-signature", _folder.File("signature"), _folder.File("signed"));
        Assert.True(isDone, output);
        await File.AppendAllTextAsync(_folder.File("signed"), "x");
        Assert.False((await OpenSsl.RunAsync("dgst", "-sha256", "-verify", _folder.File("key.pem"), "-signature", _folder.File("signature"), _folder.File("signed"))).IsDone);
    }

    private async Task<Dictionary<string, JsonNode>> AskAsync(TestTrustDomain domain)
    {
        var stubs = await PythonStubs.CompileContractAsync(_folder.File("stubs"), "spiffe/workload.proto");
        var output = await Peer.RunAsync(PythonStubs.Python, _folder.Path, Path.Combine(Peer.Repository, "tests/Signet.InteropTests/peers/workload_api.py"), domain.AgentSocket, stubs);
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!).ToDictionary(answer => answer["question"]!.ToString());
    }
}
