using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace Signet.Server.Api;

/// <summary>
/// Masks: messages with a flag for each field of another, under the same number. An absent mask means every field. The ID of the masked
/// message has no flag, and is always there.
/// </summary>
internal static class Masks
{
    /// <summary>Clears what the mask does not ask for.</summary>
    public static T Apply<T>(T message, IMessage? mask)
        where T : IMessage
    {
        foreach (var field in Masked(message, mask).Where(field => !field.IsSet))
        {
            field.Target.Accessor.Clear(message);
        }

        return message;
    }

    /// <summary>The message with the fields that the mask names taken from another.</summary>
    public static T Overlay<T>(T message, T changes, IMessage? mask)
        where T : class, IMessage<T>
    {
        if (mask is null)
        {
            return changes.Clone();
        }

        var (merged, source) = (message.Clone(), changes.Clone());
        foreach (var field in Masked(message, mask).Where(field => field.IsSet))
        {
            field.Target.Accessor.Clear(merged);
            if (field.Target.IsRepeated)
            {
                var target = (System.Collections.IList)field.Target.Accessor.GetValue(merged);
                foreach (var item in (System.Collections.IList)field.Target.Accessor.GetValue(source))
                {
                    target.Add(item);
                }
            }
            else if (field.Target.Accessor.GetValue(source) is { } value)
            {
                field.Target.Accessor.SetValue(merged, value);
            }
        }

        return merged;
    }

    private static IEnumerable<(FieldDescriptor Target, bool IsSet)> Masked(IMessage message, IMessage? mask) =>
        mask is null ? [] : mask.Descriptor.Fields.InFieldNumberOrder().Select(flag => (message.Descriptor.FindFieldByNumber(flag.FieldNumber), (bool)flag.Accessor.GetValue(mask)));
}
