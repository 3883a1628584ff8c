using System.Buffers;
using System.Diagnostics;

namespace Signet.Proxy.Telemetry;

/// <summary>Where a request stands in its trace (W3C Trace Context, level 1). Immutable.</summary>
/// <param name="TraceId">32 lower-case hex digits, not all zero.</param>
/// <param name="SpanId">16 lower-case hex digits: this proxy's part of the trace; null where it is none.</param>
/// <param name="ParentId">The part that asked; null at the trace's beginning.</param>
/// <param name="IsSampled">Whether the trace is recorded.</param>
internal sealed record TraceContext(string TraceId, string? SpanId, string? ParentId, bool IsSampled)
{
    public const string ParentField = "traceparent";
    public const string StateField = "tracestate";

    private const int MaxStateMembers = 32;
    private const int MaxStateKey = 256;
    private const int MaxStateValue = 256;

    private static readonly SearchValues<char> Hex = SearchValues.Create("0123456789abcdef");
    private static readonly SearchValues<char> KeyMarks = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789_-*/@");

    /// <summary>What the next one is told.</summary>
    public string Field => $"00-{TraceId}-{SpanId}-{(IsSampled ? "01" : "00")}";

    /// <summary>A trace that begins here.</summary>
    public static TraceContext Begin(bool isSampled) => new(ActivityTraceId.CreateRandom().ToHexString(), NewSpan(), null, isSampled);

    /// <summary>The next part of the trace that the field names.</summary>
    public static TraceContext? Continue(ReadOnlySpan<char> field) =>
        TryParse(field, out var isSampled) ? new(field.Slice(3, 32).ToString(), NewSpan(), field.Slice(36, 16).ToString(), isSampled) : null;

    /// <summary>The trace that the field names, for one who is no part of it.</summary>
    public static TraceContext? Seen(ReadOnlySpan<char> field) =>
        TryParse(field, out var isSampled) ? new(field.Slice(3, 32).ToString(), null, field.Slice(36, 16).ToString(), isSampled) : null;

    /// <summary>
    /// version "-" trace-id "-" parent-id "-" trace-flags, in lower-case hex; later versions may go on behind another "-" (§3.2). What is only
    /// nearly right is wrong.
    /// </summary>
    public static bool TryParse(ReadOnlySpan<char> field, out bool isSampled)
    {
        isSampled = false;
        if (field.Length < 55 || field[2] != '-' || field[35] != '-' || field[52] != '-')
        {
            return false;
        }

        var version = field[..2];
        var trace = field.Slice(3, 32);
        var parent = field.Slice(36, 16);
        var flags = field.Slice(53, 2);
        if (version.ContainsAnyExcept(Hex) || trace.ContainsAnyExcept(Hex) || parent.ContainsAnyExcept(Hex) || flags.ContainsAnyExcept(Hex)
            || version is "ff" || !trace.ContainsAnyExcept('0') || !parent.ContainsAnyExcept('0')
            || (version is "00" ? field.Length != 55 : field.Length > 55 && field[55] != '-'))
        {
            return false;
        }

        isSampled = (Convert.FromHexString(flags)[0] & 1) != 0;
        return true;
    }

    /// <summary>Members "key=value" behind commas, keys unique, values printable without "," and "=" (§3.3).</summary>
    public static bool IsState(string field)
    {
        var keys = new HashSet<string>(StringComparer.Ordinal);
        foreach (var part in field.AsSpan().Split(','))
        {
            var member = field.AsSpan()[part].Trim(" \t");
            if (member.IsEmpty)
            {
                continue;
            }

            var equals = member.IndexOf('=');
            if (equals is < 1 or > MaxStateKey || keys.Count == MaxStateMembers || !keys.Add(member[..equals].ToString())
                || member[..equals].ContainsAnyExcept(KeyMarks) || !(char.IsAsciiLetterLower(member[0]) || char.IsAsciiDigit(member[0])))
            {
                return false;
            }

            var value = member[(equals + 1)..];
            if (value.Length is 0 or > MaxStateValue || value.ContainsAnyExceptInRange(' ', '~') || value.Contains('='))
            {
                return false;
            }
        }

        return keys.Count > 0;
    }

    private static string NewSpan() => ActivitySpanId.CreateRandom().ToHexString();
}
