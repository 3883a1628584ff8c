using System.Text;
using Xunit.Sdk;

namespace Signet.UnitTests.Proxy;

/// <summary>What the fuzzers do when they find something.</summary>
public sealed class CorpusTests
{
    [Fact]
    public void What_a_parser_throws_at_is_saved_and_found_again_by_its_seed()
    {
        var broken = new Corpus(Throws, "!"u8.ToArray(), "tests", "Signet.UnitTests", "Proxy", "L7", "corpus", "fields.txt");

        var first = Assert.Throws<XunitException>(() => broken.Fuzz(100, seed: 5)).Message;
        Assert.Equal(first, Assert.Throws<XunitException>(() => broken.Fuzz(100, seed: 5)).Message);

        var lines = first.Split('\n');
        Assert.Matches("^seed [0-9]+: an exclamation mark$", lines[0]);
        var file = lines[2]["saved as ".Length..].Split(';')[0];
        var saved = File.ReadAllLines(file);
        Assert.Equal((lines[0].Split(':')[0], lines[1]), (saved[0]["# ".Length..], $"input: {saved[1]["? ".Length..]}"));
        Assert.Contains('!', saved[1]);
        File.Delete(file);
    }

    private static string Throws(byte[] bytes) => Encoding.Latin1.GetString(bytes).Contains('!', StringComparison.Ordinal) ? throw new InvalidOperationException("an exclamation mark") : "ok";
}
