using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Signet.Hosting.Configuration;
using Signet.Identity;
using Signet.Identity.Spiffe;
using Signet.Proxy.Connections;
using Signet.Proxy.Tls;

namespace Signet.Proxy.Telemetry;

/// <summary>Which records somebody wants to see. What is not asked about does not matter. Immutable; pure.</summary>
internal sealed record AccessFilter
{
    /// <summary>Everything.</summary>
    public static AccessFilter All { get; } = new();

    public Direction? Direction { get; init; }

    /// <summary>The client: its SPIFFE ID, with or without <c>spiffe://</c>, or its address; <c>*</c> at the end stands for anything.</summary>
    public string? Source { get; init; }

    /// <summary>The service called: host, SPIFFE ID, workload or upstream address; <c>*</c> at the end stands for anything.</summary>
    public string? Destination { get; init; }

    public string? Method { get; init; }

    /// <summary>What the path begins with.</summary>
    public string? Path { get; init; }

    /// <summary>The lowest and the highest status.</summary>
    public (int From, int To)? Code { get; init; }

    public RefusalReason? Reason { get; init; }

    /// <summary>Whether it was denied.</summary>
    public bool? IsDenied { get; init; }

    /// <summary>Reads a filter from names and values. Never throws.</summary>
    /// <param name="values">Names: direction, source, destination, method, path, code, reason, verdict.</param>
    /// <param name="filter">The filter, when the answer is true.</param>
    /// <param name="problem">What is wrong and what can be written, when the answer is false; otherwise empty.</param>
    public static bool TryParse(IEnumerable<KeyValuePair<string, string>> values, [NotNullWhen(true)] out AccessFilter? filter, out string problem)
    {
        filter = All;
        problem = "";
        foreach (var (name, value) in values)
        {
            switch (name)
            {
                case "direction" when Enum.TryParse<Direction>(value, ignoreCase: true, out var direction) && !char.IsAsciiDigit(value[0]):
                    filter = filter with { Direction = direction };
                    break;
                case "source" when value.Length > 0:
                    filter = filter with { Source = value };
                    break;
                case "destination" when value.Length > 0:
                    filter = filter with { Destination = value };
                    break;
                case "method" when value.Length > 0:
                    filter = filter with { Method = value };
                    break;
                case "path" when value.StartsWith('/'):
                    filter = filter with { Path = value };
                    break;
                case "code" when TryReadCode(value) is { } code:
                    filter = filter with { Code = code };
                    break;
                case "reason" when Enum.TryParse<RefusalReason>(value, ignoreCase: true, out var reason) && !char.IsAsciiDigit(value[0]):
                    filter = filter with { Reason = reason };
                    break;
                case "verdict" when value is "allow" or "deny":
                    filter = filter with { IsDenied = value == "deny" };
                    break;
                default:
                    problem = ProblemOf(name, value);
                    filter = null;
                    return false;
            }
        }

        return true;
    }

    public bool Matches(AccessRecord record) =>
        (Direction is null || Direction == record.Direction)
        && (Reason is null || Reason == record.Refusal)
        && (IsDenied is null || IsDenied == record.IsDenied)
        && (Code is not { } code || (record.Code >= code.From && record.Code <= code.To))
        && (Method is null || Method == record.Method)
        && (Path is null || (record.Path?.StartsWith(Path, StringComparison.Ordinal) ?? false))
        && (Source is null || IsName(Source, record.SourcePeer) || IsName(Source, record.Source.Address.ToString()) || IsName(Source, record.RemoteIp?.ToString()))
        && (Destination is null || IsName(Destination, record.DestinationPeer) || IsName(Destination, record.DestinationHost) || IsName(Destination, record.Upstream)
            || IsName(Destination, record.DestinationWorkload?.ServiceAccount) || IsName(Destination, record.Host));

    /// <summary>Whether a name, which may end with <c>*</c>, is the peer's; with or without <c>spiffe://</c>.</summary>
    public static bool IsName(string wanted, Peer? peer) => peer is { Id: { } id } ? Is(WithoutScheme(wanted), AccessRecord.PrincipalOf(id)) : peer?.Host is { } host && Is(wanted, host);

    /// <summary>Whether a name, which may end with <c>*</c>, is the text.</summary>
    public static bool IsName(string wanted, string? text) => text is not null && Is(wanted, text.AsSpan());

    private static bool Is(string wanted, ReadOnlySpan<char> text) =>
        wanted.EndsWith('*') ? text.StartsWith(wanted.AsSpan(0, wanted.Length - 1), StringComparison.Ordinal) : text.Equals(wanted, StringComparison.Ordinal);

    private static string WithoutScheme(string text) => text.StartsWith(SpiffeId.SchemePrefix, StringComparison.Ordinal) ? text[SpiffeId.SchemePrefix.Length..] : text;

    /// <summary><c>403</c>, or <c>5xx</c> for all that begin so.</summary>
    private static (int From, int To)? TryReadCode(string text)
    {
        if (text.Length != 3 || text[0] is < '1' or > '5')
        {
            return null;
        }

        return text.EndsWith("xx", StringComparison.OrdinalIgnoreCase) ? ((text[0] - '0') * 100, ((text[0] - '0') * 100) + 99)
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var code) ? (code, code)
            : null;
    }

    private static string ProblemOf(string name, string value) => name switch
    {
        "direction" => $"direction \"{Printable.Of(value)}\" is neither inbound nor outbound",
        "source" or "destination" or "method" => $"{name} is empty; write a name, or leave it out",
        "path" => $"path \"{Printable.Of(value)}\" does not begin with \"/\"; write what paths begin with, such as /api",
        "code" => $"code \"{Printable.Of(value)}\" is not a status; write 403, or 4xx for all that begin so",
        "reason" => $"reason \"{Printable.Of(value)}\" is not one of docs/reference/refusals.md"
            + (NearestWord.To(value, Enum.GetNames<RefusalReason>()) is { } near ? $"; did you mean {near}?" : ""),
        "verdict" => $"verdict \"{Printable.Of(value)}\" is neither allow nor deny",
        _ => $"\"{Printable.Of(name)}\" is nothing to filter by; write direction, source, destination, method, path, code, reason or verdict",
    };
}
