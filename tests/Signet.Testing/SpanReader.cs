using System.Text;
using Google.Protobuf;

namespace Signet.Testing;

/// <summary>Reads an export request by the published field numbers, and nothing but those.</summary>
internal sealed record SpanReader(string Service, IReadOnlyList<SpanReader.Span> Spans)
{
    public sealed record Span(string TraceId, string SpanId, string? ParentId, string Name, long Kind, ulong Start, ulong End, IReadOnlyDictionary<string, object> Attributes, long Status, string? Message, uint Flags);

    public static SpanReader Read(byte[] request)
    {
        var service = "";
        var spans = new List<Span>();
        foreach (var resourceSpans in Fields(request).Where(field => field.Number == 1))
        {
            foreach (var (number, value) in Fields((byte[])resourceSpans.Value))
            {
                if (number == 1)
                {
                    service = (string)Attributes(Fields((byte[])value).Where(field => field.Number == 1))["service.name"];
                    continue;
                }

                if (number != 2)
                {
                    throw new FormatException($"field {number} of resource_spans");
                }

                spans.AddRange(Fields((byte[])value).Where(field => field.Number == 2).Select(field => ReadSpan((byte[])field.Value)));
            }
        }

        return new SpanReader(service, spans);
    }

    private static Span ReadSpan(byte[] bytes)
    {
        var fields = Fields(bytes).ToList();
        T One<T>(int number, T orElse) => fields.Where(field => field.Number == number).Select(field => (T)field.Value).SingleOrDefault(orElse);
        string Hex(int number) => Convert.ToHexStringLower(One<byte[]>(number, []));
        var status = Fields(One<byte[]>(15, [])).ToDictionary(field => field.Number, field => field.Value);
        return new Span(
            Hex(1), Hex(2), Hex(4) is { Length: > 0 } parent ? parent : null, Encoding.UTF8.GetString(One<byte[]>(5, [])), One(6, 0L), One(7, 0UL), One(8, 0UL), Attributes(fields.Where(field => field.Number == 9)),
            status.TryGetValue(3, out var code) ? (long)code : 0, status.TryGetValue(2, out var message) ? Encoding.UTF8.GetString((byte[])message) : null, One(16, 0u));
    }

    private static Dictionary<string, object> Attributes(IEnumerable<(int Number, object Value)> fields) => fields.Select(field => Fields((byte[])field.Value).ToDictionary(part => part.Number, part => part.Value)).ToDictionary(
        pair => Encoding.UTF8.GetString((byte[])pair[1]),
        pair => Fields((byte[])pair[2]).Single() is (1, byte[] text) ? Encoding.UTF8.GetString(text) : Fields((byte[])pair[2]).Single().Value);

    private static List<(int Number, object Value)> Fields(byte[] message)
    {
        var input = new CodedInputStream(message);
        var fields = new List<(int, object)>();
        while (input.ReadTag() is > 0 and var tag)
        {
            fields.Add((WireFormat.GetTagFieldNumber(tag), WireFormat.GetTagWireType(tag) switch
            {
                WireFormat.WireType.Varint => input.ReadInt64(),
                WireFormat.WireType.Fixed64 => input.ReadFixed64(),
                WireFormat.WireType.Fixed32 => input.ReadFixed32(),
                WireFormat.WireType.LengthDelimited => input.ReadBytes().ToByteArray(),
                var other => throw new FormatException($"wire type {other}"),
            }));
        }

        return fields;
    }
}
