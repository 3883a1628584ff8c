using System.Globalization;
using System.Text;
using Xunit.Sdk;

namespace Signet.UnitTests.Proxy;

/// <summary>
/// Inputs of a parser that are kept in a file, a verdict and an input a line: <c>\r \n \t \0 \xNN \\</c> stand for what they usually do, and a file that ends in <c>.hex</c> has
/// octets in hexadecimal. They are judged as they are, and after some of their octets were changed, left out, repeated, or joined with others'. An input that a judge throws at is
/// written beside the tests, with the seed that leads to it.
/// </summary>
/// <param name="judge">The parser's verdict on an input; throws when the parser does, or when what it accepted could be read in another way.</param>
/// <param name="marks">Octets that mean something to the parser, or have once been taken for it.</param>
/// <param name="path">The file, from the repository's folder.</param>
internal sealed class Corpus(Func<byte[], string> judge, byte[] marks, params string[] path)
{
    private readonly string _name = path[^1];

    private bool IsHex => _name.EndsWith(".hex", StringComparison.Ordinal);

    /// <summary>Judges each as it is.</summary>
    public void Replay()
    {
        foreach (var (verdict, bytes, line) in Saved())
        {
            Assert.Equal($"{verdict} {line}", $"{judge(bytes)} {line}");
        }
    }

    /// <summary>Judges what becomes of them, in the same way for the same seed.</summary>
    /// <param name="changesOfEach">How many changed inputs are made of each.</param>
    /// <param name="seed">Another one makes other changes.</param>
    /// <returns>How many were accepted, of how many.</returns>
    public (int Accepted, int All) Fuzz(int changesOfEach, int seed = 0)
    {
        var all = Saved().Select(saved => saved.Bytes).ToList();
        var accepted = 0;
        for (var i = 0; i < all.Count; i++)
        {
            var random = new Random(seed + i);
            for (var change = 0; change < changesOfEach; change++)
            {
                var bytes = all[i];
                for (var times = random.Next(1, 4); times > 0; times--)
                {
                    bytes = Changed(bytes, all, random);
                }

                accepted += Judge(bytes, seed + i) == "ok" ? 1 : 0;
            }
        }

        return (accepted, all.Count * changesOfEach);
    }

    /// <summary>Makes other changes each time, for as long as is wanted.</summary>
    public void Explore(TimeSpan time)
    {
        using var end = new CancellationTokenSource(time);
        while (!end.IsCancellationRequested)
        {
            Fuzz(changesOfEach: 100, Random.Shared.Next(int.MaxValue / 2));
        }
    }

    /// <summary>As a line of a corpus has it.</summary>
    public string Escaped(byte[] bytes) => IsHex ? Convert.ToHexStringLower(bytes) : string.Concat(bytes.Select(octet => octet switch
    {
        (byte)'\r' => @"\r",
        (byte)'\n' => @"\n",
        (byte)'\t' => @"\t",
        0 => @"\0",
        (byte)'\\' => @"\\",
        >= 0x20 and < 0x7f => ((char)octet).ToString(),
        _ => $@"\x{octet:x2}",
    }));

    private string Judge(byte[] bytes, int seed)
    {
        try
        {
            return judge(bytes);
        }
        catch (Exception e)
        {
            var found = Path.Combine(AppContext.BaseDirectory, "found", $"{_name}-{seed}.txt");
            Directory.CreateDirectory(Path.GetDirectoryName(found)!);
            File.WriteAllText(found, $"# seed {seed}\n? {Escaped(bytes)}\n");
            throw new XunitException($"seed {seed}: {e.Message}\ninput: {Escaped(bytes)}\nsaved as {found}; once mended, it belongs into {_name}", e);
        }
    }

    private IEnumerable<(string Verdict, byte[] Bytes, string Line)> Saved() =>
        RepositoryFolder.Read(path).Split('\n')
            .Where(line => line.Length > 0 && line[0] != '#')
            .Select(line => (line.Split(' ', 2)[0], Unescaped(line.Split(' ', 2)[1]), line));

    private byte[] Unescaped(string text)
    {
        if (IsHex)
        {
            return Convert.FromHexString(text.Replace(" ", "", StringComparison.Ordinal));
        }

        var bytes = new List<byte>();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\')
            {
                bytes.Add((byte)text[i]);
                continue;
            }

            bytes.Add(text[++i] switch
            {
                'r' => (byte)'\r',
                'n' => (byte)'\n',
                't' => (byte)'\t',
                '0' => 0,
                'x' => byte.Parse(text.AsSpan(i + 1, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture),
                _ => (byte)text[i],
            });
            i += text[i] == 'x' ? 2 : 0;
        }

        return [.. bytes];
    }

    private byte[] Changed(byte[] bytes, List<byte[]> others, Random random)
    {
        var at = random.Next(bytes.Length + 1);
        var rest = bytes.AsSpan(at);
        switch (random.Next(6))
        {
            case 0:
                return [.. bytes.AsSpan(0, at), marks[random.Next(marks.Length)], .. rest];
            case 1:
                return [.. bytes.AsSpan(0, at), .. rest.IsEmpty ? rest : rest[1..]];
            case 2:
                return [.. bytes.AsSpan(0, at), marks[random.Next(marks.Length)], .. rest.IsEmpty ? rest : rest[1..]];
            case 3:
                return [.. bytes.AsSpan(0, at), .. rest.IsEmpty ? [] : (byte[])[(byte)(rest[0] ^ (1 << random.Next(8)))], .. rest.IsEmpty ? rest : rest[1..]];
            case 4:
                var length = random.Next(rest.Length + 1);
                return [.. bytes.AsSpan(0, at), .. rest[..length], .. rest];
            default:
                var other = others[random.Next(others.Count)];
                return [.. bytes.AsSpan(0, at), .. other.AsSpan(random.Next(other.Length + 1))];
        }
    }
}
