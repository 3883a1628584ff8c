using System.Net;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire;

namespace Signet.UnitTests.Identity.Registration;

/// <summary>What an entry may say about its certificate, and what it may not.</summary>
public sealed class SvidTemplateTests
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");

    [Theory]
    [InlineData("CN={path.last}", "CN=web")]
    [InlineData("CN={path.last},OU={path.1},OU={path.2},O=Acme\\, Inc.,C=DE", "CN=web,OU=ns,OU=prod,O=Acme\\, Inc.,C=DE")]
    [InlineData("cn={path}, o={trustDomain}", "CN=ns/prod/web,O=example.org")]
    [InlineData("CN={hint}-{{x}}", "CN=main-{x}")]
    [InlineData("CN=\\{path\\}", "CN={path}")]
    [InlineData("UID=a\\+b\\=c", "UID=a\\+b=c")]
    [InlineData("DC=example,DC=org", "DC=example,DC=org")]
    [InlineData("CN=Zoë Müller,SERIALNUMBER=0042", "CN=Zoë Müller,SERIALNUMBER=0042")]
    public void A_subject_is_filled_in_and_keeps_its_order(string template, string subject)
    {
        Assert.True(Subject(template).TryFill(Entry(), out var names, out var problem), problem);
        Assert.Equal(subject, names.Subject!.ToString());
    }

    [Theory]
    [InlineData("CN={path.4}", "has 3 parts")]
    [InlineData("CN={path.0}", "is unknown")]
    [InlineData("CN={spiffeId}", "is unknown; there are {trustDomain}")]
    [InlineData("CN={path", "{ without a }")]
    [InlineData("CN=path}", "} without a {")]
    [InlineData("{path.last}", "is not TYPE=value")]
    [InlineData("CN=a,", "is not TYPE=value")]
    [InlineData("CN=", "has 0 characters")]
    [InlineData("CN=a,CN=b", "stands in it twice")]
    [InlineData("EMAILADDRESS=a@b.c", "is not an attribute")]
    [InlineData("2.5.4.3=a", "is not an attribute")]
    [InlineData("CN=a+OU=b", "needs a \\ before it")]
    [InlineData("CN=\"a\"", "needs a \\ before it")]
    [InlineData("CN=a\\", "needs a \\ before it")]
    [InlineData("CN= a", "begins or ends with a space")]
    [InlineData("CN=a\u0000b", "cannot be seen")]
    [InlineData("CN=a\nb", "cannot be seen")]
    [InlineData("CN=a\u202eb", "cannot be seen")]
    [InlineData("CN=a\u200bb", "cannot be seen")]
    [InlineData("C=Germany", "two capital letters")]
    [InlineData("C=de", "two capital letters")]
    [InlineData("DC=a.b", "one label")]
    [InlineData("SERIALNUMBER=a*b", "printable string")]
    [InlineData("CN=0123456789012345678901234567890123456789012345678901234567890123x", "1 to 64 were expected")]
    [InlineData("OU=1,OU=2,OU=3,OU=4,OU=5,OU=6,OU=7,OU=8,OU=9", "more than 8 attributes")]
    public void A_subject_that_is_not_sound_is_refused_with_the_reason(string template, string reason)
    {
        Assert.False(Subject(template).TryFill(Entry(), out var names, out var problem));
        Assert.Null(names);
        Assert.Contains(reason, problem, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', problem);
        Assert.Contains(problem, (Entry() with { Template = Subject(template) }).Problems(Domain));
    }

    [Fact]
    public void Half_a_surrogate_pair_is_no_character() =>
        Assert.False(Subject("CN=a\ud800").TryFill(Entry(), out _, out _));

    [Theory]
    [InlineData("a,O=Evil")]
    [InlineData("a+OU=Evil")]
    [InlineData("a\\,O=Evil")]
    [InlineData("{path.1},O=Evil")]
    [InlineData("a\",O=\"Evil")]
    public void What_is_filled_in_is_a_value_and_never_an_attribute(string hint)
    {
        Assert.True(Subject("CN={hint},O=Acme").TryFill(Entry() with { Hint = hint }, out var names, out var problem), problem);
        Assert.Equal(DistinguishedName.Of(("O", "Acme"), ("CN", hint)), names.Subject);
        Assert.Equal(hint, names.Subject!.CommonName);
    }

    [Theory]
    [InlineData("a\nb")]
    [InlineData("")]
    [InlineData(" a")]
    public void A_value_that_is_filled_in_is_checked_like_any_other(string hint) =>
        Assert.False(Subject("CN={hint}").TryFill(Entry() with { Hint = hint }, out _, out _));

    [Fact]
    public void Further_names_stand_behind_the_plain_ones()
    {
        var template = Names("dns:{path.last}.{path.2}.internal", "dns:web.example.org", "ip:10.0.0.7", "ip:2001:db8::7", "email:{path.last}@example.org");

        Assert.True(template.TryFill(Entry() with { DnsNames = ["web.example.org"] }, out var names, out var problem), problem);
        Assert.Null(names.Subject);
        Assert.Equal(["web.example.org", "web.prod.internal"], names.DnsNames);
        Assert.Equal([IPAddress.Parse("10.0.0.7"), IPAddress.Parse("2001:db8::7")], names.IpAddresses);
        Assert.Equal(["web@example.org"], names.EmailAddresses);
    }

    [Theory]
    [InlineData("uri:spiffe://example.org/other", "exactly one URI name")]
    [InlineData("URI:https://example.org", "exactly one URI name")]
    [InlineData("dirname:CN=x", "none of dns:, ip: and email:")]
    [InlineData("web.example.org", "none of dns:, ip: and email:")]
    [InlineData("dns:{path}", "is not a DNS name")]
    [InlineData("dns:a..b", "is not a DNS name")]
    [InlineData("dns:", "is not a DNS name")]
    [InlineData("dns:a\u0000.example.org", "is not a DNS name")]
    [InlineData("dns:wéb.example.org", "is not a DNS name")]
    [InlineData("ip:1", "is not an IP address")]
    [InlineData("ip:0x7f.0.0.1", "is not an IP address")]
    [InlineData("ip:10.0.0.1/8", "is not an IP address")]
    [InlineData("ip:fe80::1%eth0", "is not an IP address")]
    [InlineData("ip:::ffff:10.0.0.1", "is not an IP address")]
    [InlineData("ip:0.0.0.0", "is not an IP address")]
    [InlineData("ip:web", "is not an IP address")]
    [InlineData("email:web", "is not an e-mail address")]
    [InlineData("email:@example.org", "is not an e-mail address")]
    [InlineData("email:a..b@example.org", "is not an e-mail address")]
    [InlineData("email:a@*.example.org", "is not an e-mail address")]
    [InlineData("email:\"a b\"@example.org", "is not an e-mail address")]
    [InlineData("email:a@b@example.org", "is not an e-mail address")]
    [InlineData("dns:{hint.1}.example.org", "is unknown")]
    public void A_further_name_that_is_not_sound_is_refused_with_the_reason(string name, string reason)
    {
        Assert.False(Names(name).TryFill(Entry(), out _, out var problem));
        Assert.Contains(reason, problem, StringComparison.Ordinal);
        Assert.Contains(problem, (Entry() with { Template = Names(name) }).Problems(Domain));
    }

    [Fact]
    public void All_of_it_is_bounded()
    {
        Assert.True(Names([.. Enumerable.Range(0, SvidTemplate.MaxNames).Select(i => $"dns:a{i}.example.org")]).TryFill(Entry(), out _, out _));
        Assert.False(Names([.. Enumerable.Range(0, SvidTemplate.MaxNames + 1).Select(i => $"dns:a{i}.example.org")]).TryFill(Entry(), out _, out var problem));
        Assert.Contains("the limit is 32", problem, StringComparison.Ordinal);
        Assert.False(Subject("CN=" + new string('a', SvidTemplate.MaxText)).TryFill(Entry(), out _, out problem));
        Assert.Contains("longer than 320", problem, StringComparison.Ordinal);
        Assert.False(Subject("CN=" + string.Concat(Enumerable.Repeat("{path}", 40))).TryFill(Entry(), out _, out problem));
        Assert.Contains("longer than 320", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Any_text_gives_an_answer_and_every_yes_a_name_that_certificates_can_carry()
    {
        var random = new Random(11);
        const string Alphabet = "CNOU=,+\\\"{}path.last hintdns:ipemail@1.\u0000\u202eé\ud83d\ude00";
        for (var round = 0; round < 5000; round++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => Alphabet[random.Next(Alphabet.Length)]));
            var template = new SvidTemplate { Subject = random.Next(2) == 0 ? "CN=" + text : text, Names = [text, "dns:" + text] };
            Assert.True(template.TryFill(Entry(), out _, out var problem) || problem.Length > 0);
        }
    }

    [Fact]
    public void The_certificate_says_what_the_template_says_and_has_one_URI_name()
    {
        var template = new SvidTemplate { Subject = "CN={path.last},O=Acme", Names = ["dns:{path.last}.example.org", "ip:10.0.0.7", "ip:2001:db8::7", "email:web@example.org"] };
        Assert.True(template.TryFill(Entry(), out var names, out _));
        using var key = KeyPair.Generate(KeyType.EcP256);
        var now = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var leaf = (CertificateTemplate.Leaf(Entry().SpiffeId, KeyPair.ExportPublicKey(key), now, now.AddHours(1), names.DnsNames, names.Subject) with
        {
            IpAddresses = names.IpAddresses,
            EmailAddresses = names.EmailAddresses,
        }).SignSelf(key);

        Assert.True(X509SvidProfile.TryCheckLeaf(leaf, out var id, out var problem), problem);
        Assert.Equal(Entry().SpiffeId, id);
        Assert.Equal("CN=web,O=Acme", leaf.Subject);
        Assert.Equal(["web.example.org"], leaf.DnsNames);
        Assert.Equal(names.IpAddresses, leaf.IpAddresses);
        Assert.Equal(["web@example.org"], leaf.AlternativeNames.Where(name => name.Kind == GeneralNameKind.Email).Select(name => name.Text));
        Assert.Single(leaf.UriNames);
    }

    [Fact]
    public void It_travels_in_fields_that_SPIREs_programs_pass_over()
    {
        var entry = Entry() with { Template = new SvidTemplate { KeyType = KeyType.Ed25519, Subject = "CN={path.last}", Names = ["ip:10.0.0.7"] } };

        Assert.True(SpireMapping.TryRead(entry.ToWire(), out var read, out var problem), problem);
        Assert.Equal(entry.Template, read.Template);
        Assert.True(SpireMapping.TryRead(Entry().ToWire(), out read, out problem), problem);
        Assert.Same(SvidTemplate.None, read.Template);
        Assert.All(new[] { "svid_key_type", "svid_subject", "svid_names" }, name => Assert.True(Signet.Rpc.Wire.Spire.Types.Entry.Descriptor.FindFieldByName(name).FieldNumber >= 1000));
    }

    [Fact]
    public void A_key_type_that_is_unknown_and_names_without_end_are_refused_on_the_wire()
    {
        var wire = Entry().ToWire();
        wire.SvidKeyType = "dsa-1024";
        Assert.False(SpireMapping.TryRead(wire, out _, out var problem));
        Assert.Contains("dsa-1024", problem, StringComparison.Ordinal);

        wire = Entry().ToWire();
        wire.SvidNames.AddRange(Enumerable.Repeat("dns:a", SvidTemplate.MaxNames + 1));
        Assert.False(SpireMapping.TryRead(wire, out _, out problem));
        Assert.Contains("further names", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_difference_is_told_field_by_field()
    {
        var after = Entry() with { Template = new SvidTemplate { KeyType = KeyType.Rsa4096, Subject = "CN=a", Names = ["ip:10.0.0.7"] } };

        Assert.Equal(["keyType: the agent's -> rsa-4096", "subject: default -> CN=a", "names:  -> ip:10.0.0.7"], after.DifferencesFrom(Entry()).Select(one => $"{one.Field}: {one.Before} -> {one.After}"));
        Assert.Empty(after.DifferencesFrom(after with { Template = after.Template with { } }));
    }

    private static SvidTemplate Subject(string text) => new() { Subject = text };

    private static SvidTemplate Names(params string[] names) => new() { Names = [.. names] };

    private static RegistrationEntry Entry() => new()
    {
        Id = "e",
        SpiffeId = SpiffeId.Parse("spiffe://example.org/ns/prod/web"),
        ParentId = SpiffeId.Parse("spiffe://example.org/spire/agent/join_token/a"),
        Selectors = [new Selector("unix", "uid:1")],
        Hint = "main",
    };
}
