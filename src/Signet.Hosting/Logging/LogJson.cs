using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Signet.Hosting.Logging;

/// <summary>
/// Writes an event as one JSON object: <c>time</c>, <c>level</c>, <c>eventId</c>, <c>event</c>, <c>category</c>, <c>message</c>, <c>fields</c>, and
/// <c>exception {type, message}</c> when there is one. Fields lie apart, so that their names can't collide with ours.
/// </summary>
internal static class LogJson
{
    public static string Write(in LogEvent entry, bool withStack)
    {
        using var buffer = new MemoryStream(512);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true }))
        {
            json.WriteStartObject();
            json.WriteString("time", entry.Time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture));
            json.WriteString("level", LogText.LevelName(entry.Level));
            json.WriteNumber("eventId", entry.Id.Id);
            json.WriteString("event", entry.Id.Name);
            json.WriteString("category", entry.Category);
            json.WriteString("message", LogText.Cut(entry.Message));
            json.WriteStartObject("fields");
            foreach (var (name, value) in entry.Fields)
            {
                json.WritePropertyName(name);
                WriteValue(json, value);
            }

            json.WriteEndObject();
            if (entry.Exception is { } e)
            {
                json.WriteStartObject("exception");
                json.WriteString("type", e.GetType().FullName);
                json.WriteString("message", LogText.Cut(e.InnerException is null ? e.Message : LogText.Describe(e)));
                if (withStack)
                {
                    json.WriteString("stack", LogText.Cut(e.StackTrace ?? ""));
                }

                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    private static void WriteValue(Utf8JsonWriter json, object? value)
    {
        switch (value)
        {
            case null:
                json.WriteNullValue();
                break;
            case bool flag:
                json.WriteBooleanValue(flag);
                break;
            case byte or short or ushort or int or uint or long:
                json.WriteNumberValue(Convert.ToInt64(value, CultureInfo.InvariantCulture));
                break;
            case double number when double.IsFinite(number):
                json.WriteNumberValue(number);
                break;
            case IEnumerable<string> texts:
                json.WriteStartArray();
                foreach (var text in texts)
                {
                    json.WriteStringValue(LogText.Cut(text));
                }

                json.WriteEndArray();
                break;
            default:
                json.WriteStringValue(LogText.Cut(LogText.Text(value)));
                break;
        }
    }
}
