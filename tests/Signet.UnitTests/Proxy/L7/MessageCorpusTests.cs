using System.Text;
using Signet.Proxy.L7;

namespace Signet.UnitTests.Proxy.L7;

/// <summary>
/// Messages that are kept, and what becomes of them when some of their octets are changed, left out, repeated, or joined with others' (always in the
/// same way): nothing makes a parser throw or take more of the heap than its length allows, and what is accepted means the same to whoever reads it
/// after it was written again.
/// </summary>
public sealed class MessageCorpusTests
{
    /// <summary>What separates in HTTP, or has once been taken for it.</summary>
    private static readonly byte[] Marks = Encoding.Latin1.GetBytes("\r\n\t\0 :,;=\"_-./?#%*@[]0159afx\v\f\u007f\u0085\u00a0\u00ff");

    private static readonly Dictionary<string, Corpus> Corpora = new()
    {
        ["requests.txt"] = Of("requests.txt", bytes => Head(bytes, Request)),
        ["responses.txt"] = Of("responses.txt", bytes => Head(bytes, Response)),
        ["bodies.txt"] = Of("bodies.txt", Body),
        ["fields.txt"] = Of("fields.txt", Field),
    };

    public static TheoryData<string> Files => [.. Corpora.Keys];

    [Theory]
    [MemberData(nameof(Files))]
    public void Reads_each_as_it_always_did(string file) => Corpora[file].Replay();

    [Theory]
    [MemberData(nameof(Files))]
    public void Whatever_becomes_of_them_what_is_accepted_means_one_thing(string file)
    {
        var (accepted, all) = Corpora[file].Fuzz(changesOfEach: 400);

        // Both ways were taken.
        Assert.InRange(accepted, 100, all - 100);
    }

    [Theory(Explicit = true), Trait("Category", "Soak")]
    [MemberData(nameof(Files))]
    public void Whatever_else_becomes_of_them_means_one_thing_too(string file) => Corpora[file].Explore(TimeSpan.FromMinutes(1));

    private static Corpus Of(string file, Func<byte[], string> judge) => new(judge, Marks, "tests", "Signet.UnitTests", "Proxy", "L7", "corpus", file);

    private static string Head(byte[] bytes, Func<byte[], string> judge)
    {
        var scanner = default(HeadScanner);
        return !scanner.TryFindEnd(bytes, out var length, out var problem) ? problem?.ToString() ?? "more" : judge(bytes[..length]);
    }

    /// <summary>A list's member of one letter takes some sixty octets where it is looked for twice.</summary>
    private static int MostFor(byte[] head) => 8192 + (64 * head.Length);

    private static string Request(byte[] head)
    {
        Heap.TakesAtMost(MostFor(head), () => RequestHead.TryParse(head, out _, out _));
        if (!RequestHead.TryParse(head, out var request, out var problem))
        {
            return problem.ToString();
        }

        var again = Written($"{request.Method} {request.Path} HTTP/1.{(request.Version == ProtocolVersion.Http10 ? 0 : 1)}", request.Headers);
        Assert.True(RequestHead.TryParse(again, out var second, out problem), $"{problem} once written again: {Encoding.Latin1.GetString(head)}");
        Assert.Equal((request.Method, request.Path, request.Host, request.Body, request.KeepAlive), (second.Method, second.Path, second.Host, second.Body, second.KeepAlive));
        AssertSame(request.Headers, second.Headers, head);
        return "ok";
    }

    private static string Response(byte[] head)
    {
        Heap.TakesAtMost(MostFor(head), () => ResponseHead.TryParse(head, "GET", out _, out _));
        if (!ResponseHead.TryParse(head, "GET", out var response, out var problem))
        {
            return problem.ToString();
        }

        var again = Written($"HTTP/1.{(char)head[7]} {response.Status} {response.Phrase}", response.Headers);
        Assert.True(ResponseHead.TryParse(again, "GET", out var second, out problem), $"{problem} once written again: {Encoding.Latin1.GetString(head)}");
        Assert.Equal((response.Status, response.Phrase, response.Body, response.KeepAlive), (second.Status, second.Phrase, second.Body, second.KeepAlive));
        AssertSame(response.Headers, second.Headers, head);
        return "ok";
    }

    /// <summary>A body is the same whether it comes octet by octet or at once.</summary>
    private static string Body(byte[] bytes)
    {
        Heap.TakesAtMost(8192 + (64 * bytes.Length), () => Decode(bytes, bytes.Length));
        var (atOnce, oneByOne) = (Decode(bytes, bytes.Length), Decode(bytes, 1));
        Assert.True(atOnce == oneByOne, $"{atOnce} at once, {oneByOne} octet by octet: {Encoding.Latin1.GetString(bytes)}");
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
        Assert.True(first.SequenceEqual(second), $"other fields once written again: {Encoding.Latin1.GetString(head)}");
        Assert.DoesNotContain(first, field => field.Key.AsSpan().IndexOfAny("\r\n\0 :") >= 0 || field.Value.AsSpan().IndexOfAny("\r\n\0") >= 0);
    }

    private static byte[] Written(string startLine, IReadOnlyList<KeyValuePair<string, string>> fields) =>
        Encoding.Latin1.GetBytes($"{startLine}\r\n{string.Concat(fields.Select(field => $"{field.Key}: {field.Value}\r\n"))}\r\n");

    /// <summary>One field, or several: what goes on of them is nothing that some server could take for what only the proxy says.</summary>
    private static string Field(byte[] bytes)
    {
        byte[] head = [.. "GET / HTTP/1.1\r\nHost: a\r\n"u8, .. bytes, .. "\r\n\r\n"u8];
        var scanner = default(HeadScanner);
        if (!scanner.TryFindEnd(head, out var length, out var problem) || length != head.Length)
        {
            return problem?.ToString() ?? "two";
        }

        if (!RequestHead.TryParse(head, out var request, out var malformed))
        {
            return malformed.ToString();
        }

        var kept = ForwardedHeaders.EndToEnd(request.Headers);
        foreach (var (name, _) in kept)
        {
            var plain = string.Concat(name.Select(letter => char.IsAsciiLetterOrDigit(letter) ? char.ToLowerInvariant(letter) : '-'));
            Assert.False(OnlyOurs.Contains(plain), $"{name} goes on");
            Assert.True(!OnlyOneSpelling.Contains(plain) || name.Equals(plain, StringComparison.OrdinalIgnoreCase), $"{name} goes on beside {plain}");
        }

        return kept.Count == request.Headers.Count ? "ok" : "dropped";
    }

    private static readonly string[] OnlyOurs = ["x-forwarded-client-cert", "client-cert", "client-cert-chain", "transfer-encoding"];

    private static readonly string[] OnlyOneSpelling = ["host", "content-length", "x-request-id", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded"];
}
