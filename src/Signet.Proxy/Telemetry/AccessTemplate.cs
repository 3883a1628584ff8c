using System.Diagnostics.CodeAnalysis;
using System.Text;
using Signet.Hosting.Configuration;
using Signet.Identity;
using Signet.Identity.Spiffe;

namespace Signet.Proxy.Telemetry;

/// <summary>
/// Text with values in it, as Envoy writes them: <c>%DURATION%</c>, <c>%REQ(:METHOD)%</c>, <c>%%</c> for a percent sign. Read once, written many
/// times. A value that is absent is written as <c>-</c>. Immutable.
/// </summary>
public sealed class AccessTemplate
{
    /// <summary>The longest template, in characters.</summary>
    public const int MaxLength = 16 * 1024;

    private const int MaxParts = 256;
    private const string RequestPrefix = "REQ(";
    private const string ResponsePrefix = "RESP(";

    /// <summary>Fields that hold secrets: no template brings them into a log.</summary>
    private static readonly string[] Secrets =
        ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token", "x-csrf-token", "x-forwarded-client-cert", "client-cert", "client-cert-chain"];

    private readonly IReadOnlyList<Part> _parts;

    private AccessTemplate(string text, IReadOnlyList<Part> parts) => (Text, _parts) = (text, parts);

    /// <summary>As it was written.</summary>
    public string Text { get; }

    /// <summary>Whether a request's fields have to be remembered until the line is written.</summary>
    public bool WantsFields => _parts.Any(part => part.WantsFields);

    /// <summary>The same of a response's fields.</summary>
    public bool WantsResponseFields => _parts.Any(part => part.WantsResponseFields);

    /// <summary>Reads a template. Never throws.</summary>
    /// <param name="text">What a person wrote.</param>
    /// <param name="template">The template, when the answer is true.</param>
    /// <param name="problem">What is wrong and how to write it, when the answer is false; otherwise empty.</param>
    public static bool TryParse(string text, [NotNullWhen(true)] out AccessTemplate? template, out string problem)
    {
        (template, problem) = (null, "");
        if (text.Length is 0 or > MaxLength)
        {
            problem = text.Length == 0 ? "is empty; write what a line should say, such as \"%START_TIME% %RESPONSE_CODE%\"" : $"is longer than {MaxLength} characters";
            return false;
        }

        if (text.AsSpan().IndexOfAnyInRange('\0', '\x1f') >= 0)
        {
            problem = "has a line break or another control character in it; each record is one line";
            return false;
        }

        var parts = new List<Part>();
        var literal = new StringBuilder();
        for (var at = 0; at < text.Length;)
        {
            if (text[at] != '%')
            {
                literal.Append(text[at++]);
                continue;
            }

            var end = text.IndexOf('%', at + 1);
            if (end < 0)
            {
                problem = $"has a percent sign that nothing closes, before \"{Printable.Of(text.AsSpan(at + 1))}\"; write %% for the sign itself";
                return false;
            }

            if (end == at + 1)
            {
                literal.Append('%');
            }
            else if (TryReadOperator(text[(at + 1)..end], out var part, out problem))
            {
                Add(literal, parts);
                parts.Add(part);
            }
            else
            {
                return false;
            }

            at = end + 1;
        }

        Add(literal, parts);
        problem = parts.Count > MaxParts ? $"has more than {MaxParts} parts" : "";
        template = parts.Count > MaxParts ? null : new AccessTemplate(text, parts);
        return template is not null;
    }

    /// <summary>Adds the text with its values.</summary>
    internal void Write(LineBuffer to, AccessRecord record)
    {
        foreach (var part in _parts)
        {
            part.Write(to, record, inJson: false);
        }
    }

    /// <summary>Adds a JSON value: a number or null where the template is one value, otherwise a string.</summary>
    internal void WriteJson(LineBuffer to, AccessRecord record)
    {
        if (_parts is [{ Operator: { } only }])
        {
            WriteJson(to, record, only);
            return;
        }

        to.Add("\""u8);
        foreach (var part in _parts)
        {
            part.Write(to, record, inJson: true);
        }

        to.Add("\""u8);
    }

    private static void WriteJson(LineBuffer to, AccessRecord record, AccessOperator only)
    {
        if (only.Text is { } text)
        {
            to.AddJson(text(record));
            return;
        }

        if (only.Number is { } number)
        {
            if (number(record) is { } value)
            {
                to.Add(value);
                return;
            }
        }
        else
        {
            var start = to.Length;
            to.Add("\""u8);
            if (only.Written!(to, record))
            {
                to.Add("\""u8);
                return;
            }

            to.CutTo(start);
        }

        to.Add("null"u8);
    }

    private static bool TryReadOperator(string name, [NotNullWhen(true)] out Part? part, out string problem)
    {
        (part, problem) = (null, "");
        if (AccessOperators.All.TryGetValue(name, out var known))
        {
            part = new Part(known);
            return true;
        }

        var isResponse = name.StartsWith(ResponsePrefix, StringComparison.Ordinal);
        if (!name.EndsWith(')') || !(isResponse || name.StartsWith(RequestPrefix, StringComparison.Ordinal)))
        {
            var near = NearestWord.To(name, AccessOperators.All.Keys.Append("REQ(:METHOD)").Append("RESP(SERVER)"));
            problem = $"has the operator %{Printable.Of(name)}%, which is not known; " + (near is null ? "docs/reference/access-log.md lists those that are" : $"did you mean %{near}%?");
            return false;
        }

        var field = name[(isResponse ? ResponsePrefix : RequestPrefix).Length..^1];
        var isPseudo = !isResponse && field is (":METHOD" or ":AUTHORITY" or ":PATH");
        if (!isPseudo && !L7.FieldLines.IsToken(Encoding.UTF8.GetBytes(field)))
        {
            problem = isResponse
                ? $"has %{Printable.Of(name)}%, which names no response field; write %RESP(CONTENT-TYPE)%, or %RESPONSE_CODE% for the status"
                : $"has %{Printable.Of(name)}%, which names no request field; write %REQ(USER-AGENT)%, or one of :METHOD, :AUTHORITY and :PATH";
        }
        else if (Secrets.Contains(field.ToLowerInvariant().Replace('_', '-'), StringComparer.Ordinal))
        {
            problem = $"has %{name}%: what is in that field may be a secret or an identity, and does not belong in a log";
        }
        else if (isResponse)
        {
            part = new Part(AccessOperators.Response(field)) { WantsResponseFields = true };
        }
        else
        {
            var request = AccessOperators.Request(field);
            part = new Part(request) { WantsFields = !isPseudo && !field.Equals(L7.ForwardedHeaders.RequestId, StringComparison.OrdinalIgnoreCase) };
        }

        return part is not null;
    }

    private static void Add(StringBuilder literal, List<Part> parts)
    {
        if (literal.Length > 0)
        {
            parts.Add(new Part(literal.ToString()));
            literal.Clear();
        }
    }

    private sealed class Part
    {
        private readonly byte[] _text = [];
        private readonly byte[] _json = [];

        public Part(string literal)
        {
            var json = new LineBuffer();
            json.AddEscaped(literal);
            (_text, _json) = (Encoding.UTF8.GetBytes(literal), json.Span.ToArray());
        }

        public Part(AccessOperator known) => Operator = known;

        /// <summary>Null for what stands there as it is.</summary>
        public AccessOperator? Operator { get; }

        public bool WantsFields { get; init; }

        public bool WantsResponseFields { get; init; }

        public void Write(LineBuffer to, AccessRecord record, bool inJson)
        {
            if (Operator is null)
            {
                to.Add(inJson ? _json : _text);
            }
            else if (!TryWrite(to, record, Operator))
            {
                to.Add("-"u8);
            }
        }

        private static bool TryWrite(LineBuffer to, AccessRecord record, AccessOperator known)
        {
            if (known.Text is { } text)
            {
                var value = text(record);
                to.AddEscaped(value);
                return value is not null;
            }

            if (known.Number is not { } number)
            {
                return known.Written!(to, record);
            }

            if (number(record) is { } there)
            {
                to.Add(there);
                return true;
            }

            return false;
        }
    }
}

/// <summary>A line of text by a template.</summary>
internal sealed class TemplateLine(AccessTemplate template) : IAccessFormat
{
    public void Write(LineBuffer to, AccessRecord record)
    {
        template.Write(to, record);
        to.Add("\n"u8);
    }
}

/// <summary>A JSON object whose values are templates.</summary>
internal sealed class JsonTemplateLine : IAccessFormat
{
    private readonly (byte[] Name, AccessTemplate Value)[] _members;

    public JsonTemplateLine(IReadOnlyList<KeyValuePair<string, AccessTemplate>> members)
    {
        var name = new LineBuffer();
        _members = [.. members.Select(member =>
        {
            name.Clear();
            name.AddJson(member.Key);
            name.Add(":"u8);
            return (name.Span.ToArray(), member.Value);
        })];
    }

    public void Write(LineBuffer to, AccessRecord record)
    {
        for (var i = 0; i < _members.Length; i++)
        {
            to.Add(i == 0 ? "{"u8 : ","u8);
            to.Add(_members[i].Name);
            _members[i].Value.WriteJson(to, record);
        }

        to.Add("}\n"u8);
    }
}
