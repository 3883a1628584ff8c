using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Signet.Server.Audit;

/// <summary>What a record is about.</summary>
public enum AuditKind
{
    /// <summary>A call was allowed or denied; written before anything is done.</summary>
    Call,

    /// <summary>What came of an allowed call that changes something, or of any that failed.</summary>
    End,

    /// <summary>Something that was done other than by a call.</summary>
    Event,

    /// <summary>The line before this record is the beginning of one that a crash cut short.</summary>
    Torn,

    /// <summary>Records that the store remembers are missing before this one.</summary>
    Gap,
}

/// <summary>One thing to be remembered. Texts from peers are safe in it: they are escaped, and cut at a limit.</summary>
public sealed record AuditEvent
{
    /// <summary>The longest text of a field, in characters; what is longer is cut.</summary>
    public const int MaxText = 2048;

    /// <summary>The most objects that are named; of others only the number is kept.</summary>
    public const int MaxObjects = 32;

    public AuditKind Kind { get; init; } = AuditKind.Event;

    /// <summary>Who, as <c>uid 0 (pid 4711)</c> or a SPIFFE ID; empty for the server itself.</summary>
    public string Caller { get; init; } = "";

    /// <summary>What was done: the method of a call, or <c>noun.verb</c>.</summary>
    public required string Action { get; init; }

    /// <summary><c>allowed</c> or <c>denied</c>; empty when nobody asked.</summary>
    public string Verdict { get; init; } = "";

    /// <summary>Why.</summary>
    public string Reason { get; init; } = "";

    /// <summary>What it was done to.</summary>
    public IReadOnlyList<string> Objects { get; init; } = [];

    /// <summary>What came of it: <c>OK</c>, or a gRPC code and its message.</summary>
    public string Outcome { get; init; } = "";

    /// <summary>The number of the record that this one completes; 0 for none.</summary>
    public long Of { get; init; }

    /// <summary>How many records were left out before this one, because they came too fast.</summary>
    public long LeftOut { get; init; }

    /// <summary>The record as one line of JSON; empty fields are left out.</summary>
    internal byte[] ToJson(long sequence, DateTimeOffset time)
    {
        var text = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(text, new JsonWriterOptions { Encoder = JavaScriptEncoder.Default }))
        {
            writer.WriteStartObject();
            writer.WriteNumber("seq", sequence);
            writer.WriteString("time", time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", System.Globalization.CultureInfo.InvariantCulture));
            writer.WriteString("kind", Kind.ToString().ToLowerInvariant());
            Write(writer, "caller", Caller);
            Write(writer, "action", Action);
            Write(writer, "verdict", Verdict);
            Write(writer, "reason", Reason);
            if (Objects.Count > 0)
            {
                writer.WriteStartArray("objects");
                foreach (var one in Objects.Take(MaxObjects))
                {
                    writer.WriteStringValue(Cut(one));
                }

                if (Objects.Count > MaxObjects)
                {
                    writer.WriteStringValue($"and {Objects.Count - MaxObjects} more");
                }

                writer.WriteEndArray();
            }

            Write(writer, "outcome", Outcome);
            Write(writer, "of", Of);
            Write(writer, "leftOut", LeftOut);
            writer.WriteEndObject();
        }

        return text.WrittenSpan.ToArray();
    }

    private static void Write(Utf8JsonWriter writer, string name, string text)
    {
        if (text.Length > 0)
        {
            writer.WriteString(name, Cut(text));
        }
    }

    private static void Write(Utf8JsonWriter writer, string name, long number)
    {
        if (number != 0)
        {
            writer.WriteNumber(name, number);
        }
    }

    // A cut inside a surrogate pair is replaced by the writer.
    private static string Cut(string text) => text.Length <= MaxText ? text : text[..MaxText] + "…";
}
