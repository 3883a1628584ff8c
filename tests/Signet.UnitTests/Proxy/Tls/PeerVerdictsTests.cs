using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Proxy;
using Signet.Proxy.Tls;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Tls;

public sealed class PeerVerdictsTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly TestAuthority _authority = new(Now);

    [Fact]
    public void Knows_a_peer_again_and_says_the_same()
    {
        var verdicts = new PeerVerdicts(Bundles(_authority));
        var chain = Chain(_authority.Svid("/ns/default/sa/web"));

        var first = Judge(verdicts, chain);
        var second = Judge(verdicts, chain);

        Assert.Equal("spiffe://example.org/ns/default/sa/web", first.Peer!.Id!.Uri);
        Assert.Same(first.Peer, second.Peer);
    }

    [Fact]
    public void Judges_the_same_chain_anew_under_other_bundles()
    {
        var chain = Chain(_authority.Svid("/ns/default/sa/web"));
        Assert.NotNull(Judge(new PeerVerdicts(Bundles(_authority)), chain).Peer);

        Assert.Equal(RefusalReason.PeerAuthorityUnknown, Judge(new PeerVerdicts(Bundles(new TestAuthority(Now))), chain).Reason);
        Assert.Equal(RefusalReason.PeerTrustDomainUnknown, Judge(new PeerVerdicts(Bundles(new TestAuthority(Now, "elsewhere.example"))), chain).Reason);
    }

    [Fact]
    public void Believes_a_remembered_leaf_for_its_lifetime_and_not_a_second_longer()
    {
        var verdicts = new PeerVerdicts(Bundles(_authority));
        var chain = Chain(_authority.Svid("/ns/default/sa/web", Now.AddHours(-1), Now.AddMinutes(10)));
        Assert.NotNull(Judge(verdicts, chain).Peer);

        Assert.NotNull(Judge(verdicts, chain, at: Now.AddMinutes(10)).Peer);
        Assert.Equal(RefusalReason.PeerCertificateExpired, Judge(verdicts, chain, at: Now.AddMinutes(10).AddSeconds(1)).Reason);
    }

    [Fact]
    public void Does_not_believe_a_remembered_leaf_before_its_time_when_the_clock_was_set_back()
    {
        var verdicts = new PeerVerdicts(Bundles(_authority));
        var chain = Chain(_authority.Svid("/ns/default/sa/web", Now, Now.AddHours(1)));
        Assert.NotNull(Judge(verdicts, chain).Peer);

        Assert.Equal(RefusalReason.PeerCertificateNotYetValid, Judge(verdicts, chain, at: Now.AddSeconds(-1)).Reason);
    }

    [Fact]
    public void Does_not_take_the_answer_about_a_client_for_one_about_a_server()
    {
        var verdicts = new PeerVerdicts(Bundles(_authority));
        var chain = Chain(_authority.Svid("/ns/default/sa/web"));

        var asClient = Judge(verdicts, chain, CertificateUsage.Client);
        var asServer = Judge(verdicts, chain, CertificateUsage.Server);

        Assert.NotNull(asClient.Peer);
        Assert.NotNull(asServer.Peer);
        Assert.NotSame(asClient.Peer, asServer.Peer);
    }

    [Fact]
    public void Asks_who_is_expected_each_time()
    {
        var verdicts = new PeerVerdicts(Bundles(_authority));
        var chain = Chain(_authority.Svid("/ns/default/sa/web"));
        Assert.NotNull(verdicts.Judge(chain, CertificateUsage.Server, _ => true, Now).Peer);

        Assert.Equal(RefusalReason.PeerIdentityUnexpected, verdicts.Judge(chain, CertificateUsage.Server, _ => false, Now).Reason);
        Assert.NotNull(verdicts.Judge(chain, CertificateUsage.Server, _ => true, Now).Peer);
    }

    [Fact]
    public void Does_not_remember_a_refusal()
    {
        var verdicts = new PeerVerdicts(Bundles(_authority));
        var chain = Chain(_authority.Svid("/ns/default/sa/web", Now.AddMinutes(5), Now.AddHours(1)));
        Assert.Equal(RefusalReason.PeerCertificateNotYetValid, Judge(verdicts, chain).Reason);

        Assert.NotNull(Judge(verdicts, chain, at: Now.AddMinutes(6)).Peer);
    }

    [Fact]
    public void Does_not_take_a_chain_for_another_with_the_same_bytes_and_other_borders()
    {
        var verdicts = new PeerVerdicts(Bundles(_authority));
        var chain = Chain(_authority.Svid("/ns/default/sa/web"));
        Assert.NotNull(Judge(verdicts, chain).Peer);
        byte[] all = [.. chain[0].Span, .. chain[1].Span];

        for (var border = 0; border <= all.Length; border += 7)
        {
            Assert.True(border == chain[0].Length || Judge(verdicts, [all.AsMemory(0, border), all.AsMemory(border)]).Peer is null);
        }

        Assert.Null(Judge(verdicts, [all]).Peer);
    }

    [Fact]
    public void Does_not_take_a_known_chain_without_its_intermediate_or_with_another_leaf_for_itself()
    {
        var verdicts = new PeerVerdicts(Bundles(_authority));
        var chain = Chain(_authority.Svid("/ns/default/sa/web"));
        Assert.NotNull(Judge(verdicts, chain).Peer);

        Assert.Null(Judge(verdicts, [chain[0]]).Peer);
        Assert.Null(Judge(verdicts, [chain[1]]).Peer);
        Assert.Null(Judge(verdicts, []).Peer);
        var stranger = Chain(new TestAuthority(Now).Svid("/ns/default/sa/web"));
        Assert.Null(Judge(verdicts, [stranger[0], chain[1]]).Peer);
    }

    [Fact]
    public void Survives_any_bytes_in_place_of_certificates()
    {
        var verdicts = new PeerVerdicts(Bundles(_authority));
        var chain = Chain(_authority.Svid("/ns/default/sa/web"));
        var random = new Random(20261126);
        for (var i = 0; i < 2_000; i++)
        {
            var leaf = chain[0].ToArray();
            leaf[random.Next(leaf.Length)] ^= (byte)(1 << random.Next(8));
            Assert.Null(Judge(verdicts, [leaf, chain[1]]).Peer);
        }
    }

    [Fact]
    public void Remembers_a_bounded_number_of_peers()
    {
        // One key is enough: what counts is that every certificate is another.
        var (anchorKey, key) = (KeyPair.Generate(KeyType.EcP256), KeyPair.ExportPublicKey(KeyPair.Generate(KeyType.EcP256)));
        var domain = TrustDomain.Parse("many.example");
        var anchor = CertificateTemplate.Authority(domain, KeyPair.ExportPublicKey(anchorKey), Now.AddDays(-1), Now.AddDays(1), "anchor").SignSelf(anchorKey);
        var verdicts = new PeerVerdicts(TrustBundles.Of([X509Bundle.Create(domain, [anchor])]));
        var most = 0;
        for (var i = 0; i < PeerVerdicts.MaxKept + 100; i++)
        {
            var leaf = CertificateTemplate.Leaf(SpiffeId.Of(domain, $"/peer/{i}"), key, Now.AddHours(-1), Now.AddHours(1)).Sign(anchor, anchorKey);
            Assert.NotNull(Judge(verdicts, [leaf.Der]).Peer);
            most = Math.Max(most, verdicts.Count);
        }

        Assert.Equal(PeerVerdicts.MaxKept, most);
        Assert.InRange(verdicts.Count, 1, 100);
    }

    [Fact]
    public void A_verdict_holds_no_longer_than_the_list_that_was_asked_and_its_connection_as_long_as_the_certificates()
    {
        var svid = _authority.Svid("/ns/default/sa/web", Now.AddHours(-1), Now.AddDays(10));
        var verdicts = new PeerVerdicts(Bundles(_authority).WithCrls([_authority.Revoke()]));

        Assert.Equal(svid.Leaf.NotAfter, Judge(verdicts, Chain(svid)).Peer!.ExpiresAt);
        Assert.NotNull(Judge(verdicts, Chain(svid), at: Now.AddDays(1)).Peer);
        Assert.Equal(RefusalReason.PeerCertificateInvalid, Judge(verdicts, Chain(svid), at: Now.AddDays(1).AddSeconds(1)).Reason);
    }

    [Fact]
    public void Says_of_a_revoked_peer_that_it_is_revoked()
    {
        var (revoked, good) = (_authority.Svid("/ns/default/sa/web"), _authority.Svid("/ns/default/sa/web"));
        var verdicts = new PeerVerdicts(Bundles(_authority).WithCrls([_authority.Revoke(revoked.Leaf)]));

        Assert.Equal(RefusalReason.PeerCertificateRevoked, Judge(verdicts, Chain(revoked)).Reason);
        Assert.NotNull(Judge(verdicts, Chain(good)).Peer);
    }

    private static TrustBundles Bundles(TestAuthority authority) => TrustBundles.Of([authority.Bundle]);

    private static ReadOnlyMemory<byte>[] Chain(X509Svid svid) => [.. svid.Chain.Select(certificate => certificate.Der)];

    private static Judgement Judge(PeerVerdicts verdicts, ReadOnlyMemory<byte>[] chain, CertificateUsage usage = CertificateUsage.Client, DateTimeOffset? at = null) =>
        verdicts.Judge(chain, usage, expected: null, at ?? Now);
}
