using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using Signet.Identity.Spiffe;
using Signet.Policy.Reading;
using Signet.Policy.Yaml;

namespace Signet.Server.ControlPlane.Mcp;

/// <summary>An object as people write it, as the message that its owner publishes for it. A field that the message does not have is a problem: nothing is left out in silence.</summary>
internal static class YamlMessage
{
    public static bool TryRead(YamlNode? node, MessageDescriptor type, [NotNullWhen(true)] out IMessage? message, out string problem)
    {
        try
        {
            (message, problem) = (Message(node, type, ""), "");
            return true;
        }
        catch (Unreadable unreadable)
        {
            (message, problem) = (null, unreadable.Message);
            return false;
        }
    }

    private static IMessage Message(YamlNode? node, MessageDescriptor type, string path)
    {
        var message = type.Parser.ParseFrom([]);
        if (node is null or YamlScalar { IsNull: true })
        {
            return message;
        }

        foreach (var field in (node as YamlMapping ?? throw new Unreadable($"{path} is {node.Noun}; a mapping was expected")).Fields)
        {
            var at = path.Length == 0 ? field.Key : $"{path}.{field.Key}";
            var known = type.Fields.InDeclarationOrder().FirstOrDefault(one => one.JsonName == field.Key) ?? throw new Unreadable($"{Printable.Of(at)} is not in the published message {type.FullName}");
            if (field.Value is not YamlScalar { IsNull: true })
            {
                Set(message, known, field.Value, at);
            }
        }

        return message;
    }

    private static void Set(IMessage message, FieldDescriptor field, YamlNode node, string path)
    {
        if (field.IsMap)
        {
            var (key, value) = (field.MessageType.FindFieldByNumber(1), field.MessageType.FindFieldByNumber(2));
            var map = (IDictionary)field.Accessor.GetValue(message);
            foreach (var pair in (node as YamlMapping ?? throw new Unreadable($"{path} is {node.Noun}; a mapping was expected")).Fields)
            {
                map[Single(key, new YamlScalar(pair.Line, pair.Key, Plain: true), path)] = Single(value, pair.Value, $"{path}.{pair.Key}");
            }
        }
        else if (field.IsRepeated)
        {
            var list = (IList)field.Accessor.GetValue(message);
            foreach (var item in (node as YamlSequence ?? throw new Unreadable($"{path} is {node.Noun}; a list was expected")).Items)
            {
                list.Add(Single(field, item, path));
            }
        }
        else
        {
            field.Accessor.SetValue(message, Single(field, node, path));
        }
    }

    private static object Single(FieldDescriptor field, YamlNode node, string path)
    {
        if (field.FieldType == FieldType.Message)
        {
            return field.MessageType.FullName switch
            {
                "google.protobuf.Duration" => GoDuration.TryParse(Text(node, path), out var span) ? Duration.FromTimeSpan(span) : throw Wrong(node, path, "a duration such as 1m30s"),
                "google.protobuf.BoolValue" => Flag(node, path),
                "google.protobuf.UInt32Value" => Number<uint>(node, path),
                _ => Message(node, field.MessageType, path),
            };
        }

        return field.FieldType switch
        {
            FieldType.String => Text(node, path),
            FieldType.Bool => Flag(node, path),
            FieldType.Int32 => Number<int>(node, path),
            FieldType.UInt32 => Number<uint>(node, path),
            FieldType.Enum => field.EnumType.FindValueByName(Text(node, path))?.Number ?? throw Wrong(node, path, $"one of {string.Join(", ", field.EnumType.Values.Select(value => value.Name))}"),
            _ => throw new Unreadable($"{path} is of a type that is not written by people"),
        };
    }

    private static string Text(YamlNode node, string path) => node is YamlScalar scalar ? scalar.Value : throw Wrong(node, path, "a single value");

    private static bool Flag(YamlNode node, string path) => Text(node, path) switch
    {
        "true" => true,
        "false" => false,
        _ => throw Wrong(node, path, "true or false"),
    };

    private static T Number<T>(YamlNode node, string path)
        where T : System.Numerics.IBinaryInteger<T> =>
        T.TryParse(Text(node, path), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : throw Wrong(node, path, "a whole number");

    private static Unreadable Wrong(YamlNode node, string path, string expected) => new($"{Printable.Of(path)} is {(node is YamlScalar scalar ? $"\"{Printable.Of(scalar.Value)}\"" : node.Noun)}; {expected} was expected");

    private sealed class Unreadable(string message) : Exception(message);
}
