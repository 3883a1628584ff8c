using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Signet.Policy.Yaml;

namespace Signet.Server.ControlPlane;

/// <summary>An object of YAML as JSON: the same meaning always gives the same bytes, so that only what differs is pushed.</summary>
internal static class CanonicalJson
{
    /// <param name="node">The object; aliases are written out.</param>
    /// <param name="maxBytes">The longest text; what is longer is refused before it is written out.</param>
    /// <param name="text">The JSON.</param>
    public static bool TryWrite(YamlNode node, int maxBytes, [NotNullWhen(true)] out string? text)
    {
        text = null;
        using var written = new MemoryStream();
        using (var json = new Utf8JsonWriter(written, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            if (!Write(json, node, maxBytes))
            {
                return false;
            }
        }

        text = written.Length <= maxBytes ? Encoding.UTF8.GetString(written.GetBuffer(), 0, (int)written.Length) : null;
        return text is not null;
    }

    private static bool Write(Utf8JsonWriter json, YamlNode node, int maxBytes)
    {
        if (json.BytesCommitted + json.BytesPending > maxBytes)
        {
            return false;
        }

        switch (node)
        {
            case YamlMapping mapping:
                json.WriteStartObject();
                foreach (var field in mapping.Fields.OrderBy(field => field.Key, StringComparer.Ordinal))
                {
                    json.WritePropertyName(field.Key);
                    if (!Write(json, field.Value, maxBytes))
                    {
                        return false;
                    }
                }

                json.WriteEndObject();
                return true;
            case YamlSequence sequence:
                json.WriteStartArray();
                foreach (var item in sequence.Items)
                {
                    if (!Write(json, item, maxBytes))
                    {
                        return false;
                    }
                }

                json.WriteEndArray();
                return true;
            case YamlScalar scalar:
                Write(json, scalar);
                return true;
            default:
                return false;
        }
    }

    // What stood without quotes and is no JSON is a text.
    private static void Write(Utf8JsonWriter json, YamlScalar scalar)
    {
        if (scalar.IsNull)
        {
            json.WriteNullValue();
        }
        else if (scalar is { Plain: true, Value: "true" or "false" })
        {
            json.WriteBooleanValue(scalar.Value == "true");
        }
        else if (scalar.Plain && long.TryParse(scalar.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number.ToString(CultureInfo.InvariantCulture) == scalar.Value)
        {
            json.WriteNumberValue(number);
        }
        else
        {
            json.WriteStringValue(scalar.Value);
        }
    }
}
