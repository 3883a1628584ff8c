using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Grpc.Core;
using Signet.Cli;
using Signet.Cli.Commands;
using Signet.Client;
using Signet.Client.Tls;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Entry;
using Signet.Rpc.Wire.Spire.Server.SVID;
using Signet.Testing;
using EntryApi = Signet.Rpc.Wire.Spire.Server.Entry.Entry;

namespace Signet.FunctionalTests.Agent;

/// <summary>Kinds of keys and templates, from the entry to the certificate in the workload's hand.</summary>
public sealed class SvidKeyTests(EmptyDomain world) : IClassFixture<EmptyDomain>
{
    private static readonly CliContext Context = new(TimeProvider.System, () => 0.5);
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task Each_entry_gets_its_kind_of_key_and_a_renewal_keeps_it()
    {
        var domain = world.Domain;
        KeyType?[] types = [null, KeyType.EcP384, KeyType.Rsa2048, KeyType.Ed25519];
        using var admin = domain.Admin();
        await using var usual = await world.RegisterAsync(Wanted(domain, "/usual", new SvidTemplate()));
        await using var p384 = await world.RegisterAsync(Wanted(domain, "/ec-p384", new SvidTemplate { KeyType = KeyType.EcP384 }));
        await using var rsa = await world.RegisterAsync(Wanted(domain, "/rsa-2048", new SvidTemplate { KeyType = KeyType.Rsa2048 }));
        await using var ed25519 = await world.RegisterAsync(Wanted(domain, "/ed25519", new SvidTemplate { KeyType = KeyType.Ed25519 }));
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        await Eventually.IsTrueAsync(() => source.Current?.Svids.Count == types.Length, "all SVIDs");
        var first = source.Current!.Svids.ToDictionary(svid => svid.Id.Path);
        Assert.Equal(["ec-p256", "ec-p384", "rsa-2048", "ed25519"], types.Select(type => KeyTypes.NameOf(first[$"/{type?.Name() ?? "usual"}"].Leaf)));
        Assert.All(first.Values, svid => Assert.True(SvidVerifier.Verify(svid.Chain, source.Current.Bundles, CertificateUsage.Any, DateTimeOffset.UtcNow).IsTrusted));

        // Another lifetime makes another certificate.
        foreach (var one in new[] { usual, p384, rsa, ed25519 })
        {
            await admin.UpdateEntryAsync(
                new Signet.Rpc.Wire.Spire.Types.Entry { Id = one.Entry.Id, X509SvidTtl = 1800 }, new Signet.Rpc.Wire.Spire.Types.EntryMask { X509SvidTtl = true }, _patience);
        }

        await Eventually.IsTrueAsync(
            () => source.Current is { Svids.Count: 4 } now && now.Svids.All(svid => svid.Leaf.SerialHex != first[svid.Id.Path].Leaf.SerialHex), "new SVIDs");
        Assert.All(source.Current!.Svids, svid =>
        {
            Assert.Equal(KeyTypes.NameOf(first[svid.Id.Path].Leaf), KeyTypes.NameOf(svid.Leaf));
            Assert.NotEqual(first[svid.Id.Path].Leaf.SubjectPublicKeyInfo.ToArray(), svid.Leaf.SubjectPublicKeyInfo.ToArray());
        });

        // What fetch and explain say, and what .NET cannot do.
        var (exit, output, _) = await RunAsync(FetchCommand.Create(Context), "x509", "--socket", domain.AgentSocket, "--output", "json");
        Assert.Equal(0, exit);
        Assert.Equal(["ec-p256", "ec-p384", "rsa-2048", "ed25519"], JsonNode.Parse(output)!["svids"]!.AsArray().Select(svid => svid!["keyType"]!.GetValue<string>()));
        (_, output, _) = await RunAsync(
            ExplainIdentityCommand.Create(Context), "--pid", Environment.ProcessId.ToString(CultureInfo.InvariantCulture), "--socket", domain.AgentSocket, "--output", "json");
        Assert.Equal(["ec-p256", "ec-p384", "rsa-2048", "ed25519"], JsonNode.Parse(output)!["identities"]!.AsArray().Select(one => one!["keyType"]!.GetValue<string>()));
        var ed = new X509Context([source.Current.Svids.Single(svid => svid.Id.Path == "/ed25519")], source.Current.Bundles);
        var refused = Assert.Throws<MutualTlsException>(() => new MutualTls(new TestIdentity(ed), Authorizer.MemberOf(TestTrustDomain.Name), TimeProvider.System).ServerOptions());
        Assert.Equal(MutualTlsProblem.KeyNotUsable, refused.Problem);
        Assert.Contains("has an Ed25519 key, which .NET's SslStream cannot present; register the workload with keyType ec-p256", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_with_a_key_that_is_weak_or_of_another_kind_than_the_entry_wants_is_refused_and_the_rest_of_the_batch_is_not()
    {
        var domain = world.Domain;
        await using var usualEntry = await world.RegisterAsync(Wanted(domain, "/usual", SvidTemplate.None, "unix:uid:4294967294"));
        await using var rsaEntry = await world.RegisterAsync(Wanted(domain, "/rsa", new SvidTemplate { KeyType = KeyType.Rsa2048 }, "unix:uid:4294967294"));
        var (usual, rsa) = (usualEntry.Entry, rsaEntry.Entry);
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Length == 2, "the entries at the agent");
        using var channel = Connect(domain);
        using var weak = RSA.Create(1024);
        using var small = ECDsa.Create(ECCurve.CreateFromFriendlyName("secp256k1"));
        (string Entry, byte[] Csr, string Reason)[] cases =
        [
            .. new[] { KeyType.EcP256, KeyType.EcP384, KeyType.Rsa2048, KeyType.Ed25519 }.Select(type => (usual.Id, Csr(type), "")),
            (rsa.Id, Csr(KeyType.Rsa2048), ""),
            (rsa.Id, Csr(KeyType.EcP256), "its key is EC P-256, but entry"),
            (rsa.Id, Csr(KeyType.Ed25519), "its key is Ed25519, but entry"),
            (usual.Id, new System.Security.Cryptography.X509Certificates.CertificateRequest("CN=x", weak, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1).CreateSigningRequest(), "the RSA key has 1024 bits"),
            (usual.Id, new System.Security.Cryptography.X509Certificates.CertificateRequest("CN=x", small, HashAlgorithmName.SHA256).CreateSigningRequest(), "is not one of P-256, P-384 and P-521"),
            (usual.Id, Tampered(Csr(KeyType.Ed25519)), "not made by the key"),
        ];
        var request = new BatchNewX509SVIDRequest();
        request.Params.AddRange(cases.Select(one => new NewX509SVIDParams { EntryId = one.Entry, Csr = ByteString.CopyFrom(one.Csr) }));
        var response = await new SVID.SVIDClient(channel).BatchNewX509SVIDAsync(request, cancellationToken: _patience);

        foreach (var (wanted, result) in cases.Zip(response.Results))
        {
            Assert.Equal(wanted.Reason.Length == 0 ? StatusCode.OK : StatusCode.InvalidArgument, (StatusCode)result.Status.Code);
            Assert.Contains(wanted.Reason, result.Status.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_certificate_says_what_the_entry_says_and_nothing_that_the_request_asks_for()
    {
        var domain = world.Domain;
        var (exit, output, _) = await EntryAsync(
            domain, "create", "--spiffe-id", "spiffe://example.org/ns/prod/web", "--parent-id", domain.AgentId.Uri, "--selector", TestTrustDomain.Myself.ToString(), "--subject", "CN={path.last},OU={path.2},O=Acme",
            "--name", "dns:{path.last}.{path.2}.internal", "--name", "ip:10.0.0.7", "--name", "email:web@example.org", "--key-type", "ed25519", "--output", "json");
        Assert.Equal(0, exit);
        var id = JsonNode.Parse(output)!["id"]!.GetValue<string>();
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var leaf = (await source.WaitAsync(_patience)).Default.Leaf;
        Assert.Equal(("CN=web,OU=prod,O=Acme", "ed25519"), (leaf.Subject, KeyTypes.NameOf(leaf)));
        Assert.Equal(["web.prod.internal", "10.0.0.7", "web@example.org"], [.. leaf.DnsNames, .. leaf.IpAddresses.Select(address => address.ToString()), .. leaf.AlternativeNames.Where(name => name.Kind == GeneralNameKind.Email).Select(name => name.Text)]);

        // A request that asks for more gets the same.
        using var channel = Connect(domain);
        using var key = KeyPair.Generate(KeyType.Ed25519);
        var greedy = SigningRequest.Create(key, SpiffeId.Parse("spiffe://example.org/admin"), ["admin.example.org"]);
        var answer = await new SVID.SVIDClient(channel).BatchNewX509SVIDAsync(new BatchNewX509SVIDRequest { Params = { new NewX509SVIDParams { EntryId = id, Csr = ByteString.CopyFrom(greedy) } } }, cancellationToken: _patience);
        Assert.True(SpireMapping.TryReadChain(answer.Results[0].Svid.CertChain, out var chain, out var problem), problem);
        Assert.Equal((leaf.Subject, "spiffe://example.org/ns/prod/web"), (chain[0].Subject, Assert.Single(chain[0].UriNames)));
        Assert.Equal(leaf.DnsNames, chain[0].DnsNames);

        // One field changes and the others stay; also over a restart; also when a program of SPIRE's writes the entry back without knowing them.
        (exit, output, _) = await EntryAsync(domain, "update", id, "--subject", "CN=other", "--output", "json");
        Assert.Equal(0, exit);
        using (var admin = domain.Admin())
        {
            var written = (await admin.EntryAsync(id, _patience) with { Template = SvidTemplate.None, Hint = "written back" }).ToWire();
            var socket = GrpcChannel.ForUnixSocket(domain.ServerSocket, TimeProvider.System);
            using (socket)
            {
                var updated = await new EntryApi.EntryClient(socket).BatchUpdateEntryAsync(new BatchUpdateEntryRequest { Entries = { written } }, cancellationToken: _patience);
                Assert.Equal((0, "written back", "CN=other"), (updated.Results[0].Status.Code, updated.Results[0].Entry.Hint, updated.Results[0].Entry.SvidSubject));
            }
        }

        await domain.StopServerAsync();
        await domain.StartServerAsync();
        (_, output, _) = await EntryAsync(domain, "show", id, "--output", "json");
        var shown = JsonNode.Parse(output)!;
        Assert.Equal(("CN=other", "ed25519", 3), (shown["subject"]!.GetValue<string>(), shown["keyType"]!.GetValue<string>(), shown["names"]!.AsArray().Count));
        await Eventually.IsTrueAsync(() => source.Current?.Default.Leaf.Subject == "CN=other", "the new subject");

        (exit, output, _) = await EntryAsync(domain, "update", id, "--subject", "", "--name", "", "--key-type", "", "--output", "json");
        Assert.Equal(0, exit);
        shown = JsonNode.Parse(output)!;
        Assert.Equal(("", null, 0), (shown["subject"]!.GetValue<string>(), shown["keyType"], shown["names"]!.AsArray().Count));
        await Eventually.IsTrueAsync(() => source.Current?.Default.Leaf is { Subject: "O=Signet", DnsNames.Count: 0, KeyDescription: "EC P-256" }, "a certificate as by default");
        Assert.Equal(0, (await EntryAsync(domain, "delete", id)).Exit);
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.IsEmpty, "the end of the entry");
    }

    [Fact]
    public async Task An_entry_that_would_not_give_a_sound_certificate_is_not_made()
    {
        var domain = world.Domain;
        using var admin = domain.Admin();
        var issuing = await AuthorityNameAsync(domain);
        (SvidTemplate Template, string Reason)[] cases =
        [
            (new SvidTemplate { Names = ["uri:spiffe://example.org/other"] }, "exactly one URI name"),
            (new SvidTemplate { Names = ["ip:nowhere"] }, "is not an IP address"),
            (new SvidTemplate { Subject = "CN={hint}" }, "the entry has no hint"),
            (new SvidTemplate { Subject = "CN=a\u0007b" }, "cannot be seen"),
            (new SvidTemplate { Subject = issuing }, "is the name of an authority"),
        ];
        foreach (var (template, reason) in cases)
        {
            var refused = await Assert.ThrowsAsync<RpcException>(() => admin.CreateEntryAsync(Wanted(domain, "/web", template), _patience));
            Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
            Assert.Contains(reason, refused.Status.Detail, StringComparison.Ordinal);
        }

        Assert.Empty(await admin.EntriesAsync(null, null, _patience));
    }

    private static async Task<string> AuthorityNameAsync(TestTrustDomain domain)
    {
        using var admin = domain.Admin();
        return (await admin.BundleAsync(CancellationToken.None)).Authorities[0].Subject;
    }

    /// <summary>As the agent itself.</summary>
    private static GrpcChannel Connect(TestTrustDomain domain)
    {
        var text = File.ReadAllText(Path.Combine(domain.Folder, "agent", "identity.pem"));
        Assert.True(Pem.TryReadPrivateKey(text, out var key, out var problem), problem);
        Assert.True(Pem.TryReadCertificates(text, out var chain, out problem), problem);
        Assert.True(X509Svid.TryCreate(chain, key, hint: null, out var svid, out problem), problem);
        return GrpcChannel.ForTls("127.0.0.1", domain.ServerEndPoint.Port, () => SvidTls.Client(new TlsCredential(svid), "", (_, _) => true), TimeProvider.System);
    }

    private static byte[] Csr(KeyType type)
    {
        using var key = KeyPair.Generate(type);
        return SigningRequest.Create(key);
    }

    private static byte[] Tampered(byte[] csr)
    {
        csr[^1] ^= 1;
        return csr;
    }

    private static RegistrationEntry Wanted(TestTrustDomain domain, string path, SvidTemplate template, string? selector = null) => new()
    {
        Id = "",
        SpiffeId = SpiffeId.Of(TestTrustDomain.Name, path),
        ParentId = domain.AgentId,
        Selectors = [selector is null ? TestTrustDomain.Myself : Selector.TryParse(selector, out var parsed, out var problem) ? parsed : throw new InvalidOperationException(problem)],
        Template = template,
    };

    private static Task<(int Exit, string Output, string Error)> EntryAsync(TestTrustDomain domain, params string[] arguments) =>
        RunAsync(EntryCommand.Create(Context), [.. arguments, "--server", domain.ServerSocket]);

    private static async Task<(int Exit, string Output, string Error)> RunAsync(Command command, params string[] arguments)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var exit = await command.Parse(arguments).InvokeAsync(new InvocationConfiguration { Output = output, Error = error });
        return (exit, output.ToString(), error.ToString());
    }
}
