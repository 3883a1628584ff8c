using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Signet.Identity.X509;

namespace Signet.Testing.X509;

/// <summary>One question about a path, and what Signet answers under <see cref="PathProfile.Rfc5280"/>.</summary>
public sealed record ChainCase(string Name, PathProblem Expected, Certificate Leaf, IReadOnlyList<Certificate> Intermediates, IReadOnlyList<Certificate> Roots)
{
    public DateTimeOffset At { get; init; } = CertificateForge.Now;

    public CertificateUsage Usage { get; init; } = CertificateUsage.Server;

    public PathRequest Request => new() { Leaf = Leaf, Intermediates = Intermediates, Roots = Roots, At = At, Usage = Usage, Profile = PathProfile.Rfc5280 };

    public override string ToString() => Name;
}

/// <summary>
/// Chains good and bad, made anew in each process: the same corpus is put to X509Chain and to <c>openssl verify</c>, and every answer that differs
/// from Signet's must be explained there.
/// </summary>
public static class ChainCorpus
{
    private static readonly Lazy<IReadOnlyList<ChainCase>> Made = new(() => [.. Plain(), .. Times(), .. Rights(), .. PathLengths(), .. Purposes(), .. Names(), .. Graphs(), .. Weak(), .. Broken()]);

    public static IReadOnlyList<ChainCase> All => Made.Value;

    private static readonly string[] Where = ["leaf", "issuing", "policy", "root"];

    /// <summary>root, policy, issuing and leaf, each changed as the test wants; the answer is leaf first.</summary>
    private static ForgedCertificate[] Chain(int depth, Func<int, CertificateForge, CertificateForge>? change = null)
    {
        change ??= (_, forge) => forge;
        var chain = new ForgedCertificate[depth + 2];
        for (var i = depth + 1; i >= 0; i--)
        {
            var forge = i == 0 ? CertificateForge.Server("www.example.org") : CertificateForge.Authority($"O=Test,CN={(i == depth + 1 ? "root" : "authority " + i)}");
            forge = change(i, forge);
            chain[i] = i == depth + 1 ? forge.SignSelf() : forge.Sign(chain[i + 1]);
        }

        return chain;
    }

    private static ChainCase Case(string name, PathProblem expected, ForgedCertificate[] chain) =>
        new(name, expected, chain[0].Certificate, [.. chain[1..^1].Select(c => c.Certificate)], [chain[^1].Certificate]);

    private static IEnumerable<ChainCase> Plain()
    {
        foreach (var key in new[] { "p256", "p384", "p521", "rsa2048", "rsa3072" })
        {
            for (var depth = 0; depth <= 3; depth++)
            {
                yield return Case($"plain {key} depth {depth}", PathProblem.None, Chain(depth, (_, f) => f with { KeyName = key }));
            }
        }

        yield return Case("plain SHA-384", PathProblem.None, Chain(1, (_, f) => f with { Hash = HashAlgorithmName.SHA384 }));
        yield return Case("plain SHA-512", PathProblem.None, Chain(1, (_, f) => f with { Hash = HashAlgorithmName.SHA512 }));
        yield return Case("RSA root, EC below", PathProblem.None, Chain(1, (i, f) => i == 2 ? f with { KeyName = "rsa2048" } : f));
        yield return Case("EC root, RSA leaf", PathProblem.None, Chain(1, (i, f) => i == 0 ? f with { KeyName = "rsa2048", Usage = KeyUsages.DigitalSignature | KeyUsages.KeyEncipherment } : f));
        yield return Case("eleven intermediates", PathProblem.PathLength, Chain(11));
        yield return Case("ten intermediates", PathProblem.None, Chain(10));
    }

    private static IEnumerable<ChainCase> Times()
    {
        for (var where = 0; where <= 3; where++)
        {
            var at = where;
            yield return Case($"expired {Where[at]}", PathProblem.Expired, Chain(2, (i, f) => i == at ? f with { NotBefore = CertificateForge.Now.AddDays(-9), NotAfter = CertificateForge.Now.AddSeconds(-1) } : f));
            yield return Case($"not yet valid {Where[at]}", PathProblem.NotYetValid, Chain(2, (i, f) => i == at ? f with { NotBefore = CertificateForge.Now.AddSeconds(1) } : f));
            yield return Case($"last second of {Where[at]}", PathProblem.None, Chain(2, (i, f) => i == at ? f with { NotBefore = CertificateForge.Now.AddDays(-9), NotAfter = CertificateForge.Now } : f));
            yield return Case($"first second of {Where[at]}", PathProblem.None, Chain(2, (i, f) => i == at ? f with { NotBefore = CertificateForge.Now } : f));
            yield return Case($"until 2060 {Where[at]}", PathProblem.None, Chain(2, (i, f) => i == at ? f with { NotAfter = new DateTimeOffset(2060, 1, 1, 0, 0, 0, TimeSpan.Zero) } : f));
        }
    }

    private static IEnumerable<ChainCase> Rights()
    {
        for (var where = 1; where <= 3; where++)
        {
            var at = where;
            yield return Case($"{Where[at]} has cA false", PathProblem.NotAnAuthority, Chain(2, (i, f) => i == at ? f with { IsAuthority = false } : f));
            yield return Case($"{Where[at]} has no basic constraints", PathProblem.NotAnAuthority, Chain(2, (i, f) => i == at ? f with { IsAuthority = null } : f));
            yield return Case($"{Where[at]} lacks keyCertSign", PathProblem.KeyUsage, Chain(2, (i, f) => i == at ? f with { Usage = KeyUsages.CrlSign } : f));
            yield return Case($"{Where[at]} has no key usage", PathProblem.None, Chain(2, (i, f) => i == at ? f with { Usage = null } : f));
            yield return Case($"{Where[at]} has basic constraints that are not critical", PathProblem.None, Chain(2, (i, f) => i == at ? f with { AreBasicConstraintsCritical = false } : f));
            yield return Case($"{Where[at]} has no key identifier", PathProblem.None, Chain(2, (i, f) => i == at ? f with { HasKeyId = false } : f));
        }

        for (var where = 0; where <= 3; where++)
        {
            var at = where;
            yield return Case($"unknown critical extension in {Where[at]}", PathProblem.UnknownCriticalExtension, Chain(2, (i, f) => i == at ? f with { Extra = [CertificateForge.Unknown(true)] } : f));
            yield return Case($"unknown extension in {Where[at]}", PathProblem.None, Chain(2, (i, f) => i == at ? f with { Extra = [CertificateForge.Unknown(false)] } : f));
            yield return Case($"no issuer key identifier in {Where[at]}", PathProblem.None, Chain(2, (i, f) => i == at ? f with { HasIssuerKeyId = false } : f));
        }

        var policies = CertificateForge.Encode(w =>
        {
            using (w.PushSequence())
            using (w.PushSequence())
            {
                w.WriteObjectIdentifier("2.23.140.1.2.1");
            }
        });
        yield return Case("critical policies in leaf", PathProblem.None, Chain(1, (i, f) => i == 0 ? f with { Extra = [new("2.5.29.32", policies, true)] } : f));
        var explicitPolicy = CertificateForge.Encode(w =>
        {
            using (w.PushSequence())
            {
                w.WriteInteger(0, new System.Formats.Asn1.Asn1Tag(System.Formats.Asn1.TagClass.ContextSpecific, 0));
            }
        });
        yield return Case("explicit policy required by issuing", PathProblem.UnknownCriticalExtension, Chain(1, (i, f) => i == 1 ? f with { Extra = [new("2.5.29.36", explicitPolicy, true)] } : f));
    }

    private static IEnumerable<ChainCase> PathLengths()
    {
        for (var depth = 1; depth <= 3; depth++)
        {
            for (var limit = 0; limit <= 3; limit++)
            {
                var (root, bound) = (depth + 1, limit);
                yield return Case($"root allows {limit}, path has {depth}", depth > limit ? PathProblem.PathLength : PathProblem.None, Chain(depth, (i, f) => i == root ? f with { PathLength = bound } : f));
            }
        }

        yield return Case("issuing allows 0", PathProblem.None, Chain(2, (i, f) => i == 1 ? f with { PathLength = 0 } : f));
        yield return Case("policy allows 0, issuing stands below", PathProblem.PathLength, Chain(2, (i, f) => i == 2 ? f with { PathLength = 0 } : f));
        yield return Case("limits may grow downwards", PathProblem.None, Chain(2, (i, f) => i == 2 ? f with { PathLength = 1 } : i == 1 ? f with { PathLength = 5 } : f));
        yield return Case("self-issued authorities do not count", PathProblem.None, Chain(2, (i, f) => i switch { 3 => f with { Subject = "CN=same", PathLength = 1 }, 2 => f with { Subject = "CN=same" }, _ => f }));
        yield return Case("self-issued authorities do not count, but others do", PathProblem.PathLength, Chain(3, (i, f) => i switch { 4 => f with { Subject = "CN=same", PathLength = 1 }, 3 => f with { Subject = "CN=same" }, _ => f }));
    }

    private static IEnumerable<ChainCase> Purposes()
    {
        foreach (var usage in new[] { CertificateUsage.Server, CertificateUsage.Client })
        {
            var (right, wrong) = usage == CertificateUsage.Server ? (CertificateForge.ServerAuth, CertificateForge.ClientAuth) : (CertificateForge.ClientAuth, CertificateForge.ServerAuth);
            yield return Case($"{usage}: leaf for it", PathProblem.None, Chain(1, (i, f) => i == 0 ? f with { Purposes = [right] } : f)) with { Usage = usage };
            yield return Case($"{usage}: leaf for the other", PathProblem.ExtendedKeyUsage, Chain(1, (i, f) => i == 0 ? f with { Purposes = [wrong] } : f)) with { Usage = usage };
            yield return Case($"{usage}: leaf for both", PathProblem.None, Chain(1, (i, f) => i == 0 ? f with { Purposes = [wrong, right] } : f)) with { Usage = usage };
            yield return Case($"{usage}: leaf without purposes", PathProblem.None, Chain(1, (i, f) => i == 0 ? f with { Purposes = null } : f)) with { Usage = usage };
            yield return Case($"{usage}: leaf for code signing", PathProblem.ExtendedKeyUsage, Chain(1, (i, f) => i == 0 ? f with { Purposes = [CertificateForge.CodeSigning] } : f)) with { Usage = usage };
            foreach (var where in new[] { 1, 2, 3 })
            {
                yield return Case($"{usage}: {Where[where]} for the other", PathProblem.ExtendedKeyUsage, Chain(2, (i, f) => i == 0 ? f with { Purposes = [right, wrong] } : i == where ? f with { Purposes = [wrong] } : f)) with { Usage = usage };
                yield return Case($"{usage}: {Where[where]} for it", PathProblem.None, Chain(2, (i, f) => i == 0 ? f with { Purposes = [right, wrong] } : i == where ? f with { Purposes = [right] } : f)) with { Usage = usage };
            }
        }
    }

    private static IEnumerable<ChainCase> Names()
    {
        foreach (var (name, inside, outside) in new[]
        {
            ("dns:www.example.org", "dns:example.org", "dns:example.com"),
            ("dns:www.example.org", "dns:www.example.org", "dns:ww.example.org"),
            ("dns:WWW.Example.ORG", "dns:example.org", "dns:xample.org"),
            ("uri:spiffe://example.org/orders", "uri:example.org", "uri:example.com"),
            ("uri:https://www.example.org/x", "uri:.example.org", "uri:example.org"),
            ("ip:10.1.2.3", "ip:10.0.0.0/8", "ip:10.2.0.0/16"),
            ("ip:2001:db8::1", "ip:2001:db8::/32", "ip:2001:db9::/32"),
            ("email:ann@example.org", "email:example.org", "email:bob@example.org"),
            ("email:ann@mail.example.org", "email:.example.org", "email:example.org"),
            ("dir:O=Test,CN=x", "dir:O=Test", "dir:O=Other"),
        })
        {
            var subject = name.StartsWith("dir", StringComparison.Ordinal) ? "O=Test,CN=leaf" : "CN=leaf";
            foreach (var where in new[] { 1, 2 })
            {
                yield return Case($"{name} permitted by {inside} in {where}", PathProblem.None, Chain(1, (i, f) => Named(i, f, where, subject, name, [inside], [])));
                yield return Case($"{name} not permitted by {outside} in {where}", PathProblem.NameConstraint, Chain(1, (i, f) => Named(i, f, where, subject, name, [outside], [])));
                yield return Case($"{name} excluded by {inside} in {where}", PathProblem.NameConstraint, Chain(1, (i, f) => Named(i, f, where, subject, name, [], [inside])));
                yield return Case($"{name} not excluded by {outside} in {where}", PathProblem.None, Chain(1, (i, f) => Named(i, f, where, subject, name, [], [outside])));
            }
        }

        yield return Case("excluded wins over permitted", PathProblem.NameConstraint, Chain(1, (i, f) => Named(i, f, 1, "CN=leaf", "dns:www.example.org", ["dns:example.org"], ["dns:www.example.org"])));
        yield return Case("constraints of another kind say nothing", PathProblem.None, Chain(1, (i, f) => Named(i, f, 1, "CN=leaf", "dns:www.example.org", ["ip:10.0.0.0/8"], [])));
        yield return Case("subject outside the permitted directory", PathProblem.NameConstraint, Chain(1, (i, f) => Named(i, f, 1, "O=Other,CN=leaf", "dns:www.example.org", ["dir:O=Test"], [])));
        yield return Case("both authorities must permit", PathProblem.NameConstraint, Chain(2, (i, f) => i switch
        {
            0 => f with { Names = ["dns:a.example.org"] },
            1 => f with { Permitted = ["dns:a.example.org", "dns:b.example.org"] },
            2 => f with { Permitted = ["dns:b.example.org"] },
            _ => f,
        }));
        yield return Case("intermediate outside the permitted names", PathProblem.NameConstraint, Chain(2, (i, f) => i switch
        {
            0 => f with { Names = ["dns:a.example.org"] },
            1 => f with { Names = ["dns:a.example.com"] },
            2 => f with { Permitted = ["dns:example.org"] },
            _ => f,
        }));
        yield return Case("wildcard that could become an excluded name", PathProblem.NameConstraint, Chain(1, (i, f) => Named(i, f, 1, "CN=leaf", "dns:*.example.org", [], ["dns:secret.example.org"])));
        yield return Case("malformed address constraint", PathProblem.NameConstraint, Chain(1, (i, f) => Named(i, f, 1, "CN=leaf", "ip:10.1.2.3", ["ip:10.1.2.3"], [])));
        yield return Case("leading dot in a DNS constraint", PathProblem.NameConstraint, Chain(1, (i, f) => Named(i, f, 1, "CN=leaf", "dns:www.example.org", ["dns:.example.org"], [])));
        yield return Case("name constraints in a leaf", PathProblem.Profile, Chain(1, (i, f) => i == 0 ? f with { Permitted = ["dns:example.org"] } : f));

        static CertificateForge Named(int i, CertificateForge forge, int where, string subject, string name, string[] permitted, string[] excluded) =>
            i == 0 ? forge with { Subject = subject, Names = [name] } : i == where ? forge with { Permitted = permitted, Excluded = excluded } : forge;
    }

    private static IEnumerable<ChainCase> Graphs()
    {
        var chain = Chain(2);
        var (leaf, issuing, policy, root) = (chain[0], chain[1], chain[2], chain[3]);
        yield return new("intermediates in reverse", PathProblem.None, leaf.Certificate, [policy.Certificate, issuing.Certificate], [root.Certificate]);
        yield return new("an intermediate missing", PathProblem.UnknownAuthority, leaf.Certificate, [issuing.Certificate], [root.Certificate]);
        yield return new("no intermediates", PathProblem.UnknownAuthority, leaf.Certificate, [], [root.Certificate]);
        yield return new("root among the intermediates only", PathProblem.UnknownAuthority, leaf.Certificate, [issuing.Certificate, policy.Certificate, root.Certificate], [Chain(0)[1].Certificate]);
        yield return new("root sent along", PathProblem.None, leaf.Certificate, [issuing.Certificate, policy.Certificate, root.Certificate], [root.Certificate]);
        yield return new("intermediates twice", PathProblem.None, leaf.Certificate, [issuing.Certificate, issuing.Certificate, policy.Certificate, policy.Certificate], [root.Certificate]);
        yield return new("many that do not belong", PathProblem.None, leaf.Certificate, [.. Enumerable.Range(0, 8).SelectMany(_ => Chain(1)[1..2]).Select(c => c.Certificate), policy.Certificate, issuing.Certificate], [root.Certificate]);
        yield return new("policy authority as the anchor", PathProblem.None, leaf.Certificate, [issuing.Certificate], [policy.Certificate]);
        yield return new("several roots", PathProblem.None, leaf.Certificate, [issuing.Certificate, policy.Certificate], [Chain(0)[1].Certificate, CertificateForge.Authority("CN=other").SignSelf().Certificate, root.Certificate]);
        yield return new("self-signed leaf", PathProblem.UnknownAuthority, CertificateForge.Server("www.example.org").SignSelf().Certificate, [], [root.Certificate]);

        // Two roots of one name: an old key and a new one.
        var newRoot = CertificateForge.Authority(ChainRootName).SignSelf();
        yield return new("two roots of one name, first fits", PathProblem.None, leaf.Certificate, [issuing.Certificate, policy.Certificate], [root.Certificate, newRoot.Certificate]);
        yield return new("two roots of one name, last fits", PathProblem.None, leaf.Certificate, [issuing.Certificate, policy.Certificate], [newRoot.Certificate, root.Certificate]);
        yield return new("only the namesake", PathProblem.UnknownAuthority, leaf.Certificate, [issuing.Certificate, policy.Certificate], [newRoot.Certificate]);
        var plainRoot = CertificateForge.Authority("CN=plain") with { HasKeyId = false, HasIssuerKeyId = false };
        var (plainOld, plainNew) = (plainRoot.SignSelf(), plainRoot.SignSelf());
        var plainLeaf = (CertificateForge.Server("www.example.org") with { HasIssuerKeyId = false }).Sign(plainOld);
        yield return new("two roots of one name without key identifiers", PathProblem.None, plainLeaf.Certificate, [], [plainNew.Certificate, plainOld.Certificate]);
        yield return new("only the namesake, without key identifiers", PathProblem.BadSignature, plainLeaf.Certificate, [], [plainNew.Certificate]);

        // Cross-signs: the same name and key under two roots.
        var (oldRoot, otherRoot) = (CertificateForge.Authority("CN=old root").SignSelf(), CertificateForge.Authority("CN=other root").SignSelf());
        var crossed = CertificateForge.Authority("CN=crossed");
        var byOld = crossed.Sign(oldRoot);
        var byOther = (crossed with { Key = byOld.Key }).Sign(otherRoot);
        var expiredByOther = (crossed with { Key = byOld.Key, NotBefore = CertificateForge.Now.AddDays(-9), NotAfter = CertificateForge.Now.AddDays(-1) }).Sign(otherRoot);
        var crossedLeaf = CertificateForge.Server("www.example.org").Sign(byOld);
        yield return new("cross-sign, first root known", PathProblem.None, crossedLeaf.Certificate, [byOld.Certificate, byOther.Certificate], [oldRoot.Certificate]);
        yield return new("cross-sign, second root known", PathProblem.None, crossedLeaf.Certificate, [byOld.Certificate, byOther.Certificate], [otherRoot.Certificate]);
        yield return new("cross-sign, no root known", PathProblem.UnknownAuthority, crossedLeaf.Certificate, [byOld.Certificate, byOther.Certificate], [root.Certificate]);
        yield return new("expired cross-sign first, good one second", PathProblem.None, crossedLeaf.Certificate, [expiredByOther.Certificate, byOld.Certificate], [oldRoot.Certificate, otherRoot.Certificate]);
        yield return new("only the expired cross-sign leads to a root", PathProblem.Expired, crossedLeaf.Certificate, [expiredByOther.Certificate, byOld.Certificate], [otherRoot.Certificate]);
        var constrained = (crossed with { Key = byOld.Key, Permitted = ["dns:example.com"] }).Sign(otherRoot);
        yield return new("constrained cross-sign first, good one second", PathProblem.None, crossedLeaf.Certificate, [constrained.Certificate, byOld.Certificate], [oldRoot.Certificate, otherRoot.Certificate]);

        // Loops: two authorities that vouch for each other.
        var ring = CertificateForge.Authority("CN=ring one");
        var second = CertificateForge.Authority("CN=ring two");
        var (ringKey, secondKey) = (CertificateForge.NewKey("p256"), CertificateForge.NewKey("p256"));
        var ringRoot = (ring with { Key = ringKey }).SignSelf();
        var secondRoot = (second with { Key = secondKey }).SignSelf();
        var ringBySecond = (ring with { Key = ringKey }).Sign(secondRoot);
        var secondByRing = (second with { Key = secondKey }).Sign(ringRoot);
        var ringLeaf = CertificateForge.Server("www.example.org").Sign(ringRoot);
        yield return new("a loop that leads nowhere", PathProblem.UnknownAuthority, ringLeaf.Certificate, [ringBySecond.Certificate, secondByRing.Certificate], [root.Certificate]);
        yield return new("a loop with a way out", PathProblem.None, ringLeaf.Certificate, [ringBySecond.Certificate, secondByRing.Certificate], [secondRoot.Certificate]);
        yield return new("a loop at its own root", PathProblem.None, ringLeaf.Certificate, [ringBySecond.Certificate, secondByRing.Certificate], [ringRoot.Certificate]);

        // Names that are equal by RFC 5280 §7.1.
        var shouting = CertificateForge.Authority("O=TEST  COMPANY,CN=Root").SignSelf();
        yield return new("issuer differs in case and spaces", PathProblem.None, (CertificateForge.Server("www.example.org") with { Issuer = "O=test company,CN=ROOT" }).Sign(shouting).Certificate, [], [shouting.Certificate]);
        yield return new("issuer has another name", PathProblem.UnknownAuthority, (CertificateForge.Server("www.example.org") with { Issuer = "O=testcompany,CN=ROOT" }).Sign(shouting).Certificate, [], [shouting.Certificate]);
        yield return new("wrong issuer key identifier, right signature", PathProblem.None, (CertificateForge.Server("www.example.org") with { IssuerKeyId = new byte[20] }).Sign(root).Certificate, [], [root.Certificate]);
    }

    private const string ChainRootName = "O=Test,CN=root";

    private static IEnumerable<ChainCase> Weak()
    {
        for (var where = 0; where <= 2; where++)
        {
            var at = where;
            yield return Case($"SHA-1 signs {Where[at]}", PathProblem.WeakAlgorithm, Chain(2, (i, f) => i == at ? f with { Hash = HashAlgorithmName.SHA1 } : f));
            yield return Case($"SHA-1 with RSA signs {Where[at]}", PathProblem.WeakAlgorithm, Chain(2, (i, f) => (i == at ? f with { Hash = HashAlgorithmName.SHA1 } : f) with { KeyName = "rsa2048" }));
        }

        yield return Case("SHA-1 signs the root itself", PathProblem.None, Chain(1, (i, f) => i == 2 ? f with { Hash = HashAlgorithmName.SHA1 } : f));
        for (var where = 0; where <= 2; where++)
        {
            var at = where;
            yield return Case($"RSA with 1024 bits in {Where[at == 2 ? 3 : at]}", PathProblem.WeakAlgorithm, Chain(1, (i, f) => i == at ? f with { KeyName = "rsa1024" } : f));
            yield return Case($"brainpool curve in {Where[at == 2 ? 3 : at]}", PathProblem.WeakAlgorithm, Chain(1, (i, f) => i == at ? f with { KeyName = "brainpool" } : f));
        }
    }

    private static IEnumerable<ChainCase> Broken()
    {
        for (var where = 0; where <= 2; where++)
        {
            var chain = Chain(2);
            chain[where] = chain[where].Tampered();
            yield return Case($"tampered signature on {Where[where]}", PathProblem.BadSignature, chain);
        }

        var tampered = Chain(1);
        tampered[2] = tampered[2].Tampered();
        yield return Case("tampered signature on the root itself", PathProblem.None, tampered);
        var stranger = Chain(1);
        yield return new("leaf of another authority of the same name", PathProblem.UnknownAuthority, Chain(1)[0].Certificate, [stranger[1].Certificate], [stranger[2].Certificate]);
        yield return Case("serial number zero", PathProblem.None, Chain(1, (i, f) => i == 0 ? f with { Serial = [0] } : f));
        yield return Case("serial number of 32 bytes", PathProblem.None, Chain(1, (i, f) => i == 0 ? f with { Serial = [.. Enumerable.Repeat((byte)0x11, 32)] } : f));
    }
}
