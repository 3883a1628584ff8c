using System.Globalization;
using Signet.Proxy.Http2.Hpack;

namespace Signet.Proxy.Http2;

/// <summary>A response's status and fields (RFC 9113 §8.3.2). Immutable.</summary>
/// <param name="Status">100 to 599, never 101.</param>
/// <param name="Fields">In order, names in lower case.</param>
public sealed record Http2ResponseHead(int Status, IReadOnlyList<KeyValuePair<string, string>> Fields)
{
    /// <summary>What Content-Length promises; null when it does not.</summary>
    public long? ContentLength { get; private init; }

    /// <summary>Whether a final response is yet to come.</summary>
    public bool IsInterim => Status < 200;

    /// <summary>Judges a decoded section as the head of a response.</summary>
    internal static HeadProblem TryRead(IReadOnlyList<KeyValuePair<string, string>> section, out Http2ResponseHead? head)
    {
        head = null;
        var status = 0;
        var fields = new List<KeyValuePair<string, string>>(section.Count);
        foreach (var (name, value) in section)
        {
            if (!name.StartsWith(':'))
            {
                var problem = FieldRules.Check(name, value);
                if (problem != HeadProblem.None)
                {
                    return problem;
                }

                fields.Add(new(name, value));
                continue;
            }

            if (fields.Count > 0)
            {
                return HeadProblem.PseudoAfterField;
            }

            if (name != ":status")
            {
                return HeadProblem.PseudoUnknown;
            }

            if (status != 0)
            {
                return HeadProblem.PseudoRepeated;
            }

            // 101 has no meaning here (§8.6).
            if (value.Length != 3 || value.AsSpan().IndexOfAnyExceptInRange('0', '9') >= 0 || value[0] is < '1' or > '5' || value == "101")
            {
                return HeadProblem.StatusMalformed;
            }

            status = int.Parse(value, CultureInfo.InvariantCulture);
        }

        if (status == 0)
        {
            return HeadProblem.PseudoMissing;
        }

        var lengthProblem = FieldRules.ReadContentLength(fields, out var length);
        if (lengthProblem == HeadProblem.None)
        {
            head = new Http2ResponseHead(status, fields) { ContentLength = length };
        }

        return lengthProblem;
    }

    internal void Write(FrameWriter output)
    {
        HpackEncoder.Write(output, ":status", Status == 200 ? "200" : Status.ToString(CultureInfo.InvariantCulture));
        foreach (var (name, value) in Fields)
        {
            HpackEncoder.Write(output, name, value);
        }
    }
}
