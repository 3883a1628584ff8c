using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Signet.Rpc.Wire.Attestation;

namespace Signet.UnitTests.Rpc.Wire.Attestation;

/// <summary>The small JSON objects of attestors, in the form in which SPIRE writes them.</summary>
public sealed class AttestationWireTests
{
    private static readonly byte[] Nonce = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    [Fact]
    public void A_chain_is_written_as_SPIRE_does_and_read_again()
    {
        var json = X509PopWire.EncodeChain([new byte[] { 1, 2, 3 }, new byte[] { 4 }]);
        Assert.Equal("""{"certificates":["AQID","BA=="]}""", Encoding.UTF8.GetString(json));
        Assert.True(X509PopWire.TryReadChain(json, out var chain, out _));
        Assert.Equal([[1, 2, 3], [4]], chain);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"certificates":null}""")]
    [InlineData("""{"certificates":[]}""")]
    [InlineData("""{"certificates":["AQID",null]}""")]
    [InlineData("""{"certificates":["not base64!"]}""")]
    [InlineData("""{"certificates":[""]}""")]
    [InlineData("""{"certificates":["AQ==","AQ==","AQ==","AQ==","AQ==","AQ=="]}""")]
    [InlineData("""{"certificates":["AQ=="],"certificates":["Ag=="]}""")]
    [InlineData("""{"certificates":["AQ=="]} {}""")]
    [InlineData("""{"certificates":[[[[["AQ=="]]]]]}""")]
    public void What_is_no_chain_is_refused_with_a_reason(string json)
    {
        Assert.False(X509PopWire.TryReadChain(Encoding.UTF8.GetBytes(json), out var chain, out var problem));
        Assert.Empty(chain);
        Assert.NotEmpty(problem);
    }

    [Fact]
    public void A_certificate_beyond_its_limit_is_refused()
    {
        Assert.True(X509PopWire.TryReadChain(X509PopWire.EncodeChain([new byte[X509PopWire.MaxCertificateLength]]), out _, out _));
        Assert.False(X509PopWire.TryReadChain(X509PopWire.EncodeChain([new byte[X509PopWire.MaxCertificateLength + 1]]), out _, out _));
    }

    [Theory]
    [InlineData(true, "rsa_signature", "ecdsa_signature")]
    [InlineData(false, "ecdsa_signature", "rsa_signature")]
    public void A_challenge_is_for_one_kind_of_key(bool isRsa, string name, string other)
    {
        var json = X509PopWire.EncodeChallenge(isRsa, Nonce);
        Assert.Equal($$$"""{"{{{other}}}":null,"{{{name}}}":{"nonce":"{{{Convert.ToBase64String(Nonce)}}}"}}""", Encoding.UTF8.GetString(json));
        Assert.True(X509PopWire.TryReadChallenge(json, isRsa, out var nonce, out _));
        Assert.Equal(Nonce, nonce);
        Assert.False(X509PopWire.TryReadChallenge(json, !isRsa, out _, out var problem));
        Assert.Contains(other, problem);
    }

    [Theory]
    [InlineData(31)]
    [InlineData(33)]
    public void A_nonce_has_one_length(int length)
    {
        Assert.False(X509PopWire.TryReadChallenge(X509PopWire.EncodeChallenge(isRsa: true, new byte[length]), isRsa: true, out _, out _));
        Assert.False(X509PopWire.TryReadRsaAnswer(X509PopWire.EncodeRsaAnswer(new byte[length], new byte[256]), out _, out _, out _));
        Assert.True(X509PopWire.TryReadRsaAnswer(X509PopWire.EncodeRsaAnswer(Nonce, new byte[256]), out _, out _, out _));
    }

    [Fact]
    public void Numbers_of_a_curve_lose_their_leading_zeros_on_the_wire_and_get_them_back()
    {
        byte[] signature = [0, 0, 7, 8, 0, 1, 2, 3];
        var json = X509PopWire.EncodeEcdsaAnswer(Nonce, signature);
        Assert.Contains(""" "r":"Bwg=","s":"AQID" """.Trim(), Encoding.UTF8.GetString(json));
        Assert.True(X509PopWire.TryReadEcdsaAnswer(json, 4, out var nonce, out var read, out _));
        Assert.Equal(Nonce, nonce);
        Assert.Equal(signature, read);
        Assert.False(X509PopWire.TryReadEcdsaAnswer(json, 2, out _, out _, out var problem));
        Assert.Contains("2 bytes", problem);
    }

    [Fact]
    public void A_service_account_token_is_read_again_and_does_not_show_itself()
    {
        var shown = new K8sTokenWire("demo", "secret-token");
        Assert.Equal("""{"cluster":"demo","token":"secret-token"}""", Encoding.UTF8.GetString(shown.Encode()));
        Assert.True(K8sTokenWire.TryRead(shown.Encode(), out var read, out _));
        Assert.Equal(shown, read);
        Assert.DoesNotContain("secret", shown.ToString());
    }

    [Theory]
    [InlineData("""{"cluster":"demo"}""")]
    [InlineData("""{"token":"x"}""")]
    [InlineData("""{"cluster":"","token":"x"}""")]
    [InlineData("""{"cluster":"demo","token":5}""")]
    [InlineData("""{"cluster":"\ud800","token":"x"}""")]
    public void A_token_without_its_cluster_or_the_other_way_round_is_refused(string json)
    {
        Assert.False(K8sTokenWire.TryRead(Encoding.UTF8.GetBytes(json), out _, out var problem));
        Assert.NotEmpty(problem);
    }

    [Fact]
    public void A_place_to_ask_is_read_again()
    {
        var shown = new HttpChallengeWire("node.example.org", "default", 80);
        Assert.Equal("""{"hostname":"node.example.org","agentname":"default","port":80}""", Encoding.UTF8.GetString(shown.Encode()));
        Assert.True(HttpChallengeWire.TryRead(shown.Encode(), out var read, out _));
        Assert.Equal(shown, read);
        Assert.Equal("/.well-known/spiffe/nodeattestor/http_challenge/default/challenge", shown.Path);
        Assert.True(HttpChallengeWire.TryReadChallenge(HttpChallengeWire.EncodeChallenge("abc"), out var nonce, out _));
        Assert.Equal("abc", nonce);
    }

    [Theory]
    [InlineData("node", "default", 0)]
    [InlineData("node", "default", 65536)]
    [InlineData("node", "../x", 80)]
    [InlineData("node", "a/b", 80)]
    [InlineData("node", "1st", 80)]
    [InlineData("node", "", 80)]
    [InlineData("", "default", 80)]
    [InlineData("node", "a123456789012345678901234567890123", 80)]
    public void A_place_that_is_none_is_refused(string host, string agent, int port)
    {
        Assert.False(HttpChallengeWire.TryRead(new HttpChallengeWire(host, agent, port).Encode(), out _, out var problem));
        Assert.NotEmpty(problem);
    }

    [Fact]
    public void No_parser_throws_whatever_comes() => Prop.ForAll<byte[], string>((bytes, text) =>
    {
        byte[][] inputs =
        [
            bytes ?? [],
            Encoding.UTF8.GetBytes(text ?? ""),
            Encoding.UTF8.GetBytes($"{{\"certificates\":[\"{text}\"],\"cluster\":\"{text}\",\"token\":\"{text}\",\"nonce\":\"{text}\",\"rsa_signature\":{{\"nonce\":\"{text}\"}}}}"),
        ];
        foreach (var input in inputs)
        {
            X509PopWire.TryReadChain(input, out _, out _);
            X509PopWire.TryReadChallenge(input, isRsa: true, out _, out _);
            X509PopWire.TryReadRsaAnswer(input, out _, out _, out _);
            X509PopWire.TryReadEcdsaAnswer(input, 32, out _, out _, out _);
            K8sTokenWire.TryRead(input, out _, out _);
            HttpChallengeWire.TryRead(input, out _, out _);
            HttpChallengeWire.TryReadChallenge(input, out _, out _);
        }
    }).QuickCheckThrowOnFailure();
}
