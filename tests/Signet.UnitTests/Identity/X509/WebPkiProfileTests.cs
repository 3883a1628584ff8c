using System.Net;
using System.Security.Cryptography.X509Certificates;
using Signet.Identity.X509;
using Signet.Testing.X509;

namespace Signet.UnitTests.Identity.X509;

/// <summary>The web's profile: names by RFC 6125 and 9525, certificates by RFC 5280 §4 and the baseline requirements.</summary>
public sealed class WebPkiProfileTests
{
    private static readonly CertificateForge GoodRoot = CertificateForge.Authority("CN=root") with { IsUsageCritical = false };
    private static readonly ForgedCertificate Root = GoodRoot.SignSelf();
    private static readonly CertificateForge Good = CertificateForge.Server("www.example.org") with { IsUsageCritical = false };

    [Theory]
    [InlineData("www.example.org", "www.example.org")]
    [InlineData("WWW.example.ORG", "www.EXAMPLE.org")]
    [InlineData("www.example.org", "www.example.org.")]
    [InlineData("*.example.org", "www.example.org")]
    [InlineData("*.example.org", "xn--628h.example.org")]
    [InlineData("my_host.example.org", "my_host.example.org")]
    public void Accepts_a_name_that_the_leaf_carries(string carried, string wanted) => Assert.Equal(PathProblem.None, JudgeName([carried], wanted));

    [Theory]
    [InlineData("www.example.org", "example.org")]
    [InlineData("example.org", "www.example.org")]
    [InlineData("www.example.org", "www.example.com")]
    [InlineData("*.example.org", "example.org")]
    [InlineData("*.example.org", "a.b.example.org")]
    [InlineData("*.example.org", ".example.org")]
    [InlineData("w*.example.org", "www.example.org")]
    [InlineData("*w.example.org", "www.example.org")]
    [InlineData("xn--*-1b3c148a.example.org", "xn--bliss-1b3c148a.example.org")]
    [InlineData("www.*.org", "www.example.org")]
    [InlineData("*.*.org", "www.example.org")]
    [InlineData("*.org", "example.org")]
    [InlineData("*", "org")]
    [InlineData("www.example.org", "*.example.org")]
    [InlineData("*.example.org", "*.example.org")]
    [InlineData(".example.org", "www.example.org")]
    [InlineData("www.example.org", "")]
    [InlineData("www.example.org", "www..example.org")]
    public void Refuses_a_name_that_the_leaf_does_not_carry(string carried, string wanted) => Assert.Equal(PathProblem.NameMismatch, JudgeName([carried], wanted));

    [Fact]
    public void Never_looks_at_the_common_name()
    {
        Assert.Equal(PathProblem.NameMismatch, Judge(Good with { Subject = "CN=www.example.org", Names = [] }).Problem);
        Assert.Equal(PathProblem.None, Judge(Good with { Subject = "CN=anything else" }).Problem);
    }

    [Theory]
    [InlineData("ip:10.0.0.1", "10.0.0.1", true)]
    [InlineData("ip:2001:db8::1", "2001:db8:0:0::1", true)]
    [InlineData("ip:10.0.0.1", "::ffff:10.0.0.1", true)]
    [InlineData("ip:10.0.0.1", "10.0.0.2", false)]
    [InlineData("dns:10.0.0.1", "10.0.0.1", false)]
    [InlineData("ip:10.0.0.1", "2001:db8::1", false)]
    public void Compares_addresses_with_addresses_only(string carried, string wanted, bool isValid)
    {
        var request = Request(Good with { Names = [carried] }) with { DnsName = null, IpAddress = IPAddress.Parse(wanted) };

        Assert.Equal(isValid, PathValidator.Validate(request).IsValid);
        Assert.Equal(isValid, PathValidator.Validate(request with { IpAddress = null, DnsName = wanted }).IsValid);
    }

    public static TheoryData<string> LeafRules => [.. BrokenLeaves.Keys];

    public static TheoryData<string> RootRules => [.. BrokenRoots.Keys];

    private static readonly Dictionary<string, CertificateForge> BrokenLeaves = new()
    {
        ["is an authority"] = Good with { IsAuthority = true },
        ["has keyCertSign"] = Good with { Usage = KeyUsages.DigitalSignature | KeyUsages.KeyCertSign },
        ["has no issuer key identifier"] = Good with { HasIssuerKeyId = false },
        ["has an empty subject and names that are not critical"] = Good with { Subject = "" },
        ["has a subject and critical names"] = Good with { AreNamesCritical = true },
        ["has serial number zero"] = Good with { Serial = [0] },
        ["has a serial number of 22 bytes"] = Good with { Serial = [.. Enumerable.Repeat((byte)0x11, 22)] },
        ["is for code signing too"] = Good with { Purposes = [CertificateForge.ServerAuth, CertificateForge.CodeSigning] },
        ["is for any purpose"] = Good with { Purposes = [CertificateForge.ServerAuth, "2.5.29.37.0"] },
        ["has critical purposes"] = Good with { Purposes = null, Extra = [new X509EnhancedKeyUsageExtension([new(CertificateForge.ServerAuth)], true)] },
        ["has name constraints"] = Good with { Permitted = ["dns:example.org"] },
    };

    private static readonly Dictionary<string, CertificateForge> BrokenRoots = new()
    {
        ["has no subject"] = GoodRoot with { Subject = "" },
        ["has no key identifier"] = GoodRoot with { HasKeyId = false },
        ["has basic constraints that are not critical"] = GoodRoot with { AreBasicConstraintsCritical = false },
        ["has purposes"] = GoodRoot with { Purposes = [CertificateForge.ServerAuth] },
        ["has the issuer key identifier of another"] = GoodRoot with { IssuerKeyId = new byte[20] },
        ["has an issuer key identifier without key"] = GoodRoot with { HasIssuerKeyId = false, Extra = [new("2.5.29.35", [0x30, 0x00], false)] },
        ["has an issuer key identifier with a serial number"] = GoodRoot with { HasIssuerKeyId = false, Extra = [new("2.5.29.35", [0x30, 0x06, 0x80, 0x01, 0x01, 0x82, 0x01, 0x01], false)] },
        ["has policy constraints that are not critical"] = GoodRoot with { Extra = [new("2.5.29.36", [0x30, 0x03, 0x80, 0x01, 0x00], false)] },
        ["has a critical issuer key identifier"] = GoodRoot with { HasIssuerKeyId = false, Extra = [new("2.5.29.35", [0x30, 0x03, 0x80, 0x01, 0x01], true)] },
        ["has a critical key identifier"] = GoodRoot with { HasKeyId = false, HasIssuerKeyId = false, Extra = [new("2.5.29.14", [0x04, 0x01, 0x01], true)] },
    };

    [Theory]
    [MemberData(nameof(LeafRules))]
    public void Refuses_a_leaf_that(string rule) => Assert.False(Judge(BrokenLeaves[rule]).IsValid);

    [Theory]
    [MemberData(nameof(RootRules))]
    public void Refuses_a_root_that(string rule)
    {
        var root = BrokenRoots[rule].SignSelf();

        Assert.False(PathValidator.Validate(Request(Good, root)).IsValid);
    }

    [Fact]
    public void Accepts_what_is_allowed()
    {
        Assert.True(Judge(Good).IsValid);
        Assert.True(Judge(Good with { Subject = "", AreNamesCritical = true }).IsValid);
        Assert.True(Judge(Good with { Usage = null }).IsValid);
        Assert.True(Judge(Good with { IsAuthority = null }).IsValid);
        Assert.True(Judge(Good with { Purposes = null }).IsValid);
        Assert.True(Judge(Good with { Purposes = [CertificateForge.ServerAuth, CertificateForge.ClientAuth] }).IsValid);
        Assert.True(PathValidator.Validate(Request(Good, (GoodRoot with { HasIssuerKeyId = false }).SignSelf())).IsValid);
    }

    [Fact]
    public void Leaves_private_authorities_alone_under_the_plain_profile()
    {
        foreach (var name in BrokenLeaves.Keys.Except(["has name constraints"]))
        {
            var verdict = PathValidator.Validate(Request(BrokenLeaves[name]) with { Profile = PathProfile.Rfc5280 });

            Assert.True(verdict.IsValid, name + ": " + verdict.Reason);
        }
    }

    private static PathProblem JudgeName(string[] carried, string wanted) =>
        PathValidator.Validate(Request(Good with { Names = [.. carried.Select(n => "dns:" + n)] }) with { DnsName = wanted }).Problem;

    private static PathVerdict Judge(CertificateForge leaf) => PathValidator.Validate(Request(leaf));

    private static PathRequest Request(CertificateForge leaf, ForgedCertificate? root = null) => new()
    {
        Leaf = leaf.Sign(root ?? Root).Certificate,
        Roots = [(root ?? Root).Certificate],
        At = CertificateForge.Now,
        Profile = PathProfile.WebPki,
        Usage = CertificateUsage.Server,
        DnsName = "www.example.org",
    };
}
