using System.Globalization;
using System.Text;
using Signet.Proxy.L7;

namespace Signet.UnitTests.Proxy.L7;

/// <summary>
/// Messages that are kept, and what becomes of them when some of their octets are changed, left out, repeated, or joined with others' (always in the
/// same way): nothing makes a parser throw, and what is accepted means the same to whoever reads it after it was written again.
/// </summary>
public sealed class MessageCorpusTests
{
    private const int ChangesOfEach = 400;

    /// <summary>What separates in HTTP, or has once been taken for it.</summary>
    private static readonly byte[] Marks = Encoding.Latin1.GetBytes("\r\n\t\0 :,;=\"_-./?#%*@[]0159afx\v\f\u007f\u0085\u00a0\u00ff");

    public static TheoryData<string> Files => ["requests.txt", "responses.txt", "bodies.txt"];

    [Theory]
    [MemberData(nameof(Files))]
    public void Reads_each_as_it_always_did(string file)
    {
        foreach (var (verdict, bytes, line) in Saved(file))
        {
            Assert.Equal($"{verdict} {line}", $"{Judge(file, bytes)} {line}");
        }
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Whatever_becomes_of_them_what_is_accepted_means_one_thing(string file)
    {
        var all = Saved(file).Select(saved => saved.Bytes).ToList();
        var accepted = 0;
        for (var i = 0; i < all.Count; i++)
        {
            var random = new Random(i);
            for (var change = 0; change < ChangesOfEach; change++)
            {
                var bytes = all[i];
                for (var times = random.Next(1, 4); times > 0; times--)
                {
                    bytes = Changed(bytes, all, random);
                }

                accepted += Judge(file, bytes) == "ok" ? 1 : 0;
            }
        }

        // Both ways were taken.
        Assert.InRange(accepted, 100, all.Count * ChangesOfEach / 2);
    }

    /// <summary>The parser's verdict; fails the test when what it accepted could be read in another way.</summary>
    private static string Judge(string file, byte[] bytes) => file switch
    {
        "requests.txt" => Head(bytes, Request),
        "responses.txt" => Head(bytes, Response),
        _ => Body(bytes),
    };

    private static string Head(byte[] bytes, Func<byte[], string> judge)
    {
        var scanner = default(HeadScanner);
        return !scanner.TryFindEnd(bytes, out var length, out var problem) ? problem?.ToString() ?? "more" : judge(bytes[..length]);
    }

    private static string Request(byte[] head)
    {
        if (!RequestHead.TryParse(head, out var request, out var problem))
        {
            return problem.ToString();
        }

        var again = Written($"{request.Method} {request.Path} HTTP/1.{(request.Version == ProtocolVersion.Http10 ? 0 : 1)}", request.Headers);
        Assert.True(RequestHead.TryParse(again, out var second, out problem), $"{problem} once written again: {Escaped(head)}");
        Assert.Equal((request.Method, request.Path, request.Host, request.Body, request.KeepAlive), (second.Method, second.Path, second.Host, second.Body, second.KeepAlive));
        AssertSame(request.Headers, second.Headers, head);
        return "ok";
    }

    private static string Response(byte[] head)
    {
        if (!ResponseHead.TryParse(head, "GET", out var response, out var problem))
        {
            return problem.ToString();
        }

        var again = Written($"HTTP/1.{(char)head[7]} {response.Status} {response.Phrase}", response.Headers);
        Assert.True(ResponseHead.TryParse(again, "GET", out var second, out problem), $"{problem} once written again: {Escaped(head)}");
        Assert.Equal((response.Status, response.Phrase, response.Body, response.KeepAlive), (second.Status, second.Phrase, second.Body, second.KeepAlive));
        AssertSame(response.Headers, second.Headers, head);
        return "ok";
    }

    /// <summary>A body is the same whether it comes octet by octet or at once.</summary>
    private static string Body(byte[] bytes)
    {
        var (atOnce, oneByOne) = (Decode(bytes, bytes.Length), Decode(bytes, 1));
        Assert.True(atOnce == oneByOne, $"{atOnce} at once, {oneByOne} octet by octet: {Escaped(bytes)}");
        return atOnce.Verdict;
    }

    private static (string Verdict, string Payload, int Taken) Decode(byte[] bytes, int step)
    {
        var (decoder, payload, taken, received) = (new BodyDecoder(BodyFraming.Chunked), new StringBuilder(), 0, 0);
        while (true)
        {
            var next = decoder.Next(bytes.AsSpan(taken, received - taken));
            taken += next.Skip;
            switch (next.Kind)
            {
                case BodyStepKind.Payload:
                    payload.Append(Encoding.Latin1.GetString(bytes, taken, next.Length));
                    taken += next.Length;
                    break;
                case BodyStepKind.Malformed:
                    return (next.Problem.ToString(), payload.ToString(), 0);
                case BodyStepKind.End:
                    return ("ok", payload.ToString(), taken);
                case var _ when received == bytes.Length:
                    return ("more", payload.ToString(), 0);
                default:
                    received = Math.Min(bytes.Length, received + step);
                    break;
            }
        }
    }

    private static void AssertSame(IReadOnlyList<KeyValuePair<string, string>> first, IReadOnlyList<KeyValuePair<string, string>> second, byte[] head)
    {
        Assert.True(first.SequenceEqual(second), $"other fields once written again: {Escaped(head)}");
        Assert.DoesNotContain(first, field => field.Key.AsSpan().IndexOfAny("\r\n\0 :") >= 0 || field.Value.AsSpan().IndexOfAny("\r\n\0") >= 0);
    }

    private static byte[] Written(string startLine, IReadOnlyList<KeyValuePair<string, string>> fields) =>
        Encoding.Latin1.GetBytes($"{startLine}\r\n{string.Concat(fields.Select(field => $"{field.Key}: {field.Value}\r\n"))}\r\n");

    private static byte[] Changed(byte[] bytes, List<byte[]> others, Random random)
    {
        var at = random.Next(bytes.Length + 1);
        var rest = bytes.AsSpan(at);
        switch (random.Next(6))
        {
            case 0:
                return [.. bytes.AsSpan(0, at), Marks[random.Next(Marks.Length)], .. rest];
            case 1:
                return [.. bytes.AsSpan(0, at), .. rest.IsEmpty ? rest : rest[1..]];
            case 2:
                return [.. bytes.AsSpan(0, at), Marks[random.Next(Marks.Length)], .. rest.IsEmpty ? rest : rest[1..]];
            case 3:
                return [.. bytes.AsSpan(0, at), .. rest.IsEmpty ? [] : (byte[])[(byte)(rest[0] ^ (1 << random.Next(8)))], .. rest.IsEmpty ? rest : rest[1..]];
            case 4:
                var length = random.Next(rest.Length + 1);
                return [.. bytes.AsSpan(0, at), .. rest[..length], .. rest];
            default:
                var other = others[random.Next(others.Count)];
                return [.. bytes.AsSpan(0, at), .. other.AsSpan(random.Next(other.Length))];
        }
    }

    private static IEnumerable<(string Verdict, byte[] Bytes, string Line)> Saved(string file) =>
        RepositoryFolder.Read("tests", "Signet.UnitTests", "Proxy", "L7", "corpus", file).Split('\n')
            .Where(line => line.Length > 0 && line[0] != '#')
            .Select(line => (line.Split(' ', 2)[0], Unescaped(line.Split(' ', 2)[1]), line));

    private static byte[] Unescaped(string text)
    {
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

    /// <summary>As a line of a corpus has it.</summary>
    private static string Escaped(byte[] bytes) => string.Concat(bytes.Select(octet => octet switch
    {
        (byte)'\r' => @"\r",
        (byte)'\n' => @"\n",
        (byte)'\t' => @"\t",
        0 => @"\0",
        (byte)'\\' => @"\\",
        >= 0x20 and < 0x7f => ((char)octet).ToString(),
        _ => $@"\x{octet:x2}",
    }));
}
