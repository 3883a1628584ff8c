using System.Formats.Asn1;
using System.Security.Cryptography;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using Signet.Testing;

namespace Signet.UnitTests.Identity.X509;

/// <summary>RFC 6960: questions that are read within bounds, answers that say what they say.</summary>
public sealed class OcspTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TestAuthority Authority = new(Now);
    private static readonly Certificate Leaf = Authority.Svid("/web").Leaf;
    private static readonly Asn1Tag Extensions = new(TagClass.ContextSpecific, 2, isConstructed: true);

    public static TheoryData<string> Hashes => ["SHA1", "SHA256"];

    [Theory]
    [MemberData(nameof(Hashes))]
    public void A_question_names_its_certificate_by_serial_number_and_issuer_and_by_no_other(string hash)
    {
        var id = OcspCertificateId.Of(Authority.Issuing, Leaf.SerialHex, new HashAlgorithmName(hash));
        Assert.True(OcspRequest.TryParse(OcspRequest.Encode(id), out var request, out var problem), problem);
        Assert.Equal(id, Assert.Single(request.Certificates));
        Assert.Equal(Leaf.SerialHex, request.Certificates[0].SerialHex);
        Assert.True(request.Certificates[0].IsOf(Authority.Issuing));
        Assert.False(request.Certificates[0].IsOf(Authority.Anchor));
        Assert.False(request.Certificates[0].IsOf(new TestAuthority(Now).Issuing));
    }

    [Fact]
    public void A_question_with_everything_that_the_RFC_allows_is_read()
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            using (writer.PushSequence())
            {
                using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 1)))
                {
                    writer.WriteCharacterString(UniversalTagNumber.IA5String, "a@example.org", new Asn1Tag(TagClass.ContextSpecific, 1));
                }

                using (writer.PushSequence())
                using (writer.PushSequence())
                {
                    writer.WriteEncodedValue(Id().Der.Span);
                }

                WriteNonce(writer, isCritical: false);
            }

            using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 0)))
            {
                writer.WriteNull();
            }
        }

        Assert.True(OcspRequest.TryParse(writer.Encode(), out var request, out var problem), problem);
        Assert.Single(request.Certificates);
    }

    [Fact]
    public void A_question_that_insists_on_what_is_not_understood_is_refused()
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        using (writer.PushSequence())
        {
            using (writer.PushSequence())
            using (writer.PushSequence())
            {
                writer.WriteEncodedValue(Id().Der.Span);
            }

            WriteNonce(writer, isCritical: true);
        }

        Refuses(writer.Encode(), "critical");
    }

    [Fact]
    public void A_question_beyond_its_limits_is_refused()
    {
        Assert.True(OcspRequest.TryParse(OcspRequest.Encode(Enumerable.Repeat(Id(), OcspRequest.MaxCertificates)), out _, out _));
        Refuses(OcspRequest.Encode(Enumerable.Repeat(Id(), OcspRequest.MaxCertificates + 1)), "more than");
        Refuses(new byte[OcspRequest.MaxLength + 1], "limit");
        Refuses([], "malformed");
        Refuses([.. OcspRequest.Encode(Id()), 0], "malformed");
        Refuses(OcspRequest.Encode(), "malformed");
        Assert.Throws<AsnContentException>(() => OcspCertificateId.Of(Authority.Issuing, new string('a', 42), HashAlgorithmName.SHA1));
    }

    [Fact]
    public void An_answer_is_read_as_it_was_written_and_only_its_issuers_signature_counts()
    {
        OcspStatus[] all = [new OcspStatus.Good(), new OcspStatus.Unknown(), .. Enum.GetValues<RevocationReason>().Select(reason => new OcspStatus.Revoked(Now.AddHours(-1), reason))];
        foreach (var status in all)
        {
            Assert.True(OcspResponse.TryParse(Authority.Say(Leaf, status, Now, Now.AddHours(1)), out var response, out var problem), problem);
            var answer = Assert.Single(response.Answers);
            Assert.Equal((status, Now, Now.AddHours(1), Leaf.SerialHex), (answer.Status, answer.ThisUpdate, answer.NextUpdate, answer.Certificate.SerialHex));
            Assert.True(response.IsSignedBy(Authority.Issuing));
            Assert.False(response.IsSignedBy(Authority.Anchor));
            Assert.True(answer.IsCurrent(Now));
            Assert.False(answer.IsCurrent(Now.AddHours(1)));
            Assert.False(answer.IsCurrent(Now.AddSeconds(-1)));
        }
    }

    [Fact]
    public void A_refusal_answers_nothing()
    {
        Assert.False(OcspResponse.TryParse(OcspResponse.Refuse(OcspRefusal.TryLater), out _, out var problem));
        Assert.Contains("answers nothing: status 03", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Random_damage_never_throws_and_is_never_believed()
    {
        var random = new Random(11);
        var (request, response) = (OcspRequest.Encode(Id(), Id()), Authority.Say(Leaf, new OcspStatus.Revoked(Now, RevocationReason.Superseded), Now, Now.AddHours(1)));
        for (var i = 0; i < 5000; i++)
        {
            OcspRequest.TryParse(Damaged(request), out _, out _);
            var damaged = Damaged(response);
            Assert.False(OcspResponse.TryParse(damaged, out var read, out _) && read.IsSignedBy(Authority.Issuing) && read.Answers[0].Status is OcspStatus.Good);
        }

        byte[] Damaged(byte[] bytes)
        {
            var copy = bytes[..random.Next(bytes.Length / 2, bytes.Length + 1)];
            for (var j = random.Next(1, 5); j > 0; j--)
            {
                copy[random.Next(copy.Length)] = (byte)random.Next(256);
            }

            return copy;
        }
    }

    [Theory]
    [InlineData("keyCompromise", RevocationReason.KeyCompromise)]
    [InlineData("unspecified", RevocationReason.Unspecified)]
    public void A_reason_is_written_as_the_RFC_spells_it(string text, RevocationReason expected)
    {
        Assert.True(RevocationReasons.TryParse(text, out var reason, out _));
        Assert.Equal((expected, text), (reason, expected.Name()));
        Assert.False(RevocationReasons.TryParse(text.ToUpperInvariant(), out _, out var problem));
        Assert.Contains("keyCompromise", problem, StringComparison.Ordinal);
    }

    private static OcspCertificateId Id() => OcspCertificateId.Of(Authority.Issuing, Leaf.SerialHex, HashAlgorithmName.SHA1);

    private static void Refuses(byte[] der, string reason)
    {
        Assert.False(OcspRequest.TryParse(der, out _, out var problem));
        Assert.Contains(reason, problem, StringComparison.Ordinal);
    }

    private static void WriteNonce(AsnWriter writer, bool isCritical)
    {
        using (writer.PushSequence(Extensions))
        using (writer.PushSequence())
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier("1.3.6.1.5.5.7.48.1.2");
            if (isCritical)
            {
                writer.WriteBoolean(true);
            }

            writer.WriteOctetString([4, 1, 7]);
        }
    }
}
