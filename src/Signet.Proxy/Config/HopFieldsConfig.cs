using System.Text;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;

namespace Signet.Proxy.Config;

/// <summary>What becomes of a field that says where a request came from.</summary>
public enum HopField
{
    /// <summary>It goes on as it came.</summary>
    Pass,

    /// <summary>The client is added behind what came.</summary>
    Append,

    /// <summary>The client alone is named.</summary>
    Set,

    /// <summary>None goes on.</summary>
    Remove,
}

/// <summary>Fields that a request gathers on its way; each is left alone unless somebody asks for it.</summary>
public sealed record HopFieldsConfig
{
    private const int MaxVia = 64;

    /// <summary><c>x-forwarded-for</c>.</summary>
    public HopField XForwardedFor { get; init; }

    /// <summary><c>forwarded</c> (RFC 7239).</summary>
    public HopField Forwarded { get; init; }

    /// <summary>The name by which this proxy stands in <c>via</c> (RFC 9110 §7.6.3); null: not at all.</summary>
    public string? Via { get; init; }

    /// <summary>Whether a request's ID is taken over when it is a plain word; otherwise every request gets a new one.</summary>
    public bool KeepsRequestId { get; init; } = true;

    /// <summary>Whether the proxy is a part of traces; null: where it records some.</summary>
    public bool? JoinsTraces { get; init; }

    internal static HopFieldsConfig Read(ConfigSection section)
    {
        (string, HopField)[] words = [("pass", HopField.Pass), ("append", HopField.Append), ("set", HopField.Set), ("remove", HopField.Remove)];
        var via = section.Text("via");
        if (via is not null && (via.Length > MaxVia || !L7.FieldLines.IsToken(Encoding.UTF8.GetBytes(via))))
        {
            section.Problem("via", $"\"{Printable.Of(via)}\" is no name of at most {MaxVia} letters, digits and marks; write one such as signet");
        }

        return new()
        {
            XForwardedFor = section.Choice("xForwardedFor", HopField.Pass, words),
            Forwarded = section.Choice("forwarded", HopField.Pass, words),
            Via = via,
            KeepsRequestId = section.Choice("requestId", true, ("keep", true), ("replace", false)),
            JoinsTraces = section.Choice<bool?>("traceContext", null, ("pass", false), ("join", true)),
        };
    }
}
