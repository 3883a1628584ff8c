using Signet.Identity.X509;
using Signet.Testing.X509;

namespace Signet.UnitTests.Identity.X509;

public sealed class PathValidatorTests
{
    [Fact]
    public void Answers_every_case_of_the_corpus_as_it_should()
    {
        var wrong = ChainCorpus.All
            .Select(c => (Case: c, Verdict: PathValidator.Validate(c.Request)))
            .Where(x => x.Verdict.Problem != x.Case.Expected)
            .Select(x => $"{x.Case.Name}: {x.Verdict.Problem}, expected {x.Case.Expected}: {x.Verdict.Reason}");

        Assert.Equal("", string.Join('\n', wrong));
        Assert.True(ChainCorpus.All.Count >= 150, $"{ChainCorpus.All.Count} cases");
        Assert.Equal(ChainCorpus.All.Count, ChainCorpus.All.Select(c => c.Name).Distinct().Count());
    }

    [Fact]
    public void Gives_the_path_leaf_first_and_holds_until_its_first_certificate_ends()
    {
        foreach (var question in ChainCorpus.All.Where(c => c.Expected == PathProblem.None))
        {
            var verdict = PathValidator.Validate(question.Request);

            Assert.Equal(question.Leaf, verdict.Path[0]);
            Assert.Contains(verdict.Path[^1], question.Roots);
            Assert.Equal(verdict.Path.Min(c => c.NotAfter), verdict.ExpiresAt);
            Assert.All(verdict.Path.Zip(verdict.Path.Skip(1)), pair => Assert.True(pair.First.IsSignedBy(pair.Second)));
        }
    }

    [Fact]
    public void Says_why_and_what_the_clock_showed()
    {
        var expired = PathValidator.Validate(ChainCorpus.All.Single(c => c.Name == "expired leaf").Request);

        Assert.Contains("expired at 2026-11-26T11:59:59Z; it is 2026-11-26T12:00:00Z", expired.Reason);
        Assert.Empty(expired.Path);
    }

    [Fact]
    public void Refuses_a_leaf_with_a_second_ID_beside_the_expected_one()
    {
        var root = CertificateForge.Authority("CN=root").SignSelf();
        var request = new PathRequest { Leaf = root.Certificate, Roots = [root.Certificate], At = CertificateForge.Now, Profile = PathProfile.Rfc5280, ExpectedId = TestPki.Orders };

        Assert.True(PathValidator.Validate(request with { Leaf = CertificateForge.Workload().Sign(root).Certificate }).IsValid);
        Assert.Equal(PathProblem.NameMismatch, PathValidator.Validate(request with
        {
            Leaf = (CertificateForge.Workload() with { Names = ["uri:spiffe://example.org/orders", "uri:spiffe://example.org/web"] }).Sign(root).Certificate,
        }).Problem);
    }

    [Theory]
    [InlineData(0, PathProblem.PathLength)]
    [InlineData(1, PathProblem.PathLength)]
    [InlineData(2, PathProblem.None)]
    public void Counts_intermediates_against_the_limit(int limit, PathProblem expected)
    {
        var question = ChainCorpus.All.Single(c => c.Name == "plain p256 depth 2");

        Assert.Equal(expected, PathValidator.Validate(question.Request with { MaxIntermediates = limit }).Problem);
    }

    [Fact]
    public void Does_not_count_self_issued_intermediates_against_the_limit()
    {
        var question = ChainCorpus.All.Single(c => c.Name == "self-issued authorities do not count");

        Assert.True(PathValidator.Validate(question.Request with { MaxIntermediates = 1 }).IsValid);
        Assert.Equal(PathProblem.PathLength, PathValidator.Validate(question.Request with { MaxIntermediates = 0 }).Problem);
    }

    [Fact]
    public void Gives_up_on_a_maze_within_its_bounds()
    {
        // Eight layers of four authorities, each signed by every one of the layer above, and no root: four to the eighth paths.
        const int Layers = 8, Width = 4;
        var keys = Enumerable.Range(0, Layers + 1).Select(_ => Enumerable.Range(0, Width).Select(_ => CertificateForge.NewKey("p256")).ToArray()).ToArray();
        var maze = new List<Certificate>();
        for (var layer = 0; layer < Layers; layer++)
        {
            foreach (var key in keys[layer])
            {
                var authority = CertificateForge.Authority($"CN=layer {layer}") with { Key = key, HasIssuerKeyId = false, HasKeyId = false, Issuer = $"CN=layer {layer + 1}" };
                maze.AddRange(keys[layer + 1].Select(above => authority.Sign(new ForgedCertificate(authority.SignSelf().Certificate, above)).Certificate));
            }
        }

        var first = new ForgedCertificate(maze[0], keys[0][0]);
        var leaf = (CertificateForge.Server("www.example.org") with { HasIssuerKeyId = false }).Sign(first);
        var verdict = PathValidator.Validate(new PathRequest
        {
            Leaf = leaf.Certificate,
            Intermediates = maze,
            Roots = [CertificateForge.Authority("CN=root").SignSelf().Certificate],
            At = CertificateForge.Now,
            Profile = PathProfile.Rfc5280,
        });

        Assert.Equal(PathProblem.TooComplex, verdict.Problem);
    }

    [Fact]
    public void Finds_the_way_through_a_mesh_where_everyone_vouches_for_everyone()
    {
        const int Nodes = 9;
        var forges = Enumerable.Range(0, Nodes).Select(i => CertificateForge.Authority($"CN=node {i}") with { Key = CertificateForge.NewKey("p256") }).ToArray();
        var nodes = forges.Select(f => f.SignSelf()).ToArray();
        var mesh = forges.SelectMany((forge, i) => nodes.Where((_, j) => j != i).Select(issuer => forge.Sign(issuer).Certificate)).ToArray();
        var request = new PathRequest
        {
            Leaf = CertificateForge.Server("www.example.org").Sign(nodes[0]).Certificate,
            Intermediates = mesh,
            Roots = [nodes[^1].Certificate],
            At = CertificateForge.Now,
            Profile = PathProfile.Rfc5280,
        };

        var verdict = PathValidator.Validate(request);

        Assert.True(verdict.IsValid, verdict.Reason);
        Assert.Equal(PathProblem.TooComplex, PathValidator.Validate(request with { Roots = [CertificateForge.Authority("CN=stranger").SignSelf().Certificate] }).Problem);
    }

    [Fact]
    public void Refuses_more_certificates_than_it_will_look_at()
    {
        var question = ChainCorpus.All[0].Request;

        Assert.Equal(PathProblem.TooComplex, PathValidator.Validate(question with { Intermediates = [.. Enumerable.Repeat(question.Leaf, PathValidator.MaxCertificates)] }).Problem);
    }

    [Fact]
    public void Refuses_more_comparisons_of_names_than_it_will_make()
    {
        var root = (CertificateForge.Authority("CN=root") with { Permitted = [.. Enumerable.Range(0, 400).Select(i => $"dns:d{i}.example.org")], Excluded = [.. Enumerable.Range(0, 400).Select(i => $"dns:x{i}.example.org")] }).SignSelf();
        var leaf = CertificateForge.Server([.. Enumerable.Range(0, 900).Select(i => $"d{i % 400}.example.org")]).Sign(root);

        var verdict = PathValidator.Validate(new PathRequest { Leaf = leaf.Certificate, Roots = [root.Certificate], At = CertificateForge.Now, Profile = PathProfile.Rfc5280 });

        Assert.Equal(PathProblem.TooComplex, verdict.Problem);
    }

    [Fact]
    public async Task Answers_the_same_on_many_threads_at_once()
    {
        var question = ChainCorpus.All.Single(c => c.Name == "plain p256 depth 1").Request;

        var verdicts = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => Enumerable.Range(0, 50).All(_ => PathValidator.Validate(question).IsValid))));

        Assert.DoesNotContain(false, verdicts);
    }
}
