using System.Text.Json;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;

namespace Signet.Cli.Commands.X509;

/// <summary>
/// Many questions in one process: a JSON object a line in, one a line out, in order, each flushed. A line that cannot be understood is answered
/// <c>malformed</c>, and the next one is read.
/// </summary>
public static class VerifyBatch
{
    /// <summary>The longest line that is read as a question, in characters.</summary>
    public const int MaxLine = 128 * 1024 * 1024;

    public static int Run(TextReader input, TextWriter output, TimeProvider clock)
    {
        while (input.ReadLine() is { } line)
        {
            if (!string.IsNullOrWhiteSpace(line))
            {
                output.WriteLine(Answer(line, clock.GetUtcNow()));
                output.Flush();
            }
        }

        return 0;
    }

    /// <summary>The answer to one line, itself one line.</summary>
    public static string Answer(string line, DateTimeOffset now)
    {
        JsonElement? id = null;
        PathVerdict? verdict = null;
        string problem;
        try
        {
            if (line.Length > MaxLine)
            {
                throw new JsonException($"the line is longer than {MaxLine} characters");
            }

            using var document = JsonDocument.Parse(line, new JsonDocumentOptions { AllowDuplicateProperties = false });
            id = document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("id", out var given) ? given.Clone() : null;
            verdict = Judge(document.RootElement, now, out problem);
        }
        catch (JsonException e)
        {
            problem = e.Message;
        }

        return JsonSerializer.Serialize(new
        {
            id,
            valid = verdict is { IsValid: true },
            reason = verdict is { IsValid: true } ? null : (verdict?.Problem ?? PathProblem.Malformed).Word(),
            detail = verdict is null ? problem : verdict.IsValid ? null : verdict.Reason,
        });
    }

    private static PathVerdict? Judge(JsonElement question, DateTimeOffset now, out string problem)
    {
        var line = new BatchLine(question);
        var chain = line.Certificates("leaf");
        var intermediates = line.Certificates("intermediates");
        var roots = line.Certificates("roots");
        var lists = line.RevocationLists("crls");
        var asked = new VerifyQuestion
        {
            At = line.Text("at"),
            Profile = line.Text("profile"),
            SpiffeId = line.Text("spiffeId"),
            Dns = line.Text("dns"),
            Ip = line.Text("ip"),
            Usage = line.Text("usage"),
            MaxChain = line.Number("maxChain"),
        };
        if (chain.Count == 0)
        {
            line.Refuse("\"leaf\" holds no certificate");
        }

        problem = line.Problem;
        return problem.Length == 0 && asked.TryMake(chain, intermediates, roots, lists, now, out var request, out problem) ? PathValidator.Validate(request) : null;
    }

    /// <summary>The fields of one line; the first thing that is wrong with any of them is kept.</summary>
    private sealed class BatchLine(JsonElement question)
    {
        public string Problem { get; private set; } = question.ValueKind == JsonValueKind.Object ? "" : "the line is not a JSON object";

        public void Refuse(string problem) => Problem = Problem.Length == 0 ? problem : Problem;

        public string? Text(string name)
        {
            if (Find(name) is not { } value)
            {
                return null;
            }

            if (value.ValueKind != JsonValueKind.String)
            {
                Refuse($"\"{name}\" is not text");
                return null;
            }

            return value.GetString();
        }

        public int? Number(string name)
        {
            if (Find(name) is not { } value)
            {
                return null;
            }

            if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt32(out var number))
            {
                Refuse($"\"{name}\" is not a whole number");
                return null;
            }

            return number;
        }

        public IReadOnlyList<Certificate> Certificates(string name) =>
            ReadPem<Certificate>(name, Pem.TryReadCertificates);

        public IReadOnlyList<CertificateRevocationList> RevocationLists(string name) =>
            ReadPem<CertificateRevocationList>(name, CertificateRevocationList.TryReadPem);

        private delegate bool Reader<T>(string text, out IReadOnlyList<T> items, out string problem);

        /// <summary>PEM text, or an array of it; null and empty are none.</summary>
        private List<T> ReadPem<T>(string name, Reader<T> read)
        {
            var all = new List<T>();
            foreach (var text in Texts(name))
            {
                if (string.IsNullOrWhiteSpace(text))
                {
                    continue;
                }

                if (read(text, out var items, out var problem))
                {
                    all.AddRange(items);
                }
                else
                {
                    Refuse($"\"{name}\": {problem}");
                }
            }

            return all;
        }

        private IEnumerable<string> Texts(string name)
        {
            if (Find(name) is not { ValueKind: JsonValueKind.Array } array)
            {
                return Text(name) is { } text ? [text] : [];
            }

            if (array.EnumerateArray().Any(t => t.ValueKind != JsonValueKind.String))
            {
                Refuse($"\"{name}\" holds something that is not text");
                return [];
            }

            return array.EnumerateArray().Select(t => t.GetString()!);
        }

        private JsonElement? Find(string name) =>
            question.ValueKind == JsonValueKind.Object && question.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }
}
